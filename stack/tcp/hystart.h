// HyStart++ (RFC 9406): slow start ends before the queue that it fills overflows. A round whose
// least round trip time is clearly above that of the round before slows the growth down; if that
// stays so for some rounds, slow start is over.
#ifndef MPTCPTLS_STACK_TCP_HYSTART_H_
#define MPTCPTLS_STACK_TCP_HYSTART_H_

#include <algorithm>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

class HyStart {
 public:
  // Judged as soon as the round has enough samples: later ones have waited behind this round's own
  // packets.
  void OnRtt(Duration rtt) {
    round_min_ = std::min(round_min_, rtt);
    if (++samples_ < kSamples) return;
    if (conservative_rounds_ > 0) {
      if (round_min_ < baseline_) conservative_rounds_ = 0;  // it was a passing thing
      return;
    }
    if (last_round_min_ == Duration::max()) return;
    const Duration step = std::clamp<Duration>(last_round_min_ / 8, std::chrono::milliseconds(4),
                                               std::chrono::milliseconds(16));
    if (round_min_ >= last_round_min_ + step) {
      baseline_ = round_min_;
      conservative_rounds_ = 1;
    }
  }
  // Bytes by which `acked` lets the window grow (RFC 9406 4.2 and 4.3; senders here are paced, so
  // there is no limit L).
  uint32_t Growth(uint32_t acked) const {
    return conservative_rounds_ > 0 ? acked / kConservativeDivisor : acked;
  }
  // A round trip is over. True: slow start is, too.
  bool OnRound() {
    last_round_min_ = round_min_;
    round_min_ = Duration::max();
    samples_ = 0;
    return conservative_rounds_ > 0 && ++conservative_rounds_ > kConservativeRounds;
  }
  void Reset() { *this = HyStart(); }

 private:
  static constexpr int kSamples = 8;                   // N_RTT_SAMPLE
  static constexpr int kConservativeRounds = 5;        // CSS_ROUNDS
  static constexpr uint32_t kConservativeDivisor = 4;  // CSS_GROWTH_DIVISOR

  Duration round_min_ = Duration::max(), last_round_min_ = Duration::max(), baseline_{0};
  int samples_ = 0;
  int conservative_rounds_ = 0;  // begun so far; 0: not in conservative slow start
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_HYSTART_H_
