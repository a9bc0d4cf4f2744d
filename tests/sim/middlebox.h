// What networks do to packets that they should only forward (RFC 8684 6): small functions, put on a
// link one after the other. Each takes a packet as it is on a wire (one MTU at most, checksum
// complete) and emits none, one or several, with checksums made right again. A box that holds
// packets lets them go when anything else than TCP comes; the link sends an empty packet through
// after a quiet moment, as a clock would tick.
#ifndef MPTCPTLS_TESTS_SIM_MIDDLEBOX_H_
#define MPTCPTLS_TESTS_SIM_MIDDLEBOX_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "tests/sim/packet.h"

namespace mptcptls::sim {

using Middlebox = std::function<void(Packet packet, std::vector<Packet>* out)>;
using Selector = std::function<bool(const TcpView&)>;

// Option 30 replaced by NOPs on the packets that `which` selects.
Middlebox StripMptcp(Selector which);
// SACK-permitted replaced by NOPs: the path has no selective acknowledgement.
Middlebox StripSackPermitted();
// The option of this kind replaced by NOPs.
Middlebox StripOption(uint8_t kind, Selector which);
// The MSS of SYNs becomes `mss`, larger or smaller.
Middlebox RewriteMss(uint16_t mss);
// Every n-th data packet says that it is urgent, up to `pointer` bytes on.
Middlebox MarkUrgent(uint64_t n, uint16_t pointer);
// Drops every packet with option 30 that `which` selects (a firewall that knows better).
Middlebox DropMptcp(Selector which);
// Cuts payloads into pieces of at most `size` bytes, all with the options of the whole.
Middlebox Split(size_t size);
// Holds each data packet and joins the next one to it, options or not: only the first one's options
// survive (a resegmenting proxy). A packet that does not continue flushes the held one.
Middlebox Coalesce(size_t size);
// Cuts and joins the stream anew, into segments of `size` bytes. Where options of kind 30 differ
// the old boundary stays: each byte keeps its own.
Middlebox Resegment(size_t size);
// Every n-th data packet is overtaken by the `by` next ones.
Middlebox Reorder(uint64_t n, uint64_t by);
// Every n-th packet comes a second time, after the `late` next ones.
Middlebox Duplicate(uint64_t n, uint64_t late);
// Changes one payload byte of the n-th data packet (an application level gateway).
Middlebox AlterPayload(uint64_t n);
// An attacker who sees everything and holds no key: beside every n-th pure acknowledgement goes one
// with a forged ADD_ADDR, MP_FASTCLOSE or NEW_KEY, or the SYN of a join that was seen before, from
// another port.
Middlebox Forge(uint64_t n);
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

// A translator of ports: a flow keeps its port while that is free. It forgets what it knew when it
// is rebound (a restart, a timeout): each flow then gets another port with its next packet out, and
// what comes in for the old one is dropped.
class PortNat {
 public:
  PortNat();
  Middlebox outbound() const;
  Middlebox inbound() const;
  void Rebind();

 private:
  struct Table {
    std::map<FourTuple, uint16_t> outside;  // by the flow as seen inside
    std::map<FourTuple, uint16_t> inside;   // by the flow as seen outside
    uint16_t next = kFirstPort;
  };
  static constexpr uint16_t kFirstPort = 20000;
  static uint16_t Map(Table* table, const FourTuple& flow, bool opening);
  std::shared_ptr<Table> table_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_MIDDLEBOX_H_
