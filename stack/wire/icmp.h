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
    kHard,  // port or protocol unreachable, administratively prohibited: it stays
    kPacketTooBig,
  };
  // What a program is told, where it is told (Linux's icmp_err_convert and its like for IPv6).
  enum class Cause : uint8_t {
    kHostUnreachable,  // EHOSTUNREACH, and all that has no errno of its own
    kNetUnreachable,   // ENETUNREACH
    kRefused,          // ECONNREFUSED: no such port
    kNoProtocol,       // ENOPROTOOPT: no TCP there
    kProhibited,       // EACCES: a policy (IPv6)
  };
  Kind kind = Kind::kSoft;
  Cause cause = Cause::kHostUnreachable;
  bool no_route = false;  // net or host unreachable: a link on the way is down (RFC 6069 3)
  uint32_t mtu = 0;       // kPacketTooBig; 0: an old router did not say
  uint32_t packet = 0;    // size of the quoted packet, as its IP header says
  FourTuple tuple;        // of the quoted segment, seen from this host (it sent it)
  Seq seq;
};

// False: no ICMP error about a TCP segment, or malformed.
bool ParseIcmpError(ByteSpan packet, IcmpError* out);

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_ICMP_H_
