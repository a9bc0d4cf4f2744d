#include "stack/wire/icmp.h"

#include <array>
#include <optional>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"
#include "stack/wire/ip.h"

namespace mptcptls {
namespace {

constexpr uint8_t kProtocolIcmp = 1, kProtocolTcp = 6, kProtocolIcmpV6 = 58;

using Kind = IcmpError::Kind;
using Cause = IcmpError::Cause;

struct Meaning {
  Kind kind = Kind::kSoft;
  Cause cause = Cause::kHostUnreachable;
  bool no_route = false;
};

// RFC 1122 4.2.3.9; the codes that it does not know, and the causes, as Linux.
constexpr std::array<Meaning, 16> kUnreachableV4 = {{
    {Kind::kSoft, Cause::kNetUnreachable, true},
    {Kind::kSoft, Cause::kHostUnreachable, true},
    {Kind::kHard, Cause::kNoProtocol},
    {Kind::kHard, Cause::kRefused},
    {Kind::kPacketTooBig},
    {Kind::kSoft},                          // source route failed
    {Kind::kHard, Cause::kNetUnreachable},  // network unknown
    {Kind::kHard},                          // host unknown
    {Kind::kHard},                          // host isolated
    {Kind::kHard, Cause::kNetUnreachable},  // network prohibited
    {Kind::kHard},                          // host prohibited
    {Kind::kSoft, Cause::kNetUnreachable},  // network, for this type of service
    {Kind::kSoft},                          // host, for this type of service
    {Kind::kHard},                          // communication prohibited
    {Kind::kHard},                          // precedence violation
    {Kind::kHard},                          // precedence cutoff
}};

// RFC 4443 3.1, RFC 5461 2.
constexpr std::array<Meaning, 7> kUnreachableV6 = {{
    {Kind::kSoft, Cause::kNetUnreachable, true},  // no route
    {Kind::kHard, Cause::kProhibited},
    {Kind::kSoft},                                 // beyond the scope of the source address
    {Kind::kSoft, Cause::kHostUnreachable, true},  // address unreachable
    {Kind::kHard, Cause::kRefused},
    {Kind::kHard, Cause::kProhibited},  // source address failed a policy
    {Kind::kHard, Cause::kProhibited},  // reject route
}};

std::optional<Meaning> MeaningV4(uint8_t type, uint8_t code) {
  constexpr uint8_t kUnreachable = 3, kTimeExceeded = 11;
  if (type == kTimeExceeded) return Meaning{};
  if (type != kUnreachable || code >= kUnreachableV4.size()) return std::nullopt;
  return kUnreachableV4[code];
}

std::optional<Meaning> MeaningV6(uint8_t type, uint8_t code) {
  constexpr uint8_t kUnreachable = 1, kTooBig = 2, kTimeExceeded = 3;
  if (type == kTooBig) return Meaning{.kind = Kind::kPacketTooBig};
  if (type == kTimeExceeded) return Meaning{};
  if (type != kUnreachable || code >= kUnreachableV6.size()) return std::nullopt;
  return kUnreachableV6[code];
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
  std::optional<Meaning> meaning;
  if (ip->protocol == kProtocolIcmp) meaning = MeaningV4(type, code);
  if (ip->protocol == kProtocolIcmpV6) meaning = MeaningV6(type, code);
  if (!meaning || !ChecksumRight(*ip)) return false;
  out->kind = meaning->kind;
  out->cause = meaning->cause;
  out->no_route = meaning->no_route;
  if (meaning->kind == Kind::kPacketTooBig)
    out->mtu = ip->protocol == kProtocolIcmp ? LoadBig<uint16_t>(&ip->payload[6])
                                             : LoadBig<uint32_t>(&ip->payload[4]);
  const auto quoted = ParseIp(ip->payload.subspan(8), /*truncated=*/true);
  // RFC 792: at least 8 bytes of the segment are quoted: ports and sequence number.
  if (!quoted || quoted->fragment || quoted->protocol != kProtocolTcp || quoted->payload.size() < 8)
    return false;
  out->packet = static_cast<uint32_t>(quoted->total);
  out->tuple.local = {quoted->source, LoadBig<uint16_t>(&quoted->payload[0])};
  out->tuple.remote = {quoted->destination, LoadBig<uint16_t>(&quoted->payload[2])};
  out->seq = {LoadBig<uint32_t>(&quoted->payload[4])};
  return true;
}

}  // namespace mptcptls
