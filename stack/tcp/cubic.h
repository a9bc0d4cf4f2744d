// CUBIC congestion control (RFC 9438), in bytes. Knows nothing of packets: the subflow tells it
// what was acknowledged and what was lost, and reads the window.
#ifndef MPTCPTLS_STACK_TCP_CUBIC_H_
#define MPTCPTLS_STACK_TCP_CUBIC_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "stack/types.h"

namespace mptcptls {

class Cubic {
 public:
  // The initial window is ten segments (RFC 6928).
  void Init(uint32_t mss) {
    mss_ = mss;
    cwnd_ = kInitialSegments * mss;
  }
  void set_mss(uint32_t mss) { mss_ = mss; }
  uint32_t cwnd() const { return cwnd_; }
  uint32_t ssthresh() const { return ssthresh_; }
  bool in_slow_start() const { return cwnd_ < ssthresh_; }

  // `bytes` were acknowledged outside recovery while the window was in full use.
  void OnAcked(Time now, uint32_t bytes, Duration srtt);
  // HyStart++: a round trip time was measured, and a round trip is over.
  void OnRtt(Duration rtt) { round_min_ = std::min(round_min_, rtt); }
  void OnRound();
  // A loss event begins: sets ssthresh (RFC 9438 4.6).
  void OnLoss(uint32_t in_flight);
  void OnTimeout(uint32_t in_flight);  // RFC 9438 4.8
  // Recovery ends, or its reduction goes on packet by packet (RFC 6937).
  void set_cwnd(uint32_t cwnd) { cwnd_ = cwnd < mss_ ? mss_ : cwnd; }
  // After an idle time nothing is known of the path any more (RFC 5681 4.1).
  void OnIdle() {
    if (cwnd_ > kInitialSegments * mss_) cwnd_ = kInitialSegments * mss_;
  }

 private:
  static constexpr uint32_t kInitialSegments = 10;
  static constexpr int kConservativeRounds = 5;        // RFC 9406 4.3: CSS_ROUNDS
  static constexpr uint32_t kConservativeDivisor = 4;  // CSS_GROWTH_DIVISOR
  static constexpr double kC = 0.4, kBeta = 0.7;

  uint32_t mss_ = 1;
  uint32_t cwnd_ = 0;
  uint32_t ssthresh_ = std::numeric_limits<uint32_t>::max();
  // In segments, as the RFC's formulas.
  double w_max_ = 0, k_ = 0, w_est_ = 0, cwnd_prior_ = 0, fraction_ = 0;
  Time epoch_ = kNever;
  // The least round trip time of this round, of the one before, and of that which ended slow start.
  Duration round_min_ = Duration::max(), last_round_min_ = Duration::max(), css_base_{0};
  int css_rounds_ = 0;  // 0: not in conservative slow start
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_CUBIC_H_
