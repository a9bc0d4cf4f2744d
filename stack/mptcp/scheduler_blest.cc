// BLEST, blocking estimation (Ferlin, Alay, Mehani, Boreli: "BLEST: Blocking Estimation-based MPTCP
// Scheduler for Heterogeneous Networks", IFIP Networking 2016). A segment on the slow path holds
// the send window for one of its round trips. If in that time the fast path could send more than
// the rest of the window takes, it would stand still: then the segment waits for the fast path.
#include <algorithm>

#include "stack/mptcp/scheduler.h"

namespace mptcptls {
namespace {

class Blest final : public Scheduler {
 public:
  Blest() : Scheduler(SchedulerKind::kBlest) {}

  std::optional<size_t> Pick(const SendView& view) override {
    const std::optional<size_t> best = FastestWithRoom(view);
    const std::optional<size_t> fastest = Fastest(view);
    if (!fastest) return std::nullopt;
    Adapt(view, view.paths[*fastest]);
    if (!best || best == fastest) return best;
    const PathView& fast = view.paths[*fastest];
    const PathView& slow = view.paths[*best];
    if (fast.srtt.count() == 0) return best;
    // 3: X = MSS_F (CWND_F + (rtts - 1) / 2) rtts, with the window in segments; the fast path's
    // grows by one each round trip meanwhile.
    const double rtts =
        static_cast<double>(slow.srtt.count()) / static_cast<double>(fast.srtt.count());
    const double sent = (fast.cwnd + fast.mss * (rtts - 1) / 2) * rtts;
    const uint64_t held = slow.unacked + slow.mss;
    const uint64_t left = view.send_window > held ? view.send_window - held : 0;
    if (lambda_ * sent > static_cast<double>(left)) return std::nullopt;
    return best;
  }

  std::optional<Repeat> Again(const SendView& view) override {
    std::optional<Repeat> repeat = Scheduler::Again(view);
    blocked_ |= repeat.has_value();
    return repeat;
  }

 private:
  // Of the authors' implementation for Linux, as the paper leaves them open.
  static constexpr double kFirst = 1.2, kLeast = 1.0, kMost = 1.3;
  static constexpr double kAfterBlocking = 0.04, kAfterNone = 0.01;

  // 3: the estimate is corrected by what came of the last ones, once a round trip.
  void Adapt(const SendView& view, const PathView& fast) {
    if (view.now < next_) return;
    lambda_ = std::clamp(lambda_ + (blocked_ ? kAfterBlocking : -kAfterNone), kLeast, kMost);
    blocked_ = false;
    next_ = view.now + fast.srtt;
  }

  double lambda_ = kFirst;
  bool blocked_ = false;  // since it was last corrected
  Time next_{};
};

}  // namespace

std::unique_ptr<Scheduler> MakeBlest() { return std::make_unique<Blest>(); }

}  // namespace mptcptls
