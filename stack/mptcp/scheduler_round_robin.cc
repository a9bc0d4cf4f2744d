// Round robin, by bytes: of the paths with room the one that was served least goes next (Shreedhar,
// Varghese: "Efficient Fair Queuing using Deficit Round Robin", 1995), whatever its round trip time
// is. So a path that had to wait for its pacing or its window is made up to, as long as it is not
// far behind: a saturated connection fills them all.
#include <algorithm>

#include "absl/container/inlined_vector.h"
#include "stack/mptcp/scheduler.h"

namespace mptcptls {
namespace {

class RoundRobin final : public Scheduler {
 public:
  RoundRobin() : Scheduler(SchedulerKind::kRoundRobin) {}

  std::optional<size_t> Pick(const SendView& view) override {
    Forget(view);
    std::optional<size_t> next;
    for (size_t i = 0; i < view.paths.size(); ++i) {
      const PathView& path = view.paths[i];
      if (path.room == 0 || !InUse(view, path)) continue;
      if (!next || Of(path.id) < Of(view.paths[*next].id)) next = i;
    }
    return next;
  }

  void OnSent(const PathView& path, size_t bytes) override {
    const uint64_t served = Of(path.id) += bytes;
    for (Served& other : served_) {
      if (other.bytes + kMostBehind < served) other.bytes = served - kMostBehind;
    }
  }

  // Nobody is penalised: the slow path shall have its share.
  std::optional<Repeat> Again(const SendView& view) override {
    std::optional<Repeat> repeat = Scheduler::Again(view);
    if (repeat) repeat->penalised.reset();
    return repeat;
  }

 private:
  static constexpr uint64_t kMostBehind = 262144;  // ours

  struct Served {
    uint32_t id = 0;  // PathView::id
    uint64_t bytes = 0;
  };

  // Paths that are gone.
  void Forget(const SendView& view) {
    const auto gone = [&](const Served& s) {
      return std::ranges::find(view.paths, s.id, &PathView::id) == view.paths.end();
    };
    served_.erase(std::remove_if(served_.begin(), served_.end(), gone), served_.end());
  }

  // A new one has nothing to make up for.
  uint64_t& Of(uint32_t id) {
    uint64_t most = 0;
    for (Served& s : served_) {
      if (s.id == id) return s.bytes;
      most = std::max(most, s.bytes);
    }
    return served_.emplace_back(Served{id, most}).bytes;
  }

  absl::InlinedVector<Served, 4> served_;
};

}  // namespace

std::unique_ptr<Scheduler> MakeRoundRobin() { return std::make_unique<RoundRobin>(); }

}  // namespace mptcptls
