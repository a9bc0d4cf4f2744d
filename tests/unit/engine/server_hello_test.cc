#include "engine/server_hello.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace mptcptls {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes Big16(size_t value) {
  return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value & 0xff)};
}

Bytes Extension(uint16_t type, const Bytes& content) {
  return Big16(type) + Big16(content.size()) + content;
}

Bytes Body(const Bytes& extensions, bool with_extensions = true, size_t session_id = 5) {
  Bytes body = {3, 3};
  for (int i = 0; i < 32; ++i) body.push_back(static_cast<uint8_t>(i));
  body = body + Bytes{static_cast<uint8_t>(session_id)} + Bytes(session_id, 0xee) +
         Bytes{0xc0, 0x2c, 0};
  return with_extensions ? body + Big16(extensions.size()) + extensions : body;
}

Bytes Message(const Bytes& body) {
  return Bytes{2, static_cast<uint8_t>(body.size() >> 16)} + Big16(body.size() & 0xffff) + body;
}

Bytes Record(const Bytes& payload, uint8_t type = 22) {
  return Bytes{type, 3, 3} + Big16(payload.size()) + payload;
}

ServerHelloFinder Fed(const Bytes& stream, size_t piece = 1 << 20) {
  ServerHelloFinder finder;
  for (size_t at = 0; at < stream.size(); at += piece)
    finder.Feed(ByteSpan(stream).subspan(at, std::min(piece, stream.size() - at)));
  return finder;
}

const Bytes kMasterSecret = Extension(23, {});

TEST(ServerHello, TellsWhatTheExporterNeeds) {
  const auto hello = ParseServerHello(Body(Extension(16, {1, 2, 3}) + kMasterSecret));
  ASSERT_TRUE(hello.has_value());
  EXPECT_EQ(hello->version, 0x0303);
  EXPECT_EQ(hello->cipher_suite, 0xc02c);
  EXPECT_EQ(hello->random[31], 31);
  EXPECT_TRUE(hello->extended_master_secret);
}

TEST(ServerHello, WithoutTheExtensionSaysSo) {
  for (const Bytes& body : {Body({}), Body({}, false), Body(Extension(5, {}))}) {
    const auto hello = ParseServerHello(body);
    ASSERT_TRUE(hello.has_value());
    EXPECT_FALSE(hello->extended_master_secret);
  }
}

TEST(ServerHello, SupportedVersionsWins) {
  EXPECT_EQ(ParseServerHello(Body(Extension(43, {3, 4})))->version, 0x0304);
  EXPECT_FALSE(ParseServerHello(Body(Extension(43, {3}))).has_value());
  EXPECT_FALSE(ParseServerHello(Body(Extension(43, {3, 4, 0}))).has_value());
}

TEST(ServerHello, CutAnywhereIsNone) {
  const Bytes whole = Body(Extension(16, {1, 2, 3}) + kMasterSecret);
  const size_t without_extensions = Body({}, false).size();
  for (size_t size = 0; size < whole.size(); ++size) {
    const bool good = size == without_extensions;
    EXPECT_EQ(ParseServerHello(ByteSpan(whole).first(size)).has_value(), good) << size;
  }
  EXPECT_FALSE(ParseServerHello(whole + Bytes{0}).has_value());
  EXPECT_FALSE(ParseServerHello(Body({}, true, 33)).has_value());
}

TEST(ServerHelloFinder, FindsItInPiecesOfEverySize) {
  const Bytes stream = Record(Message(Body(kMasterSecret))) + Record({1, 2, 3}, 23);
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    const auto finder = Fed(stream, piece);
    ASSERT_TRUE(finder.hello().has_value()) << piece;
    EXPECT_TRUE(finder.hello()->extended_master_secret);
    EXPECT_TRUE(finder.done());
  }
}

TEST(ServerHelloFinder, FindsItSpreadOverRecords) {
  const Bytes message = Message(Body(kMasterSecret)) + Bytes{11, 0, 0, 1, 9};  // and what follows
  for (size_t cut = 1; cut < message.size(); ++cut) {
    const auto at = message.begin() + static_cast<ptrdiff_t>(cut);
    const auto finder = Fed(Record({message.begin(), at}) + Record({at, message.end()}));
    ASSERT_TRUE(finder.hello().has_value()) << cut;
  }
}

TEST(ServerHelloFinder, GivesUpAtOnceOnAnythingElse) {
  for (const Bytes& stream : {Record({2, 40}, 21),                     // an alert
                              Bytes{'2', '2', '0', ' ', 'r'},          // no TLS
                              Record({}),                              // an empty record
                              Record({1, 0, 0, 1}),                    // another message
                              Record({2, 0xff, 0xff, 0xff}),           // too long to be true
                              Record(Message(Body({}, true, 33)))}) {  // malformed
    const auto finder = Fed(stream);
    EXPECT_TRUE(finder.done());
    EXPECT_FALSE(finder.hello().has_value());
  }
}

TEST(ServerHelloFinder, WaitsNoLongerThanItsBound) {
  Bytes body = Body({});
  body.resize(ServerHelloFinder::kMaxMessage + 1);
  EXPECT_TRUE(Fed(Record(Message(body))).done());
  const auto waiting = Fed(Record(Message(Body(Extension(16, Bytes(8000))))), 100);
  EXPECT_TRUE(waiting.hello().has_value());
}

}  // namespace
}  // namespace mptcptls
