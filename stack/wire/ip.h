// The IP header of a packet taken from the device, checked (RFC 791 3.1, RFC 8200 3 and 4).
#ifndef MPTCPTLS_STACK_WIRE_IP_H_
#define MPTCPTLS_STACK_WIRE_IP_H_

#include <cstdint>
#include <optional>

#include "stack/types.h"

namespace mptcptls {

struct IpPacket {
  IpAddress source, destination;
  uint8_t protocol = 0;
  uint8_t ecn = 0;
  bool fragment = false;
  size_t total = 0;  // as the header says, whatever is there
  ByteSpan payload;
};

// nullopt: malformed. A packet quoted in an ICMP error may be cut short: then `truncated` allows
// the stated length to exceed what is there.
std::optional<IpPacket> ParseIp(ByteSpan packet, bool truncated = false);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_IP_H_
