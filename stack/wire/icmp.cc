#include "stack/wire/icmp.h"

#include <optional>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ip.h"

namespace mptcptls {
namespace {

constexpr uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolIcmpV6 = 58;

using Kind = IcmpError::Kind;

std::optional<Kind> KindV4(uint8_t type, uint8_t code) {
  constexpr uint8_t kUnreachable = 3, kTimeExceeded = 11;
  if (type == kTimeExceeded) return Kind::kSoft;
  if (type != kUnreachable) return std::nullopt;
  switch (code) {
    case 2:
    case 3:
    case 9:
    case 10:
    case 13:
      return Kind::kHard;
    case 4:
      return Kind::kPacketTooBig;
    default:
      return Kind::kSoft;
  }
}

std::optional<Kind> KindV6(uint8_t type, uint8_t code) {
  constexpr uint8_t kUnreachable = 1, kTooBig = 2, kTimeExceeded = 3;
  if (type == kTooBig) return Kind::kPacketTooBig;
  if (type == kTimeExceeded) return Kind::kSoft;
  if (type != kUnreachable) return std::nullopt;
  return code == 1 || code == 4 ? Kind::kHard : Kind::kSoft;  // prohibited, port unreachable
}

bool ChecksumRight(const IpPacket& ip) {
  ChecksumSum sum;
  if (ip.protocol == kProtocolIcmpV6) {
    sum.Add(ip.source.span());
    sum.Add(ip.destination.span());
    sum.AddWord(kProtocolIcmpV6);
    sum.AddWord(static_cast<uint16_t>(ip.payload.size()));
  }
  sum.Add(ip.payload);
  return sum.Complement() == 0;
}

}  // namespace

bool ParseIcmpError(ByteSpan packet, IcmpError* out) {
  const auto ip = ParseIp(packet);
  if (!ip || ip->fragment || ip->payload.size() < 8) return false;
  const uint8_t type = ip->payload[0], code = ip->payload[1];
  std::optional<Kind> kind;
  if (ip->protocol == kProtocolIcmp) kind = KindV4(type, code);
  if (ip->protocol == kProtocolIcmpV6) kind = KindV6(type, code);
  if (!kind || !ChecksumRight(*ip)) return false;
  out->kind = *kind;
  if (*kind == Kind::kPacketTooBig)
    out->mtu = ip->protocol == kProtocolIcmp ? LoadBig<uint16_t>(&ip->payload[6])
                                             : LoadBig<uint32_t>(&ip->payload[4]);
  const auto quoted = ParseIp(ip->payload.subspan(8), /*truncated=*/true);
  // RFC 792: at least 8 bytes of the segment are quoted: ports and sequence number.
  if (!quoted || quoted->fragment || quoted->protocol != kProtocolTcp || quoted->payload.size() < 8)
    return false;
  out->tuple.local = {quoted->source, LoadBig<uint16_t>(&quoted->payload[0])};
  out->tuple.remote = {quoted->destination, LoadBig<uint16_t>(&quoted->payload[2])};
  out->seq = {LoadBig<uint32_t>(&quoted->payload[4])};
  return true;
}

}  // namespace mptcptls
