// The round trip as a receiver sees it that sends nothing to be acknowledged: from the peer's
// echoes of our timestamps (RFC 7323 4.1), and without them from the time in which a window is used
// up. What Linux's tcp_rcv_rtt_update() does.
#ifndef MPTCPTLS_STACK_TCP_RECEIVE_RTT_H_
#define MPTCPTLS_STACK_TCP_RECEIVE_RTT_H_

#include <algorithm>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

class ReceiveRtt {
 public:
  Duration rtt() const { return rtt_; }

  // A full segment in order echoes a timestamp of ours; `age`: how long ago that was.
  void OnEcho(uint32_t echo, std::chrono::milliseconds age) {
    if (seen_ && echo == last_echo_) return;
    seen_ = true;
    last_echo_ = echo;
    const Duration sample = std::max(age, std::chrono::milliseconds(1));
    rtt_ = rtt_ == Duration::zero() ? sample : (7 * rtt_ + sample) / 8;
  }

  // Without timestamps: `offset` bytes arrived in order so far, `window` is what was offered. The
  // sender may take its time, so the least is believed.
  void OnProgress(Time now, uint64_t offset, uint32_t window) {
    if (offset < turn_) return;
    if (turn_ > 0) {
      const Duration sample = std::max<Duration>(now - turn_since_, std::chrono::milliseconds(1));
      rtt_ = rtt_ == Duration::zero() ? sample : std::min(rtt_, sample);
    }
    turn_ = offset + window;
    turn_since_ = now;
  }

 private:
  Duration rtt_{0};
  bool seen_ = false;
  uint32_t last_echo_ = 0;
  uint64_t turn_ = 0;  // the offset that ends the round trip under way
  Time turn_since_{};
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_RECEIVE_RTT_H_
