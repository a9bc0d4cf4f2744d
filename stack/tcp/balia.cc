#include "stack/tcp/balia.h"

#include <algorithm>

namespace mptcptls {

// The draft's x_r / rtt_r / (SUM x_k)^2 * (1 + alpha_r) / 2 * (4 + alpha_r) / 5.
double Balia::Increase() const {
  const double sum = SumOfRates(), alpha = Alpha();
  return self().rate() / self().rtt / (sum * sum) * ((1 + alpha) / 2) * ((4 + alpha) / 5);
}

// The draft's decrease by w_r / 2 * min(alpha_r, 1.5): a half to three quarters.
uint32_t Balia::Reduced(uint32_t in_flight) {
  constexpr double kMost = 1.5;
  const double alpha = self().counts ? std::min(Alpha(), kMost) : 1;
  return static_cast<uint32_t>(in_flight * (1 - alpha / 2));
}

}  // namespace mptcptls
