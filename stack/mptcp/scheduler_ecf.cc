// ECF, earliest completion first (Lim, Nahum, Towsley, Gibbens: "ECF: An MPTCP Path Scheduler to
// Manage Heterogeneous Paths", CoNEXT 2017), algorithm 1. The slow path gets a segment only when
// waiting for the fast one would take longer, for all that is to be sent.
#include <algorithm>

#include "stack/mptcp/scheduler.h"

namespace mptcptls {
namespace {

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

class Ecf final : public Scheduler {
 public:
  Ecf() : Scheduler(SchedulerKind::kEcf) {}

  std::optional<size_t> Pick(const SendView& view) override {
    const std::optional<size_t> best = FastestWithRoom(view);
    const std::optional<size_t> fastest = Fastest(view);
    if (!best || best == fastest) return best;
    const PathView& fast = view.paths[*fastest];
    const PathView& slow = view.paths[*best];
    if (fast.cwnd == 0 || slow.cwnd == 0 || fast.srtt.count() == 0) return best;
    // Of what waits in the send buffer, what may go: the rest waits for the peer, whatever the
    // path.
    const auto k = static_cast<double>(view.window);
    const double delta = Seconds(std::max(fast.rttvar, slow.rttvar));
    const double rounds = 1 + k / fast.cwnd;
    // Who waits goes on waiting until it is clearly wrong.
    const double patience = 1 + (waiting_ ? kBeta : 0);
    if (rounds * Seconds(fast.srtt) >= patience * (Seconds(slow.srtt) + delta)) {
      waiting_ = false;
      return best;
    }
    // A round trip at least, as the authors' implementation for Linux has it: the last bytes need
    // one.
    const double slow_rounds = std::max(k / slow.cwnd, 1.0);
    if (slow_rounds * Seconds(slow.srtt) < 2 * Seconds(fast.srtt) + delta) return best;
    waiting_ = true;
    return std::nullopt;
  }

 private:
  static constexpr double kBeta = 0.25;

  bool waiting_ = false;
};

}  // namespace

std::unique_ptr<Scheduler> MakeEcf() { return std::make_unique<Ecf>(); }

}  // namespace mptcptls
