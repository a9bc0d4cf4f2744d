// Keys from a key log: what the engine computes of the lines and the stream is what OpenSSL itself
// exports, and it is not there before the handshake is over.
#include "engine/tls_watch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "engine/key_log.h"
#include "tests/unit/engine/tls_handshake.h"

namespace mptcptls {
namespace {

using command::KeyLogLine;
using command::ParseKeyLogLine;

// The one line of which a key can be made.
control::SecretMessage SecretIn(const std::vector<std::string>& log) {
  control::SecretMessage message, found;
  size_t count = 0;
  for (const std::string& line : log) {
    const KeyLogLine kind = ParseKeyLogLine(line, &message);
    EXPECT_NE(kind, KeyLogLine::kBad) << line;
    if (kind != KeyLogLine::kSecret) continue;
    found = message;
    ++count;
  }
  EXPECT_EQ(count, 1u);
  return found;
}

TlsWatch::From FromOf(const Flight& flight, bool of_client) {
  return flight.by_client == of_client ? TlsWatch::From::kProgram : TlsWatch::From::kNetwork;
}

// All flights in pieces of a size, seen by the engine of one end.
void FeedAll(TlsWatch* watch, const Handshake& handshake, bool of_client, size_t piece) {
  std::optional<ClientRandom> random;
  for (const Flight& flight : handshake.flights) {
    for (size_t at = 0; at < flight.bytes.size(); at += piece) {
      const size_t size = std::min(piece, flight.bytes.size() - at);
      const auto found =
          watch->Feed(FromOf(flight, of_client), ByteSpan(flight.bytes).subspan(at, size));
      if (found && !random) random = found;
    }
  }
  EXPECT_EQ(random, handshake.client_random);
}

void ExpectKey(const Handshake& handshake) {
  for (const bool of_client : {true, false}) {
    for (const size_t piece : {1, 7, 1 << 20}) {
      SCOPED_TRACE(std::string(of_client ? "client, " : "server, ") + std::to_string(piece));
      TlsWatch watch;
      const auto secret = SecretIn(of_client ? handshake.client_log : handshake.server_log);
      EXPECT_TRUE(std::ranges::equal(secret.client_random, handshake.client_random));
      EXPECT_TRUE(watch.TakeSecret(secret));
      FeedAll(&watch, handshake, of_client, piece);
      ASSERT_TRUE(watch.ripe());
      const TlsWatch::Outcome outcome = watch.TakeKey();
      EXPECT_EQ(outcome.key, handshake.key);
      EXPECT_FALSE(watch.ripe()) << "once";
    }
  }
}

using Variant = std::tuple<int, const char*>;
class LoggedKey : public testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(Suites, LoggedKey,
                         testing::Values(Variant(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA384"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-SHA"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-CCM"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-CAMELLIA256-SHA384"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-ARIA256-GCM-SHA384"),
                                         Variant(TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"),
                                         Variant(TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"),
                                         Variant(TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"),
                                         Variant(TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256")),
                         [](const auto& variant) {
                           std::string name = std::get<1>(variant.param);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(LoggedKey, IsWhatOpensslExports) {
  const auto& [version, cipher] = GetParam();
  ExpectKey(DoHandshake({.version = version, .cipher = cipher}));
}

TEST(TlsWatch, ResumedSessionsHaveKeysOfTheirOwn) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const Handshake first = DoHandshake({.version = version});
    const Handshake second = DoHandshake({.version = version, .renewed = first.session});
    ASSERT_TRUE(second.resumed);
    EXPECT_NE(first.key, second.key);
    ExpectKey(second);
  }
}

TEST(TlsWatch, HelloRetryRequestIsNoServerHelloOfTls12) {
  const Handshake handshake = DoHandshake({.retry = true});
  ASSERT_GE(handshake.flights.size(), 5u);
  ExpectKey(handshake);
}

// The secret of a session is in the log before its Finished, or the peer's, is there: flights of
// TLS 1.3: hello, server's, client's Finished; of 1.2 one more before the last.
TEST(TlsWatch, IsRipeWhenTheHandshakeIsOver) {
  struct Case {
    int version;
    bool of_client;
    size_t flights;  // that must have been begun
  };
  for (const Case& each : {Case{TLS1_3_VERSION, true, 3}, Case{TLS1_3_VERSION, false, 4},
                           Case{TLS1_2_VERSION, true, 4}, Case{TLS1_2_VERSION, false, 4}}) {
    SCOPED_TRACE(std::to_string(each.version) + (each.of_client ? " client" : " server"));
    const Handshake handshake = DoHandshake({.version = each.version});
    TlsWatch watch;
    EXPECT_TRUE(
        watch.TakeSecret(SecretIn(each.of_client ? handshake.client_log : handshake.server_log)));
    for (size_t i = 0; i < each.flights; ++i) {
      EXPECT_FALSE(watch.ripe()) << i;
      watch.Feed(FromOf(handshake.flights[i], each.of_client), handshake.flights[i].bytes);
    }
    EXPECT_TRUE(watch.ripe());
  }
}

TEST(TlsWatch, WithoutASecretNothingIsRipe) {
  TlsWatch watch;
  FeedAll(&watch, DoHandshake({}), true, 100);
  EXPECT_FALSE(watch.ripe());
}

control::NoKey WhyNot(const Handshake& handshake) {
  TlsWatch watch;
  EXPECT_TRUE(watch.TakeSecret(SecretIn(handshake.client_log)));
  FeedAll(&watch, handshake, true, 1000);
  EXPECT_TRUE(watch.ripe());
  const TlsWatch::Outcome outcome = watch.TakeKey();
  EXPECT_EQ(outcome.key, std::nullopt);
  return outcome.why_not;
}

TEST(TlsWatch, NoKeyWithoutExtendedMasterSecret) {
  EXPECT_EQ(WhyNot(DoHandshake({.version = TLS1_2_VERSION, .extended_master_secret = false})),
            control::NoKey::kNoExtendedMasterSecret);
}

TEST(TlsWatch, NoKeyOfOlderVersions) {
  EXPECT_EQ(WhyNot(DoHandshake({.version = TLS1_1_VERSION})), control::NoKey::kTlsTooOld);
}

TEST(TlsWatch, NoKeyOfTheWrongSecret) {
  // A master secret for a connection of TLS 1.3, and the other way round.
  Handshake new_one = DoHandshake({});
  Handshake old_one = DoHandshake({.version = TLS1_2_VERSION});
  std::swap(new_one.client_log, old_one.client_log);
  EXPECT_EQ(WhyNot(new_one), control::NoKey::kExporterFailed);
  EXPECT_EQ(WhyNot(old_one), control::NoKey::kExporterFailed);
}

TEST(TlsWatch, RefusesWhatIsNoSecret) {
  auto message = control::Make<control::SecretMessage>(control::Verb::kSecret);
  for (const uint8_t size : {0, 16, 31, 33, 47, 49, 255}) {
    for (const auto kind : {control::SecretKind::kExporter, control::SecretKind::kMaster}) {
      message.kind = kind;
      message.size = size;
      EXPECT_FALSE(TlsWatch().TakeSecret(message)) << int{size};
    }
  }
  message.size = 32;
  message.kind = control::SecretKind::kMaster;
  EXPECT_FALSE(TlsWatch().TakeSecret(message));
  message.kind = static_cast<control::SecretKind>(3);
  EXPECT_FALSE(TlsWatch().TakeSecret(message));
}

TEST(PrfHash, OfNeighboursAndOfTheUnknown) {
  EXPECT_EQ(PrfHashOf(0xc02b), PrfHash::kSha256);  // ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
  EXPECT_EQ(PrfHashOf(0xc02c), PrfHash::kSha384);
  EXPECT_EQ(PrfHashOf(0x009c), PrfHash::kSha256);  // RSA_WITH_AES_128_GCM_SHA256
  EXPECT_EQ(PrfHashOf(0x009d), PrfHash::kSha384);
  EXPECT_EQ(PrfHashOf(0x002f), PrfHash::kSha256);  // RSA_WITH_AES_128_CBC_SHA
  EXPECT_EQ(PrfHashOf(0xc037), PrfHash::kSha256);  // ECDHE_PSK_WITH_AES_128_CBC_SHA256
  EXPECT_EQ(PrfHashOf(0xc038), PrfHash::kSha384);
  EXPECT_EQ(PrfHashOf(0xc03b), PrfHash::kSha384);  // ECDHE_PSK_WITH_NULL_SHA384
  EXPECT_EQ(PrfHashOf(0xc100), std::nullopt);      // GOST
  EXPECT_EQ(PrfHashOf(0x1301), std::nullopt);      // TLS 1.3's have no PRF
}

TEST(Exporter, TakesSecretsOfTheRightLengthsAlone) {
  const std::array<uint8_t, 64> secret{};
  for (size_t size = 0; size <= secret.size(); ++size) {
    const ByteSpan part = ByteSpan(secret).first(size);
    EXPECT_EQ(ExportTls13(part).has_value(), size == 32 || size == 48) << size;
    EXPECT_EQ(ExportTls12(part, {}, {}, PrfHash::kSha256).has_value(), size == 48) << size;
  }
}

}  // namespace
}  // namespace mptcptls
