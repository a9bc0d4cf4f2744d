// A router on the way, as a middlebox: it forwards what fits the next link and says so, or not,
// when something does not.
#ifndef MPTCPTLS_TESTS_SIM_ROUTER_H_
#define MPTCPTLS_TESTS_SIM_ROUTER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "tests/sim/middlebox.h"
#include "tests/sim/packet.h"

namespace mptcptls::sim {

// The ICMP (RFC 792) or ICMPv6 (RFC 4443) error about `packet`, to its source; `word` is the second
// one of the ICMP header. From the packet's destination, which will do for a router.
Packet BuildIcmpError(const Packet& packet, uint8_t type, uint8_t code, uint32_t word);
// Packet too big, in the packet's family.
Packet BuildTooBig(const Packet& packet, uint32_t mtu);
// A router that drops everything and says that the host is unreachable, or that the port is.
Packet BuildHostUnreachable(const Packet& packet);
Packet BuildPortUnreachable(const Packet& packet);

struct Router {
  enum class Icmp : uint8_t {
    kTells,       // packet too big, with the MTU
    kWithoutMtu,  // of the time before RFC 1191 (IPv4)
    kFiltered,    // a black hole for large packets
  };
  uint32_t mtu = 65535;  // of the next link
  Icmp icmp = Icmp::kTells;
  // Nothing is forwarded, as a link is down (kTells: and the sender hears of it).
  bool no_route = false;
  bool no_port = false;               // SYNs are answered as by a host that knows no TCP there
  std::function<void(Packet)> reply;  // brings an ICMP error back to the sender
  uint64_t dropped = 0, replies = 0;

  // On the link through this router. May be changed while packets pass.
  static Middlebox Box(std::shared_ptr<Router> router);
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_ROUTER_H_
