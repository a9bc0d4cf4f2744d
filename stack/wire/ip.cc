#include "stack/wire/ip.h"

#include <algorithm>

#include "stack/wire/bytes.h"
#include "stack/wire/checksum.h"

namespace mptcptls {
namespace {

constexpr size_t kV4Header = 20, kV6Header = 40;
constexpr uint8_t kHopByHop = 0, kRouting = 43, kFragment = 44, kDestinationOptions = 60;

std::optional<IpPacket> ParseV4(ByteSpan packet, bool truncated) {
  if (packet.size() < kV4Header) return std::nullopt;
  const size_t header = (packet[0] & 0x0fu) * 4;
  const size_t total = LoadBig<uint16_t>(&packet[2]);
  if (header < kV4Header || header > packet.size() || total < header) return std::nullopt;
  if (total > packet.size() && !truncated) return std::nullopt;
  if (!truncated) {
    ChecksumSum sum;
    sum.Add(packet.first(header));
    if (sum.Complement() != 0) return std::nullopt;
  }
  IpPacket ip;
  ip.source = IpAddress::V4(packet.subspan(12, 4));
  ip.destination = IpAddress::V4(packet.subspan(16, 4));
  ip.protocol = packet[9];
  ip.ecn = packet[1] & 3;
  ip.total = total;
  ip.fragment = (LoadBig<uint16_t>(&packet[6]) & 0x3fff) != 0;  // MF or an offset
  ip.payload = packet.subspan(header, std::min(total, packet.size()) - header);
  return ip;
}

// Steps over the extension headers that may stand before TCP (RFC 8200 4.1); false: malformed.
bool SkipExtensions(IpPacket* ip) {
  while (ip->protocol == kHopByHop || ip->protocol == kRouting ||
         ip->protocol == kDestinationOptions || ip->protocol == kFragment) {
    if (ip->payload.size() < 8) return false;
    if (ip->protocol == kFragment) {
      ip->fragment = true;
      return true;
    }
    const size_t length = 8 + 8u * ip->payload[1];
    if (length > ip->payload.size()) return false;
    ip->protocol = ip->payload[0];
    ip->payload = ip->payload.subspan(length);
  }
  return true;
}

std::optional<IpPacket> ParseV6(ByteSpan packet, bool truncated) {
  if (packet.size() < kV6Header) return std::nullopt;
  const size_t length = LoadBig<uint16_t>(&packet[4]);
  if (kV6Header + length > packet.size() && !truncated) return std::nullopt;
  IpPacket ip;
  ip.source = IpAddress::V6(packet.subspan(8, 16));
  ip.destination = IpAddress::V6(packet.subspan(24, 16));
  ip.protocol = packet[6];
  ip.ecn = packet[1] >> 4 & 3;
  ip.total = kV6Header + length;
  ip.payload = packet.subspan(kV6Header, std::min(length, packet.size() - kV6Header));
  if (!SkipExtensions(&ip)) return std::nullopt;
  return ip;
}

}  // namespace

std::optional<IpPacket> ParseIp(ByteSpan packet, bool truncated) {
  if (packet.empty()) return std::nullopt;
  switch (packet[0] >> 4) {
    case 4:
      return ParseV4(packet, truncated);
    case 6:
      return ParseV6(packet, truncated);
    default:
      return std::nullopt;
  }
}

}  // namespace mptcptls
