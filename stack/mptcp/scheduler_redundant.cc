// Redundant: every path carries the whole stream, each at its own pace, and what arrives first
// counts (Froemmgen et al., "ReMP TCP: Low Latency Multipath TCP", ICC 2016). A path that is behind
// goes on where the acknowledgements are, so it repeats no more than its own window of what others
// carry, and the fastest one sends as if it were alone.
#include <algorithm>

#include "stack/mptcp/scheduler.h"

namespace mptcptls {
namespace {

class Redundant final : public Scheduler {
 public:
  Redundant() : Scheduler(SchedulerKind::kRedundant) {}

  // New bytes are for a path that has sent all others.
  std::optional<size_t> Pick(const SendView& view) override {
    const std::optional<size_t> best = FastestWithRoom(view);
    return best && Cursor(view, view.paths[*best]) >= view.next ? best : std::nullopt;
  }

  std::optional<Repeat> Again(const SendView& view) override {
    std::optional<size_t> best;
    for (size_t i = 0; i < view.paths.size(); ++i) {
      const PathView& path = view.paths[i];
      if (path.room == 0 || !InUse(view, path) || Cursor(view, path) >= view.next) continue;
      if (!best || path.srtt < view.paths[*best].srtt) best = i;
    }
    if (!best) return std::nullopt;
    return Repeat{*best, Cursor(view, view.paths[*best]), view.next, std::nullopt};
  }

  bool sends_everywhere() const override { return true; }

 private:
  static uint64_t Cursor(const SendView& view, const PathView& path) {
    return std::max(path.sent_to, view.una);
  }
};

}  // namespace

std::unique_ptr<Scheduler> MakeRedundant() { return std::make_unique<Redundant>(); }

}  // namespace mptcptls
