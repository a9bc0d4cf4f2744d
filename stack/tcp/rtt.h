// Round-trip time and retransmission timeout (RFC 6298), with the minimum over the path's life that
// RACK and the scheduler use.
#ifndef MPTCPTLS_STACK_TCP_RTT_H_
#define MPTCPTLS_STACK_TCP_RTT_H_

#include <algorithm>

#include "stack/types.h"

namespace mptcptls {

class RttEstimator {
 public:
  static constexpr Duration kInitialRto = std::chrono::seconds(1);          // RFC 6298 (2.1)
  static constexpr Duration kMinVariance = std::chrono::milliseconds(200);  // ours, as Linux's
  static constexpr Duration kMaxRto = std::chrono::seconds(120);            // as Linux's

  void Sample(Duration rtt) { Sample(rtt, rtt); }
  // Where one acknowledgement tells of several packets: the `oldest` one says how long an answer
  // may take, with what the network and the peer held back (srtt; Linux takes the same); the
  // `newest` one what the path itself takes.
  void Sample(Duration oldest, Duration newest) {
    constexpr Duration kLeast = std::chrono::microseconds(1);
    const Duration rtt = std::max(oldest, kLeast);
    newest = std::max(newest, kLeast);
    min_ = valid_ ? std::min(min_, newest) : newest;
    if (!valid_) {  // (2.2)
      srtt_ = rtt;
      rttvar_ = rtt / 2;
    } else {  // (2.3)
      const Duration error = rtt > srtt_ ? rtt - srtt_ : srtt_ - rtt;
      rttvar_ = (3 * rttvar_ + error) / 4;
      srtt_ = (7 * srtt_ + rtt) / 8;
    }
    valid_ = true;
  }

  bool valid() const { return valid_; }
  Duration srtt() const { return srtt_; }
  Duration rttvar() const { return rttvar_; }
  Duration min() const { return min_; }
  // Without back-off.
  Duration Rto() const {
    return valid_ ? std::min(srtt_ + std::max(4 * rttvar_, kMinVariance), kMaxRto) : kInitialRto;
  }

 private:
  bool valid_ = false;
  Duration srtt_{0}, rttvar_{0}, min_{0};
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_RTT_H_
