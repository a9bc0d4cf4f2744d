// The stack's one seam to the world below: packets out, randomness in, routes and ports. The engine
// implements it over the TUN device, the simulator over simulated links.
#ifndef MPTCPTLS_STACK_ENVIRONMENT_H_
#define MPTCPTLS_STACK_ENVIRONMENT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "stack/types.h"

namespace mptcptls {

// One IP packet, up to 65,521 bytes, in pieces that are valid only during Output(). The TCP
// checksum field always holds the pseudo-header's partial sum: the device (or the simulator)
// completes it (vnet header, NEEDS_CSUM).
struct OutgoingPacket {
  Family family = Family::kV4;
  ByteSpan headers;  // IP + TCP with options
  std::array<ByteSpan, 3> payload{};
  int payload_pieces = 0;
  uint16_t tcp_offset = 0;  // of the TCP header in `headers`
  uint16_t gso_size = 0;    // payload bytes per packet on the wire; 0 when all fits one packet

  size_t payload_size() const {
    size_t n = 0;
    for (int i = 0; i < payload_pieces; ++i) n += payload[static_cast<size_t>(i)].size();
    return n;
  }
};

class Environment {
 public:
  virtual ~Environment() = default;

  // Sends or drops; never calls back into the stack.
  virtual void Output(const OutgoingPacket& packet) = 0;

  // Cryptographic randomness (engine) or seeded (simulator).
  virtual void Random(std::span<uint8_t> out) = 0;

  // MTU of the route from `local` to `remote` over local's own uplink; nullopt: no route there.
  virtual std::optional<uint32_t> RouteMtu(const IpAddress& local, const IpAddress& remote) = 0;

  // The local address that this host would use towards `remote`, nullopt: unreachable.
  virtual std::optional<IpAddress> PreferredSource(const IpAddress& remote) = 0;

  // Source ports that belong to the stack. Grows (by one block, at the end) when called with
  // `more`.
  virtual std::span<const uint16_t> SourcePorts(bool more) = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_ENVIRONMENT_H_
