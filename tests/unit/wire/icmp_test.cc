// ICMP errors built by libtins.
#include "stack/wire/icmp.h"

#include <gtest/gtest.h>
#include <tins/tins.h>

#include <vector>

namespace mptcptls {
namespace {

using Kind = IcmpError::Kind;
using Cause = IcmpError::Cause;

constexpr uint32_t kSeq = 0x12345678;

std::vector<uint8_t> QuotedV4() {
  Tins::TCP tcp(443, 40000);
  tcp.seq(kSeq);
  auto ip = Tins::IP("10.0.0.2", "10.0.0.1") / tcp / Tins::RawPDU(std::string(1460, 'x'));
  std::vector<uint8_t> bytes = ip.serialize();
  bytes.resize(28);  // RFC 792: 8 bytes of the segment
  return bytes;
}

std::vector<uint8_t> ErrorV4(uint8_t type, uint8_t code, uint16_t mtu = 0) {
  Tins::ICMP icmp(static_cast<Tins::ICMP::Flags>(type));
  icmp.code(code);
  icmp.mtu(mtu);
  auto ip = Tins::IP("10.0.0.1", "192.0.2.1") / icmp / Tins::RawPDU(QuotedV4());
  return ip.serialize();
}

std::vector<uint8_t> ErrorV6(uint8_t type, uint8_t code, uint32_t mtu = 0) {
  Tins::TCP tcp(443, 40000);
  tcp.seq(kSeq);
  auto quoted = Tins::IPv6("fd00::2", "fd00::1") / tcp / Tins::RawPDU(std::string(1440, 'x'));
  std::vector<uint8_t> inner = quoted.serialize();
  inner.resize(100);
  Tins::ICMPv6 icmp(static_cast<Tins::ICMPv6::Types>(type));
  icmp.code(code);
  icmp.identifier(static_cast<uint16_t>(mtu >> 16));
  icmp.sequence(static_cast<uint16_t>(mtu));
  auto ip = Tins::IPv6("fd00::1", "fd00::9") / icmp / Tins::RawPDU(inner);
  return ip.serialize();
}

// What Linux's icmp_err_convert says, by code of destination unreachable.
TEST(Icmp, CodesOfIpv4) {
  const struct {
    Kind kind;
    Cause cause;
    bool no_route = false;
  } table[] = {
      {Kind::kSoft, Cause::kNetUnreachable, true},
      {Kind::kSoft, Cause::kHostUnreachable, true},
      {Kind::kHard, Cause::kNoProtocol},
      {Kind::kHard, Cause::kRefused},
      {Kind::kPacketTooBig, Cause::kHostUnreachable},
      {Kind::kSoft, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kNetUnreachable},
      {Kind::kHard, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kNetUnreachable},
      {Kind::kHard, Cause::kHostUnreachable},
      {Kind::kSoft, Cause::kNetUnreachable},
      {Kind::kSoft, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kHostUnreachable},
  };
  uint8_t code = 0;
  for (const auto& row : table) {
    IcmpError error;
    ASSERT_TRUE(ParseIcmpError(ErrorV4(3, code), &error)) << int{code};
    EXPECT_EQ(error.kind, row.kind) << int{code};
    EXPECT_EQ(error.cause, row.cause) << int{code};
    EXPECT_EQ(error.no_route, row.no_route) << int{code};
    ++code;
  }
  IcmpError error;
  EXPECT_FALSE(ParseIcmpError(ErrorV4(3, 16), &error));
  EXPECT_FALSE(ParseIcmpError(ErrorV4(4, 0), &error)) << "RFC 6633: source quench is ignored";
  ASSERT_TRUE(ParseIcmpError(ErrorV4(11, 0), &error));
  EXPECT_EQ(error.kind, Kind::kSoft);
}

TEST(Icmp, CodesOfIpv6) {
  const std::pair<Kind, Cause> table[] = {
      {Kind::kSoft, Cause::kNetUnreachable},  {Kind::kHard, Cause::kProhibited},
      {Kind::kSoft, Cause::kHostUnreachable}, {Kind::kSoft, Cause::kHostUnreachable},
      {Kind::kHard, Cause::kRefused},         {Kind::kHard, Cause::kProhibited},
      {Kind::kHard, Cause::kProhibited},
  };
  uint8_t code = 0;
  for (const auto& [kind, cause] : table) {
    IcmpError error;
    ASSERT_TRUE(ParseIcmpError(ErrorV6(1, code), &error)) << int{code};
    EXPECT_EQ(error.kind, kind) << int{code};
    EXPECT_EQ(error.cause, cause) << int{code};
    EXPECT_EQ(error.no_route, code == 0 || code == 3) << int{code};
    ++code;
  }
  IcmpError error;
  EXPECT_FALSE(ParseIcmpError(ErrorV6(1, 7), &error));
}

TEST(Icmp, WhatIsQuoted) {
  IcmpError four, six;
  ASSERT_TRUE(ParseIcmpError(ErrorV4(3, 4, 1400), &four));
  EXPECT_EQ(four.mtu, 1400u);
  EXPECT_EQ(four.packet, 1500u) << "as it was, not as it is quoted";
  EXPECT_EQ(four.seq, Seq{kSeq});
  EXPECT_EQ(four.tuple.local.ToString(), "10.0.0.1:40000");
  EXPECT_EQ(four.tuple.remote.ToString(), "10.0.0.2:443");
  ASSERT_TRUE(ParseIcmpError(ErrorV6(2, 0, 100'000), &six));
  EXPECT_EQ(six.mtu, 100'000u);
  EXPECT_EQ(six.packet, 1500u);
  EXPECT_EQ(six.seq, Seq{kSeq});
  EXPECT_EQ(six.tuple.local.ToString(), "[fd00::1]:40000");
}

TEST(Icmp, DamagedOnesAreNone) {
  std::vector<uint8_t> bytes = ErrorV4(3, 1);
  IcmpError error;
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ParseIcmpError(ByteSpan(bytes).first(size), &error)) << size;
  }
  bytes[22] ^= 1;  // its checksum
  EXPECT_FALSE(ParseIcmpError(bytes, &error));
}

}  // namespace
}  // namespace mptcptls
