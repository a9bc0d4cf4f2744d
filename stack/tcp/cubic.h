// CUBIC (RFC 9438): after a reduction the window follows a cubic function of time back to where it
// was, and beyond.
#ifndef MPTCPTLS_STACK_TCP_CUBIC_H_
#define MPTCPTLS_STACK_TCP_CUBIC_H_

#include "stack/tcp/congestion.h"

namespace mptcptls {

class Cubic final : public CongestionControl {
 protected:
  int64_t Growth(Time now, uint32_t bytes, Duration srtt) override;
  uint32_t Reduced(uint32_t in_flight) override;
  void Save() override { saved_ = epoch_; }
  void Restore() override { epoch_ = saved_; }
  // RFC 9438 5.8: the curve does not run on while nothing is sent.
  void Shift(Duration idle) override {
    if (epoch_.start != kNever) epoch_.start += idle;
  }

 private:
  static constexpr double kC = 0.4, kBeta = 0.7;

  // Windows in segments, as in the RFC's formulas.
  struct Epoch {
    Time start = kNever;
    double w_max = 0, k = 0, w_est = 0, cwnd_prior = 0;
  };
  Epoch epoch_, saved_;
  double fraction_ = 0;  // of a byte, not yet grown
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_CUBIC_H_
