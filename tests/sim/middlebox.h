// What networks do to packets that they should only forward (RFC 8684 6): small functions, put on a
// link one after the other. Each takes a packet as it is on a wire (one MTU at most, checksum
// complete) and emits none, one or several, with checksums made right again.
#ifndef MPTCPTLS_TESTS_SIM_MIDDLEBOX_H_
#define MPTCPTLS_TESTS_SIM_MIDDLEBOX_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/sim/packet.h"

namespace mptcptls::sim {

using Middlebox = std::function<void(Packet packet, std::vector<Packet>* out)>;
using Selector = std::function<bool(const TcpView&)>;

// Option 30 replaced by NOPs on the packets that `which` selects.
Middlebox StripMptcp(Selector which);
// SACK-permitted replaced by NOPs: the path has no selective acknowledgement.
Middlebox StripSackPermitted();
// Drops every packet with option 30 that `which` selects (a firewall that knows better).
Middlebox DropMptcp(Selector which);
// Cuts payloads into pieces of at most `size` bytes, all with the options of the whole.
Middlebox Split(size_t size);
// Holds each data packet and joins the next one to it, options or not: only the first one's options
// survive (a resegmenting proxy). A packet that does not continue flushes the held one.
Middlebox Coalesce(size_t size);
// Changes one payload byte of the n-th data packet (an application level gateway).
Middlebox AlterPayload(uint64_t n);
// Puts the SYN's own MP_CAPABLE on the SYN/ACK, as servers do that echo unknown options: one half
// sits on the way to the server and the other on the way back.
struct EchoPair {
  Middlebox towards_server, towards_client;
};
EchoPair EchoMpCapable();
// One-to-one address translation: `inside` is seen as `outside` beyond the box.
struct NatPair {
  Middlebox outbound, inbound;
};
NatPair Nat(const IpAddress& inside, const IpAddress& outside);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_MIDDLEBOX_H_
