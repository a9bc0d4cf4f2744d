// Every known answer of VECTORS.md.
#include "stack/mptcp/crypto.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mptcptls {
namespace {

std::vector<uint8_t> Bytes(const std::string& hex) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  return out;
}

std::string Hex(ByteSpan bytes) {
  std::string out;
  for (const uint8_t b : bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    out += kDigits[b >> 4];
    out += kDigits[b & 15];
  }
  return out;
}

Key AsciiKey(const std::string& text) {
  return Key(ByteSpan(reinterpret_cast<const uint8_t*>(text.data()), 8));
}
Key HexKey(const std::string& hex) { return Key(Bytes(hex)); }
uint32_t AsciiNonce(const std::string& text) {
  uint32_t v = 0;
  for (const char c : text) v = v << 8 | static_cast<uint8_t>(c);
  return v;
}

// net/mptcp/crypto_test.c: key1 and key2 are the first and second half of 16 ASCII bytes, the
// nonces likewise.
TEST(JoinHmac, MatchesTheLinuxKernelsSelfTest) {
  struct Case {
    const char *key1, *key2, *nonce1, *nonce2, *hmac;
  };
  const Case cases[] = {
      {"0b0b0b0b", "0b0b0b0b", "4869", "2054",
       "8385e24fb4235ac37556b6b886db106284a1da671699f46db1f235ec622dcafa"},
      {"aaaaaaaa", "aaaaaaaa", "dddd", "dddd",
       "2c5e219164ff1dca1c4a92318d847bb6b9d44492984e1eb71aff9022f71046e9"},
      {"01020304", "05060708", "cdcd", "cdcd",
       "e73b9ba9969969cefb04aa0d6df18ec2fcc075b6f23b4d8c4da736a5dbbc6e7d"},
  };
  for (const Case& c : cases) {
    const ConnectionKeys keys{AsciiKey(c.key1), AsciiKey(c.key2)};
    EXPECT_EQ(Hex(JoinHmac(keys, true, AsciiNonce(c.nonce1), AsciiNonce(c.nonce2))), c.hmac);
  }
}

TEST(TokenOfKey, MatchesTheLinuxKernelsSelfTest) {
  struct Case {
    const char* key;
    uint32_t token;
    uint64_t idsn;
  };
  const Case cases[] = {{"73bb150358a0aecb", 0x5f3f5591, 12148165319181844525u},
                        {"8f0c7c64a6a32ac1", 0x2e1abded, 17186763219675866564u},
                        {"29a6c86981ad933c", 0xa35d6d82, 11713449205243392241u},
                        {"1fdb5df328bc3def", 0x239fbdb0, 14413541604287230029u}};
  for (const Case& c : cases) {
    EXPECT_EQ(TokenOfKey(HexKey(c.key)), c.token);
    EXPECT_EQ(IdsnOfKey(HexKey(c.key)), c.idsn);
  }
}

TEST(JoinHmac, MatchesJoinsSeenFromLinux) {
  const ConnectionKeys first{HexKey("f2a7ba5d1312811c"), HexKey("85e9029d598c8792")};
  EXPECT_EQ(TokenOfKey(first.b), 0x1a3f3ca1u);
  EXPECT_EQ(Hex(JoinHmac(first, false, 0xa9990029, 0x3deabd32)).substr(0, 16), "dae47260e643fbb0");
  EXPECT_EQ(Hex(JoinHmac(first, true, 0xa9990029, 0x3deabd32)).substr(0, 40),
            "5413d19c664cc3579899424471f8f38b92b409d9");
  const ConnectionKeys second{HexKey("103c9229b3515b3f"), HexKey("fb9bdcaaea0c8e4b")};
  EXPECT_EQ(TokenOfKey(second.b), 0x751dacfau);
  EXPECT_EQ(Hex(JoinHmac(second, false, 0x297885c1, 0xbc77325b)).substr(0, 16), "f111853884e7b4ad");
  EXPECT_EQ(Hex(JoinHmac(second, true, 0x297885c1, 0xbc77325b)).substr(0, 40),
            "e062a0ff7428ad413a3a00f9375337eb0f12ad28");
  EXPECT_EQ(Hex(AddAddrHmac(second, false, 1, *IpAddress::Parse("10.9.2.2"), 0)),
            "291d9964f40c8554");
}

TEST(TlsAuthProfile, MatchesTheVectors) {
  const auto ekm = Bytes("89a873a3e2e80ec30b5eba7b3c4541df");
  const ConnectionKeys keys = ConnectionKeys::FromExporter(ekm);
  const uint32_t token_a = 0x11223344, token_b = 0x55667788, r_a = 0xa9990029, r_b = 0x3deabd32;
  EXPECT_EQ(IdsnOfTokens(token_a, token_b), 0x62815714b76ae9a5u);
  EXPECT_EQ(IdsnOfTokens(token_b, token_a), 0x24d3916a40a824edu);
  EXPECT_EQ(Hex(JoinHmac(keys, true, r_a, r_b)).substr(0, 40),
            "bc542dd8d75ae4ea45c371c2810ff262e8a70cf6");
  EXPECT_EQ(Hex(JoinHmac(keys, false, r_a, r_b)).substr(0, 40),
            "80e908b434f9523a7d9ecfef69ffc5b335d5e2eb");
  EXPECT_EQ(Hex(AddAddrHmac(keys, false, 1, *IpAddress::Parse("10.9.2.2"), 0)), "7e72aec915dc4d3d");
  EXPECT_EQ(Hex(FastCloseTag(keys, true, token_a, token_b)), "58fc49ebd215dbc0");
  EXPECT_EQ(Hex(FastCloseTag(keys, false, token_b, token_a)), "7424c6ebfa828101");
  EXPECT_EQ(Hex(NewKeyTag(keys, true, token_a, token_b)), "8b52baedc0ff4b73");
  EXPECT_EQ(Hex(NewKeyTag(keys, false, token_b, token_a)), "5b5e30d3db01cdb3");
}

TEST(EncryptedTokens, MatchTheVectorsAndDecrypt) {
  const auto key = Bytes("000102030405060708090a0b0c0d0e0f");
  const std::pair<uint32_t, uint32_t> cases[] = {
      {0x00000000, 0x6e069dbe}, {0xabcd1234, 0xe4e4418e}, {0xffffffff, 0x8c84b9f7}};
  for (const auto& [plain, token] : cases) {
    EXPECT_EQ(EncryptToken(key, plain), token);
    EXPECT_EQ(DecryptToken(key, token), plain);
  }
}

TEST(DssChecksum, MatchesWhatLinuxSent) {
  const auto payload = Bytes(
      "949add9b8ad8db3f4685083a4aac482ccb0e62042fc613963ec6eb3b1234fa4d339b23027212987ce645c705e514"
      "5d17925dad89"
      "ce13df19d45809ef021f56179b35be5d9a6793159d1ca0752dc9b9e612bf3f10c40369798d0dd0a0ea26690de08e"
      "310d");
  ASSERT_EQ(payload.size(), 100u);
  EXPECT_EQ(DssChecksum(5133153500046862318u, 1, 100, payload), 0x497e);
  for (const size_t cut : {1u, 2u, 33u, 99u})
    EXPECT_EQ(DssChecksum(5133153500046862318u, 1, 100, ByteSpan(payload).first(cut),
                          ByteSpan(payload).subspan(cut)),
              0x497e)
        << "cut at " << cut;
  EXPECT_EQ(DssChecksum(5133153500046882318u, 0, 1, {}), 0xbef1);
}

TEST(ConstantTimeEqual, ComparesLengthAndBytes) {
  const uint8_t a[] = {1, 2, 3}, b[] = {1, 2, 4};
  EXPECT_TRUE(ConstantTimeEqual(a, a));
  EXPECT_FALSE(ConstantTimeEqual(a, b));
  EXPECT_FALSE(ConstantTimeEqual(a, ByteSpan(a).first(2)));
}

}  // namespace
}  // namespace mptcptls
