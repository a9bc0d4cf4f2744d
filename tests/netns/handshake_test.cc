// The handshake on the links is the draft's: tokens and no key in MP_CAPABLE, joins and ADD_ADDR
// under the key that OpenSSL itself exports on both ends, none before TLS is done (PROTOCOL.md 2 to
// 5).
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/oracle.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes FromHex(const std::string& hex) {
  Bytes bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

Bytes Join(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes Slice(const Bytes& bytes, size_t from, size_t size) {
  if (from + size > bytes.size()) return {};
  return {bytes.begin() + static_cast<ptrdiff_t>(from),
          bytes.begin() + static_cast<ptrdiff_t>(from + size)};
}

Bytes Hmac(const Bytes& key, const Bytes& message) {
  Bytes digest(32);
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
       digest.data(), nullptr);
  return digest;
}

// One TLS download from nginx to curl over two shaped links, both programs under the oracle and the
// product, and all that the client's links saw of it.
struct Recording {
  std::vector<OracleLine> keys;
  std::vector<TracedPacket> packets;
  std::string client, server;  // addresses of the first subflow
};

Recording Record(Family family, const std::string& tls, size_t size) {
  Lab lab(LabOptions{});
  for (const int link : {1, 2}) lab.Shape(link, 50);
  Nginx nginx(lab, lab.server());
  WriteRandomFile(nginx.www() + "/file", size);
  const KeyOracle oracle(lab.folder() + "/keys");
  std::vector<std::string> env = Product::Environment(KeyOracle::Library());
  env.push_back(oracle.Variable());
  nginx.Start(env);
  Capture first(lab.client(), "l1", lab.folder() + "/l1.pcap", "tcp port 443", 160);
  Capture second(lab.client(), "l2", lab.folder() + "/l2.pcap", "tcp port 443", 160);
  const CurlResult result =
      RunCurl(lab.client(), {.url = UrlOf("https", lab.Address(lab.server(), 1, family), "/file"),
                             .ca = nginx.certificate(),
                             .tls = tls,
                             .env = env});
  EXPECT_EQ(result.status, 0) << result.error;
  EXPECT_EQ(result.downloaded, size);
  first.Stop();
  second.Stop();
  return {.keys = oracle.Lines(),
          .packets = MergeTraces({first.file(), second.file()}),
          .client = lab.Address(lab.client(), 1, family),
          .server = lab.Address(lab.server(), 1, family)};
}

using Variant = std::tuple<Family, const char*>;

class Handshake : public testing::TestWithParam<Variant> {
 protected:
  void SetUp() override {
    recording_ = Record(std::get<0>(GetParam()), std::get<1>(GetParam()), 4 * kMiB);
    ASSERT_EQ(ModeOf(recording_.packets), "tls-auth");
    // Two lines, one from each end, and one key.
    ASSERT_EQ(recording_.keys.size(), 2u);
    ASSERT_EQ(recording_.keys[0].key, recording_.keys[1].key);
    ASSERT_NE(recording_.keys[0].role, recording_.keys[1].role);
    const Bytes key = FromHex(recording_.keys[0].key);
    key_a_ = Slice(key, 0, 8);
    key_b_ = Slice(key, 8, 8);
  }

  bool FromClient(const TracedPacket& packet) const {
    // Each link's client address differs from the server's in its last digit.
    return packet.source.back() == recording_.client.back();
  }

  std::vector<const TracedPacket*> With(Subtype subtype) const {
    std::vector<const TracedPacket*> found;
    for (const TracedPacket& packet : recording_.packets) {
      if (packet.Find(subtype) != nullptr) found.push_back(&packet);
    }
    return found;
  }

  // The packets of a subflow, by the source of its first SYN.
  std::vector<const TracedPacket*> Subflow(const TracedPacket& syn) const {
    std::vector<const TracedPacket*> packets;
    for (const TracedPacket& packet : recording_.packets) {
      const bool forward = packet.source == syn.source && packet.source_port == syn.source_port;
      const bool backward =
          packet.destination == syn.source && packet.destination_port == syn.source_port;
      if (forward || backward) packets.push_back(&packet);
    }
    return packets;
  }

  Recording recording_;
  Bytes key_a_, key_b_;
};

INSTANTIATE_TEST_SUITE_P(OnTheWire, Handshake,
                         testing::Combine(testing::Values(Family::kV4, Family::kV6),
                                          testing::Values("1.3", "1.2")),
                         [](const auto& variant) {
                           return std::string(std::get<0>(variant.param) == Family::kV4 ? "v4"
                                                                                        : "v6") +
                                  "_tls1" + std::get<1>(variant.param)[2];
                         });

TEST_P(Handshake, CarriesTokensAndNoKey) {
  Bytes token_a, token_b;
  for (const TracedPacket* packet : With(kMpCapable)) {
    const MptcpOption& option = *packet->Find(kMpCapable);
    EXPECT_EQ(option.bytes[0], 0x01) << "subtype 0, version 1";
    EXPECT_EQ(option.bytes[1], 0x09) << "flags E and H, nothing else";
    if (packet->syn && !packet->ack) {
      EXPECT_EQ(option.length(), 4u);
    } else if (packet->syn) {
      EXPECT_EQ(option.length(), 8u);
      token_b = Slice(option.bytes, 2, 4);
    } else {
      EXPECT_EQ(option.length(), packet->payload > 0 ? 14u : 12u);
      token_a = Slice(option.bytes, 2, 4);
      EXPECT_EQ(Slice(option.bytes, 6, 4), token_b);
    }
  }
  EXPECT_EQ(token_a.size(), 4u);
  EXPECT_NE(token_a, token_b);
  // Neither token is what RFC 8684 would derive of the keys, or a part of them.
  for (const Bytes& token : {token_a, token_b}) {
    for (const Bytes& key : {key_a_, key_b_}) {
      EXPECT_EQ(std::search(key.begin(), key.end(), token.begin(), token.end()), key.end());
    }
  }
}

TEST_P(Handshake, JoinsProveTheTlsKey) {
  Bytes token_a, token_b;
  for (const TracedPacket* packet : With(kMpCapable)) {
    if (packet->syn) continue;
    token_a = Slice(packet->Find(kMpCapable)->bytes, 2, 4);
    token_b = Slice(packet->Find(kMpCapable)->bytes, 6, 4);
  }
  size_t joins = 0;
  for (const TracedPacket* syn : With(kMpJoin)) {
    if (!syn->syn || syn->ack) continue;
    const bool by_a = FromClient(*syn);
    const Bytes& first = syn->Find(kMpJoin)->bytes;
    ASSERT_EQ(first.size() + 2, 12u);
    EXPECT_EQ(Slice(first, 2, 4), by_a ? token_b : token_a) << "the receiver's token";
    const Bytes opener_key = by_a ? Join(key_a_, key_b_) : Join(key_b_, key_a_);
    const Bytes other_key = by_a ? Join(key_b_, key_a_) : Join(key_a_, key_b_);
    const Bytes opener_random = Slice(first, 6, 4);
    Bytes other_random;
    bool proved = false;
    for (const TracedPacket* packet : Subflow(*syn)) {
      const MptcpOption* option = packet->Find(kMpJoin);
      if (option == nullptr || packet == syn) continue;
      if (packet->syn && packet->ack) {
        ASSERT_EQ(option->length(), 16u);
        other_random = Slice(option->bytes, 10, 4);
        EXPECT_EQ(Slice(option->bytes, 2, 8),
                  Slice(Hmac(other_key, Join(other_random, opener_random)), 0, 8));
      } else if (!packet->syn) {
        ASSERT_EQ(option->length(), 24u);
        EXPECT_EQ(Slice(option->bytes, 2, 20),
                  Slice(Hmac(opener_key, Join(opener_random, other_random)), 0, 20));
        proved = true;
      }
    }
    if (proved) ++joins;
  }
  EXPECT_GE(joins, 1u);
}

TEST_P(Handshake, AnnouncementsProveTheTlsKey) {
  for (const TracedPacket* packet : With(kAddAddr)) {
    const Bytes& bytes = packet->Find(kAddAddr)->bytes;
    if ((bytes[0] & 1) != 0) continue;  // an echo carries no HMAC
    const Bytes key = FromClient(*packet) ? Join(key_a_, key_b_) : Join(key_b_, key_a_);
    // Address ID, address, and a port that is 0 when absent.
    Bytes message = Slice(bytes, 1, bytes.size() - 1 - 8);
    if (message.size() == 5 || message.size() == 17) message = Join(message, {0, 0});
    EXPECT_EQ(Slice(bytes, bytes.size() - 8, 8), Slice(Hmac(key, message), 24, 8));
  }
}

TEST_P(Handshake, NothingJoinsBeforeTlsIsDone) {
  // The client's Finished is the first thing that it says after it heard the server.
  bool server_spoke = false;
  bool finished = false;
  for (const TracedPacket& packet : recording_.packets) {
    if (packet.payload > 0 && !FromClient(packet)) server_spoke = true;
    if (packet.payload > 0 && FromClient(packet) && server_spoke) finished = true;
    if (finished) break;
    EXPECT_EQ(packet.Find(kMpJoin), nullptr);
    EXPECT_EQ(packet.Find(kAddAddr), nullptr);
  }
  EXPECT_TRUE(finished);
}

TEST(Wire, SegmentsAreLargeAndHaveOneMapping) {
  Lab lab({.links = 1});
  Nginx nginx(lab, lab.server());
  WriteRandomFile(nginx.www() + "/file", 64 * kMiB);
  nginx.Start(Product::Environment());
  Capture capture(lab.client(), "l1", lab.folder() + "/l1.pcap", "tcp port 443", 160);
  const CurlResult result = RunCurl(
      lab.client(), {.url = UrlOf("https", lab.Address(lab.server(), 1, Family::kV4), "/file"),
                     .ca = nginx.certificate(),
                     .env = Product::Environment()});
  EXPECT_EQ(result.status, 0) << result.error;
  capture.Stop();
  size_t large_bytes = 0;
  for (const TracedPacket& packet : ReadTrace(capture.file())) {
    if (packet.payload <= 32768) continue;
    large_bytes += packet.payload;
    EXPECT_EQ(std::count_if(packet.mptcp.begin(), packet.mptcp.end(),
                            [](const MptcpOption& option) { return option.subtype() == kDss; }),
              1);
  }
  EXPECT_GT(large_bytes, 32 * kMiB) << "most of the file in segments over 32 KiB";
}

}  // namespace
}  // namespace mptcptls::lab
