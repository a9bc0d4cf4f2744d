#include "tests/sim/router.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace mptcptls::sim {
namespace {

constexpr size_t kV4Header = 20, kV6Header = 40;
constexpr uint8_t kIcmp = 1, kIcmp6 = 58;
// RFC 1812 4.3.2.3, RFC 4443 2.4 (c): as much of the packet as fits.
constexpr size_t kMostV4 = 576, kMostV6 = 1280;

bool IsV4(const Packet& packet) { return packet.bytes[0] >> 4 == 4; }

void Put16(std::vector<uint8_t>* out, size_t at, uint32_t v) {
  (*out)[at] = static_cast<uint8_t>(v >> 8);
  (*out)[at + 1] = static_cast<uint8_t>(v);
}

uint16_t Sum(std::span<const uint8_t> bytes, uint32_t start) {
  uint32_t sum = start;
  for (size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] << 8 : bytes[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

}  // namespace

Packet BuildIcmpError(const Packet& packet, uint8_t type, uint8_t code, uint32_t word) {
  const bool v4 = IsV4(packet);
  const size_t ip = v4 ? kV4Header : kV6Header;
  const size_t quoted = std::min(packet.bytes.size(), (v4 ? kMostV4 : kMostV6) - ip - 8);
  Packet out;
  std::vector<uint8_t>& b = out.bytes;
  b.resize(ip + 8);
  b.insert(b.end(), packet.bytes.begin(), packet.bytes.begin() + static_cast<ptrdiff_t>(quoted));
  b[ip] = type;
  b[ip + 1] = code;
  Put16(&b, ip + 4, word >> 16);
  Put16(&b, ip + 6, word & 0xffff);
  uint32_t pseudo = 0;
  if (v4) {
    b[0] = 0x45;
    Put16(&b, 2, static_cast<uint32_t>(b.size()));
    b[8] = 64;
    b[9] = kIcmp;
    std::copy_n(packet.bytes.begin() + 16, 4, b.begin() + 12);
    std::copy_n(packet.bytes.begin() + 12, 4, b.begin() + 16);
    Put16(&b, 10, Sum(std::span(b).first(ip), 0));
  } else {
    b[0] = 0x60;
    Put16(&b, 4, static_cast<uint32_t>(b.size() - ip));
    b[6] = kIcmp6;
    b[7] = 64;
    std::copy_n(packet.bytes.begin() + 24, 16, b.begin() + 8);
    std::copy_n(packet.bytes.begin() + 8, 16, b.begin() + 24);
    for (size_t i = 8; i < kV6Header; i += 2) pseudo += static_cast<uint32_t>(b[i] << 8 | b[i + 1]);
    pseudo += kIcmp6 + static_cast<uint32_t>(b.size() - ip);
  }
  Put16(&b, ip + 2, Sum(std::span(b).subspan(ip), pseudo));
  return out;
}

Packet BuildTooBig(const Packet& packet, uint32_t mtu) {
  return IsV4(packet) ? BuildIcmpError(packet, 3, 4, mtu) : BuildIcmpError(packet, 2, 0, mtu);
}

Packet BuildHostUnreachable(const Packet& packet) {
  return IsV4(packet) ? BuildIcmpError(packet, 3, 1, 0) : BuildIcmpError(packet, 1, 3, 0);
}

Packet BuildPortUnreachable(const Packet& packet) {
  return IsV4(packet) ? BuildIcmpError(packet, 3, 3, 0) : BuildIcmpError(packet, 1, 4, 0);
}

Middlebox Router::Box(std::shared_ptr<Router> router) {
  return [r = std::move(router)](Packet packet, std::vector<Packet>* out) {
    if (packet.bytes.empty()) return out->push_back(std::move(packet));  // the link's tick
    const bool large = packet.bytes.size() > r->mtu;
    const auto view = TcpView::Of(packet.bytes);
    const bool refused = r->no_port && view && !view->has(kAck);
    if (!large && !r->no_route && !refused) return out->push_back(std::move(packet));
    ++r->dropped;
    if (r->icmp == Icmp::kFiltered || !r->reply) return;
    ++r->replies;
    if (refused) return r->reply(BuildPortUnreachable(packet));
    if (!large) return r->reply(BuildHostUnreachable(packet));
    r->reply(BuildTooBig(packet, r->icmp == Icmp::kTells ? r->mtu : 0));
  };
}

}  // namespace mptcptls::sim
