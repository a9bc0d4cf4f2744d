// One direction of a wire: a queue before a transmitter of a given rate, a delay, and everything
// that can go wrong. Order of events for a packet: middleboxes, cut into MTU packets, loss,
// duplication, queue, transmission, propagation (jitter, reordering), GRO at the far end.
#ifndef MPTCPTLS_TESTS_SIM_LINK_H_
#define MPTCPTLS_TESTS_SIM_LINK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/event_queue.h"
#include "tests/sim/middlebox.h"
#include "tests/sim/packet.h"
#include "tests/sim/rng.h"
#include "tests/sim/trace.h"

namespace mptcptls::sim {

struct LinkConfig {
  Duration delay{0};
  uint64_t rate = 0;                // bits per second; 0: unlimited
  size_t queue_bytes = 256 * 1024;  // waiting before the transmitter; the tail is dropped
  size_t mark_above = 0;            // congestion marks when so many bytes wait (RFC 3168); 0: never
  uint32_t mtu = 1500;
  double loss = 0;  // probability for each packet on the wire
  double duplicate = 0;
  double reorder = 0;  // probability that a packet is held for reorder_delay more
  Duration reorder_delay{0};
  Duration jitter{0};              // uniform in [0, jitter], order kept
  Duration scatter{0};             // uniform in [0, scatter], packets overtake each other
  bool offload = false;            // GSO packets cross whole (veth)
  bool complete_checksums = true;  // false: partial ones stay partial (veth)
  Duration gro{0};                 // the receiver joins what comes within this time; 0: no GRO
};

struct LinkStats {
  uint64_t packets = 0, bytes = 0, payload_bytes = 0;  // put on the wire
  uint64_t lost_packets = 0, lost_payload_bytes = 0;   // by loss, pattern and full queue
  uint64_t marked = 0;
  uint64_t queue_drops = 0, oversize_drops = 0, down_drops = 0;
  uint64_t duplicated = 0, reordered = 0;
};

class Link {
 public:
  // `n` counts the packets on the wire from 0.
  using LossPattern = std::function<bool(const TcpView& packet, uint64_t n)>;

  Link(std::string name, const LinkConfig& config, EventQueue* queue, const Rng& rng, Trace* trace,
       std::function<void(Packet)> deliver);

  void Send(Packet packet);

  // Takes effect on packets sent from now on.
  LinkConfig& config() { return config_; }
  // Silent: nobody is told. Packets on their way are lost as well.
  void set_black_hole(bool on) { black_hole_ = on; }
  bool black_hole() const { return black_hole_; }
  void AddMiddlebox(Middlebox box) { middleboxes_.push_back(std::move(box)); }
  // In addition to config().loss; each pattern sees each packet.
  void AddLossPattern(LossPattern pattern) { patterns_.push_back(std::move(pattern)); }

  const LinkStats& stats() const { return stats_; }
  const std::string& name() const { return name_; }

 private:
  void ThroughMiddleboxes(std::vector<Packet> packets);
  void ScheduleTick();
  void SendOnWire(Packet packet);
  bool Lose(const Packet& packet);
  void Drop(TraceEvent event, const Packet& packet);
  void Transmit(Packet packet);
  void Arrive(Packet packet);
  void FlushGro();

  std::string name_;
  LinkConfig config_;
  EventQueue* queue_;
  Rng rng_;
  Trace* trace_;
  std::function<void(Packet)> deliver_;
  std::vector<Middlebox> middleboxes_;
  uint64_t tick_generation_ = 0;
  std::vector<LossPattern> patterns_;
  bool black_hole_ = false;
  uint64_t sent_ = 0;
  Time busy_until_{};    // when the transmitter has sent all that is queued
  Time last_arrival_{};  // so that jitter keeps the order
  std::optional<Packet> gro_;
  uint64_t gro_generation_ = 0;
  LinkStats stats_;
};

// Patterns for Link::AddLossPattern.
// The packets with these numbers (from 0) among those that `which` selects.
Link::LossPattern LoseNth(std::function<bool(const TcpView&)> which, std::vector<uint64_t> numbers);

// Selectors.
bool IsSyn(const TcpView& p);  // SYN without ACK
bool IsSynAck(const TcpView& p);
bool IsData(const TcpView& p);     // carries payload
bool IsPureAck(const TcpView& p);  // no payload, no SYN, FIN, RST
bool IsFin(const TcpView& p);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_LINK_H_
