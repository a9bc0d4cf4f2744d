// When the next segment may leave: a window is spread over its round trip, so that large segments
// never burst into a slow path. Segments are sized to the rate as well, about a millisecond's worth
// each.
#ifndef MPTCPTLS_STACK_TCP_PACER_H_
#define MPTCPTLS_STACK_TCP_PACER_H_

#include <algorithm>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

class Pacer {
 public:
  // Faster than the window itself, so that pacing is never what limits: twice in slow start, where
  // the window doubles each round trip, else 1.2 times (as Linux does).
  void SetRate(uint32_t cwnd, bool growing, Duration srtt) {
    const double seconds = std::chrono::duration<double>(srtt).count();
    rate_ = seconds <= 0 ? 0 : (growing ? 2.0 : 1.2) * cwnd / seconds;
  }
  // The first window leaves at once (RFC 6928), as nothing is known of the path.
  void AllowBurst(uint32_t bytes) { burst_ = bytes; }

  // Bytes per second; 0: nothing is paced.
  uint64_t rate() const { return static_cast<uint64_t>(rate_); }
  Time ReadyAt() const { return next_ - kCredit; }
  bool Ready(Time now) const { return ReadyAt() <= now; }
  void OnSent(Time now, size_t bytes) {
    if (burst_ > 0) {
      burst_ -= std::min<uint32_t>(burst_, static_cast<uint32_t>(bytes));
      return;
    }
    if (rate_ <= 0) return;
    const std::chrono::duration<double> time(static_cast<double>(bytes) / rate_);
    next_ = std::max(next_, now) + std::chrono::duration_cast<Duration>(time);
  }
  // Payload bytes for one segment; `nearby`: the path is so short that sizes do not matter.
  size_t SegmentSize(uint32_t mss, size_t most, bool nearby) const {
    if (rate_ <= 0 || nearby) return most;
    const auto worth = static_cast<size_t>(rate_ * std::chrono::duration<double>(kQuantum).count());
    return std::clamp<size_t>(worth, std::min<size_t>(2 * mss, most), most);
  }

 private:
  static constexpr Duration kQuantum = std::chrono::milliseconds(1);
  // Timers are late: as much may be made up for.
  static constexpr Duration kCredit = std::chrono::milliseconds(1);

  double rate_ = 0;     // bytes per second; 0: not known yet, no pacing
  Time next_{kCredit};  // when everything sent so far has had its time
  uint32_t burst_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_PACER_H_
