// Finding a TLS client random in a stream, however it is cut and whatever came before.
#include "engine/client_random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace mptcptls {
namespace {

using Bytes = std::vector<uint8_t>;

ClientRandom SomeRandom() {
  ClientRandom random;
  for (size_t i = 0; i < random.size(); ++i) random[i] = static_cast<uint8_t>(0xa0 + i);
  return random;
}

// The record of a ClientHello up to and with its random, and something after it.
Bytes Hello(uint8_t record_minor = 1, uint8_t hello_minor = 3,
            const ClientRandom& random = SomeRandom()) {
  Bytes bytes = {22, 3, record_minor, 2, 0, 1, 0, 1, 0xfc, 3, hello_minor};
  bytes.insert(bytes.end(), random.begin(), random.end());
  bytes.insert(bytes.end(), 50, 0x11);
  return bytes;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes Text(const std::string& text) { return {text.begin(), text.end()}; }

// All pieces of the stream, each fed by itself; the random where it is found.
std::optional<ClientRandom> Find(ClientRandomFinder* finder, const Bytes& bytes, size_t piece) {
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const size_t size = std::min(piece, bytes.size() - at);
    if (const auto random = finder->Feed(ByteSpan(bytes).subspan(at, size))) return random;
  }
  return std::nullopt;
}

std::optional<ClientRandom> Find(const Bytes& bytes, size_t piece = 1 << 20) {
  ClientRandomFinder finder;
  return Find(&finder, bytes, piece);
}

TEST(ClientRandom, IsFoundInPiecesOfEverySize) {
  const Bytes hello = Hello();
  for (size_t piece = 1; piece <= hello.size(); ++piece)
    EXPECT_EQ(Find(hello, piece), SomeRandom()) << piece;
}

TEST(ClientRandom, IsFoundAtEverySplit) {
  const Bytes stream = Text("220 ready\r\n") + Hello();
  for (size_t split = 1; split < stream.size(); ++split) {
    ClientRandomFinder finder;
    auto random = finder.Feed(ByteSpan(stream).first(split));
    if (!random) random = finder.Feed(ByteSpan(stream).subspan(split));
    EXPECT_EQ(random, SomeRandom()) << split;
  }
}

TEST(ClientRandom, IsKnownWithItsLastByteAndNotBefore) {
  const Bytes hello = Hello();
  ClientRandomFinder finder;
  EXPECT_EQ(finder.Feed(ByteSpan(hello).first(42)), std::nullopt);
  EXPECT_FALSE(finder.done());
  EXPECT_EQ(finder.Feed(ByteSpan(hello).subspan(42, 1)), SomeRandom());
  EXPECT_TRUE(finder.done());
  EXPECT_EQ(finder.Feed(hello), std::nullopt) << "only once";
}

TEST(ClientRandom, FollowsAPlainDialogue) {
  const Bytes stream = Text("EHLO client\r\n") + Text("STARTTLS\r\n") + Hello();
  for (size_t piece = 1; piece < 20; ++piece) EXPECT_EQ(Find(stream, piece), SomeRandom());
}

TEST(ClientRandom, OldAndNewVersionsAreKnown) {
  for (const uint8_t record : {0, 1, 2, 3, 4})
    for (const uint8_t hello : {1, 2, 3}) EXPECT_EQ(Find(Hello(record, hello)), SomeRandom());
}

TEST(ClientRandom, OtherRecordsAreNone) {
  const struct {
    size_t at;
    uint8_t value;
  } changes[] = {{0, 23}, {0, 21}, {1, 2}, {2, 5},  {5, 2},
                 {6, 1},  {9, 2},  {9, 4}, {10, 0}, {10, 4}};
  for (const auto& change : changes) {
    Bytes bytes = Hello();
    bytes[change.at] = change.value;
    EXPECT_EQ(Find(bytes), std::nullopt) << change.at;
    EXPECT_EQ(Find(bytes, 1), std::nullopt) << change.at;
  }
}

// Each beginning of a ClientHello before the real one: the finder must not swallow its first bytes.
TEST(ClientRandom, NearMissesThatOverlapDoNotHideIt) {
  const Bytes hello = Hello();
  for (const size_t prefix : {1, 2, 3, 4, 5, 6, 7, 9, 10}) {
    // (Eight bytes, and the first three of the next, read as a whole header.)
    const Bytes near_miss(hello.begin(), hello.begin() + static_cast<ptrdiff_t>(prefix));
    const Bytes stream = near_miss + near_miss + hello;
    for (size_t piece = 1; piece <= stream.size(); ++piece) {
      EXPECT_EQ(Find(stream, piece), SomeRandom()) << prefix << " in pieces of " << piece;
    }
  }
}

TEST(ClientRandom, NearMissesFromASeedDoNotHideIt) {
  const uint64_t seed = 7;
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 dice(seed);
  const uint8_t alphabet[] = {22, 3, 1, 0};
  for (int round = 0; round < 2000; ++round) {
    // Bytes that a ClientHello begins with, too short a run to hold one with its random.
    Bytes stream(dice() % 30);
    for (uint8_t& byte : stream) byte = alphabet[dice() % std::size(alphabet)];
    const Bytes whole = stream + Text("\r\n") + Hello();
    const auto random = Find(whole, 1 + dice() % 9);
    ASSERT_EQ(random, Find(whole)) << "round " << round << ": it depends on the pieces";
  }
}

TEST(ClientRandom, IsNotLookedForForEver) {
  ClientRandomFinder finder;
  const Bytes plain(ClientRandomFinder::kLimit - 1, 'x');
  EXPECT_EQ(Find(&finder, plain, 1000), std::nullopt);
  EXPECT_FALSE(finder.done());
  EXPECT_EQ(Find(&finder, {'x'}, 1), std::nullopt);
  EXPECT_TRUE(finder.done());
  EXPECT_EQ(Find(&finder, Hello(), 1000), std::nullopt);
}

TEST(ClientRandom, JustBeforeTheLimitIsStillFound) {
  const Bytes stream = Bytes(ClientRandomFinder::kLimit - 43, 'x') + Hello();
  for (const size_t piece : {size_t{1}, size_t{1000}}) EXPECT_EQ(Find(stream, piece), SomeRandom());
}

TEST(ClientRandom, NothingComesOfNothing) {
  ClientRandomFinder finder;
  EXPECT_EQ(finder.Feed({}), std::nullopt);
  EXPECT_FALSE(finder.done());
  EXPECT_EQ(finder.Feed(Bytes(100000, 22)), std::nullopt);
}

}  // namespace
}  // namespace mptcptls
