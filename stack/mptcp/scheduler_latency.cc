// Latency first: what fits an initial window of the fastest path (a request, a short answer, the
// tail of a burst) goes there alone, and waits for it where it must; whatever of such a tail was
// left on a slower path goes again there. Only what is more is spread as by the default.
#include "stack/mptcp/scheduler.h"

namespace mptcptls {
namespace {

constexpr uint64_t kSmall = 10;  // segments (RFC 6928)

class Latency final : public Scheduler {
 public:
  Latency() : Scheduler(SchedulerKind::kLatency) {}

  std::optional<size_t> Pick(const SendView& view) override {
    const std::optional<size_t> fastest = Fastest(view);
    if (!fastest) return std::nullopt;
    const PathView& fast = view.paths[*fastest];
    if (view.backlog > kSmall * fast.mss) return PickLowestRtt(view);
    return fast.room > 0 ? fastest : std::nullopt;
  }

  std::optional<Repeat> Again(const SendView& view) override {
    const std::optional<size_t> fastest = Fastest(view);
    if (!fastest || view.backlog > 0) return Scheduler::Again(view);
    const PathView& fast = view.paths[*fastest];
    if (view.next - view.una > kSmall * fast.mss) return Scheduler::Again(view);
    SendView tail = view;
    tail.blocked = true;
    std::optional<Repeat> repeat = Scheduler::Again(tail);
    if (repeat && !view.blocked) repeat->penalised.reset();
    return repeat;
  }
};

}  // namespace

std::unique_ptr<Scheduler> MakeLatency() { return std::make_unique<Latency>(); }

}  // namespace mptcptls
