// Congestion control of one subflow, in bytes. Knows nothing of packets: the subflow tells it what
// was acknowledged and what was lost, and reads the window. Slow start (RFC 5681 3.1 with RFC 9406)
// and what is common are here; how the window grows and shrinks in congestion avoidance is the
// algorithm's: CUBIC (cubic.h), NewReno (new_reno.h), and those that couple a connection's subflows
// (coupled.h).
#ifndef MPTCPTLS_STACK_TCP_CONGESTION_H_
#define MPTCPTLS_STACK_TCP_CONGESTION_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>

#include "stack/tcp/hystart.h"
#include "stack/tcp/policy.h"
#include "stack/types.h"

namespace mptcptls {

class CongestionGroup;

class CongestionControl {
 public:
  // `group`: of the subflows that a coupled algorithm couples, outlives the result. Null: the
  // subflow is alone, and a coupled algorithm is NewReno.
  static std::unique_ptr<CongestionControl> Create(CongestionAlgorithm algorithm,
                                                   CongestionGroup* group = nullptr);
  virtual ~CongestionControl() = default;

  // The initial window is ten segments (RFC 6928).
  void Init(uint32_t mss) {
    mss_ = mss;
    cwnd_ = InitialWindow();
  }
  void set_mss(uint32_t mss) {
    mss_ = mss;
    cwnd_ = std::max(cwnd_, mss);
  }
  uint32_t cwnd() const { return cwnd_; }
  uint32_t ssthresh() const { return ssthresh_; }
  bool in_slow_start() const { return cwnd_ < ssthresh_; }
  uint32_t InitialWindow() const { return kInitialSegments * mss_; }

  // `bytes` were acknowledged outside recovery while the window was in full use.
  void OnAcked(Time now, uint32_t bytes, Duration srtt) {
    if (in_slow_start()) {
      cwnd_ += std::min(hystart_.Growth(bytes), ssthresh_ - cwnd_);
    } else {
      const int64_t window = cwnd_ + Growth(now, bytes, srtt);
      cwnd_ = static_cast<uint32_t>(std::max<int64_t>(window, std::min(cwnd_, 2 * mss_)));
      ssthresh_ = std::min(ssthresh_, cwnd_);  // where it shrank: that begins no slow start
    }
  }
  // `bytes` arrived at the peer, in use of the full window or not; `reducing`: the window is on its
  // way to ssthresh. Comes before OnAcked().
  void OnDelivered(Time now, uint32_t bytes, Duration srtt, bool reducing) {
    Tell(now, bytes, srtt, reducing ? ssthresh_ : cwnd_);
  }
  // The path does not answer, or is closed: the other subflows count on it no more until something
  // is delivered.
  void OnSilence() { Withdraw(); }
  // A round trip time was measured; a round trip is over.
  void OnRtt(Duration rtt) { hystart_.OnRtt(rtt); }
  void OnRound() {
    const bool over = hystart_.OnRound();
    if (over && in_slow_start()) {
      ssthresh_ = cwnd_;
      hystart_.Reset();
    }
  }
  // An episode of congestion begins: what Undo() goes back to.
  void Remember() {
    prior_cwnd_ = cwnd_;
    prior_ssthresh_ = ssthresh_;
    Save();
  }
  // The network is congested: a lower ssthresh for `in_flight` bytes. The window follows packet by
  // packet (RFC 6937).
  void OnCongestion(uint32_t in_flight) {
    hystart_.Reset();
    ssthresh_ = std::max(Reduced(in_flight), 2 * mss_);
  }
  // The episode was none: what seemed lost was late (RFC 4015, RFC 9438 4.9).
  void Undo() {
    cwnd_ = std::max(cwnd_, prior_cwnd_);
    ssthresh_ = std::max(ssthresh_, prior_ssthresh_);
    Restore();
  }
  // The path has held others up (Raiciu et al., NSDI 2012, 4.2, "penalizing slow subflows"). In
  // slow start nothing is known of what the path takes, so ssthresh stays (Paasch et al.,
  // "Experimental Evaluation of Multipath TCP Schedulers", CSWS 2014).
  void Penalise() {
    if (cwnd_ <= 2 * mss_) return;
    const bool known = !in_slow_start();
    Reduced(cwnd_);  // the algorithm begins anew from there
    cwnd_ = std::max(cwnd_ / 2, 2 * mss_);
    if (known) ssthresh_ = cwnd_;
  }
  void set_cwnd(uint32_t cwnd) { cwnd_ = std::max(cwnd, mss_); }
  // Nothing was sent for `idle`. After an RTO of that nothing is known of the path any more (RFC
  // 5681 4.1).
  void OnIdle(Duration idle, Duration rto) {
    if (idle > rto) cwnd_ = std::min(cwnd_, InitialWindow());
    Shift(idle);
  }

 protected:
  // Congestion avoidance: by how many bytes the window grows, or shrinks (OLIA).
  virtual int64_t Growth(Time now, uint32_t bytes, Duration srtt) = 0;
  virtual uint32_t Reduced(uint32_t in_flight) = 0;  // the new ssthresh
  virtual void Save() {}
  virtual void Restore() {}
  virtual void Shift(Duration /*idle*/) {}  // time that does not count
  // What the connection's other subflows are told.
  virtual void Tell(Time /*now*/, uint32_t /*bytes*/, Duration /*srtt*/, uint32_t /*window*/) {}
  virtual void Withdraw() {}

  uint32_t mss_ = 1;
  uint32_t cwnd_ = 0;

 private:
  static constexpr uint32_t kInitialSegments = 10;

  uint32_t ssthresh_ = std::numeric_limits<uint32_t>::max();
  uint32_t prior_cwnd_ = 0, prior_ssthresh_ = 0;
  HyStart hystart_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_CONGESTION_H_
