// The path MTU of one subflow: what routers say of it (RFC 1191, RFC 8201), and where they say
// nothing, what gets through (RFC 4821, RFC 8899). Sizes are those of whole IP packets. No I/O, no
// timer: the subflow tells what became of its packets and asks for the size to be tried next.
//
// While nothing is wrong, packets are as large as the limit and nothing is probed. A smaller value
// comes from ICMP, or is a guess after timeouts; it is searched upwards with probes, one at a time:
// the ceiling first (a path that was only dead for a while is as good as before), then halfway.
// Every finding is forgotten after ten minutes, when the search begins anew.
#ifndef MPTCPTLS_STACK_TCP_PATH_MTU_H_
#define MPTCPTLS_STACK_TCP_PATH_MTU_H_

#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

// What is known of a path, for the next connection over it.
struct KnownMtu {
  uint32_t mtu = 0;      // gets through
  uint32_t ceiling = 0;  // nothing larger gets through
  Time expires{};
};

class PathMtu {
 public:
  static constexpr uint32_t kFloorV4 = 552;   // as Linux (net.ipv4.route.min_pmtu)
  static constexpr uint32_t kFloorV6 = 1280;  // RFC 8200 5
  static constexpr uint32_t kBaseV4 = 1024;   // RFC 4821 7.2, and Linux's tcp_base_mss
  static constexpr uint32_t kBaseV6 = 1280;   // RFC 8899 5.1.2: BASE_PLPMTU
  // RFC 1191 6.3: not less; RFC 8899 5.1.1: PMTU_RAISE_TIMER; Linux's mtu_expires.
  static constexpr Duration kLifetime = std::chrono::minutes(10);
  static constexpr int kSilences = 2;          // ours: timeouts in a row that make a black hole
  static constexpr int kMaxProbes = 3;         // RFC 8899 5.1.2: MAX_PROBES
  static constexpr uint32_t kGranularity = 8;  // as Linux (tcp_probe_threshold)

  PathMtu(Family family, uint32_t limit) : family_(family) { Forget(limit); }
  // What an earlier connection learned.
  void Begin(const KnownMtu& known);
  // Never more than this: the interface's MTU, or what the peer's MSS allows.
  void SetLimit(uint32_t limit);

  uint32_t mtu() const { return mtu_; }
  uint32_t limit() const { return limit_; }
  // What is worth telling the next connection; `mtu` is 0 when that is nothing.
  KnownMtu known(Time now) const;

  // A router says that a packet of ours was too big (RFC 1191 3, RFC 8201 4); `packet` is the size
  // that it had. True: mtu() is smaller now.
  bool OnTooBig(uint32_t reported, uint32_t packet, Time now);
  // The oldest packet, of this size, met a retransmission timeout. True: mtu() is smaller now.
  bool OnTimeout(uint32_t packet);
  // A packet of this size arrived. True: a black hole is proven, or not to be one.
  bool OnDelivered(uint32_t packet, Time now);

  // The size to be tried next, 0: none.
  uint32_t NextProbe(Time now);
  void OnProbeSent() { probing_ = true; }
  void OnProbeDelivered(uint32_t packet, Time now);
  // It was lost, or it cannot be told from its retransmission.
  void OnProbeLost(uint32_t packet, Time now);

 private:
  void Forget(uint32_t limit);
  uint32_t floor() const { return family_ == Family::kV4 ? kFloorV4 : kFloorV6; }
  uint32_t base() const { return family_ == Family::kV4 ? kBaseV4 : kBaseV6; }
  bool search_over() const { return ceiling_ < mtu_ + kGranularity; }

  Family family_;
  uint32_t limit_ = 0;
  uint32_t mtu_ = 0;
  uint32_t ceiling_ = 0;  // nothing larger is tried before raise_at_
  Time raise_at_ = kNever;
  bool suspected_ = false;  // a black hole: lowered, and nothing arrived since
  bool at_ceiling_ = true;  // the ceiling itself is tried first
  bool probing_ = false;    // one is on its way
  int silences_ = 0, tries_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_PATH_MTU_H_
