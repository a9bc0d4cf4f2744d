// Lowest RTT, the default of every Multipath TCP so far, with one rule more: two paths are never
// slower than the better one alone. A slow path that takes the last bytes makes them late, although
// the fast one would have had room for them a moment later.
#include "stack/mptcp/scheduler.h"

namespace mptcptls {
namespace {

class LowestRtt final : public Scheduler {
 public:
  LowestRtt() : Scheduler(SchedulerKind::kLowestRtt) {}
  std::optional<size_t> Pick(const SendView& view) override { return PickLowestRtt(view); }
};

}  // namespace

std::optional<size_t> PickLowestRtt(const SendView& view) {
  const std::optional<size_t> best = FastestWithRoom(view);
  const std::optional<size_t> fastest = Fastest(view);
  if (!best || best == fastest) return best;
  const PathView& fast = view.paths[*fastest];
  if (fast.cwnd == 0 || fast.srtt.count() == 0) return best;
  // The fast one alone: a window each round trip, and the last one has to arrive.
  const double rounds = (static_cast<double>(view.window) + fast.in_flight) / fast.cwnd;
  const double alone = (rounds + 1) * static_cast<double>(fast.srtt.count());
  if (alone < static_cast<double>(view.paths[*best].srtt.count())) return std::nullopt;
  return best;
}

std::unique_ptr<Scheduler> MakeLowestRtt() { return std::make_unique<LowestRtt>(); }

}  // namespace mptcptls
