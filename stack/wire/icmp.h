// ICMP (RFC 792, RFC 1191) and ICMPv6 (RFC 4443) errors that quote a TCP segment of ours.
#ifndef MPTCPTLS_STACK_WIRE_ICMP_H_
#define MPTCPTLS_STACK_WIRE_ICMP_H_

#include <cstdint>

#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

struct IcmpError {
  enum class Kind : uint8_t {
    kSoft,  // network or host unreachable, time exceeded: it may pass (RFC 5461 2)
    kHard,  // port or protocol unreachable, administratively prohibited: ends a connection attempt
    kPacketTooBig,
  };
  Kind kind = Kind::kSoft;
  uint32_t mtu = 0;  // kPacketTooBig; 0: an old router did not say
  FourTuple tuple;   // of the quoted segment, seen from this host (it sent it)
  Seq seq;
};

// False: no ICMP error about a TCP segment, or malformed.
bool ParseIcmpError(ByteSpan packet, IcmpError* out);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_ICMP_H_
