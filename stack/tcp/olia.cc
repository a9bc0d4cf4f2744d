#include "stack/tcp/olia.h"

#include <algorithm>

namespace mptcptls {
namespace {

using Member = CongestionGroup::Member;

// What a path presumably has to give: with one loss in l bytes TCP's rate is in proportion to
// sqrt(l) / rtt; this is its square, as in the authors' paper and code.
double Promise(const Member& m) { return m.loss_distance() / (m.rtt * m.rtt); }

}  // namespace

// The draft's (w_r / rtt_r^2) / (SUM(w_p / rtt_p))^2 + alpha_r / w_r.
double Olia::Increase() const {
  const double sum = SumOfRates();
  return self().rate() / self().rtt / (sum * sum) + Alpha() / self().window;
}

// Where the best paths are not those with the largest windows, the former gain what the latter
// lose.
double Olia::Alpha() const {
  double largest = 0, best = 0;
  int paths = 0;
  group().ForEach(self(), [&](const Member& m) {
    largest = std::max(largest, m.window);
    best = std::max(best, Promise(m));
    ++paths;
  });
  int full = 0, collected = 0;  // max_w_paths; best_paths without these
  group().ForEach(self(), [&](const Member& m) {
    if (m.window == largest) {
      ++full;
    } else if (Promise(m) == best) {
      ++collected;
    }
  });
  if (collected == 0) return 0;
  if (self().window == largest) return -1.0 / paths / full;
  return Promise(self()) == best ? 1.0 / paths / collected : 0;
}

// A loss. One right after another is the same.
uint32_t Olia::Reduced(uint32_t in_flight) {
  if (self().since_loss > 0) {
    self().between_losses = self().since_loss;
    self().since_loss = 0;
  }
  return Coupled::Reduced(in_flight);
}

void Olia::Save() {
  saved_between_ = self().between_losses;
  saved_since_ = self().since_loss;
}

// It was none.
void Olia::Restore() {
  self().between_losses = saved_between_;
  self().since_loss += saved_since_;
}

}  // namespace mptcptls
