// The classic (RFC 5681 3.1, counted in bytes as RFC 3465): one segment a round trip, half on loss.
#ifndef MPTCPTLS_STACK_TCP_NEW_RENO_H_
#define MPTCPTLS_STACK_TCP_NEW_RENO_H_

#include "stack/tcp/congestion.h"

namespace mptcptls {

class NewReno final : public CongestionControl {
 protected:
  int64_t Growth(Time, uint32_t bytes, Duration) override {
    acked_ += bytes;
    const uint32_t rounds = acked_ / cwnd_;
    acked_ -= rounds * cwnd_;
    return int64_t{rounds} * mss_;
  }
  uint32_t Reduced(uint32_t in_flight) override {
    acked_ = 0;
    return in_flight / 2;
  }

 private:
  uint32_t acked_ = 0;  // since the window last grew
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_NEW_RENO_H_
