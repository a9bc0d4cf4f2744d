#include "stack/mptcp/scheduler.h"

#include <algorithm>
#include <tuple>

namespace mptcptls {
namespace {

// A path has blocked the others only if its bytes take much longer: on a path that is about as
// fast, they are about to arrive when their repetition leaves.
constexpr int kMuchSlower = 2;

auto Class(const PathView& path) { return std::tuple(path.stale, path.backup); }
auto Rank(const PathView& path) { return std::tuple(Class(path), path.srtt); }

std::optional<size_t> Best(const SendView& view, bool with_room) {
  std::optional<size_t> best;
  for (size_t i = 0; i < view.paths.size(); ++i) {
    const PathView& path = view.paths[i];
    if (with_room && path.room == 0) continue;
    if (!best || Rank(path) < Rank(view.paths[*best])) best = i;
  }
  return best;
}

}  // namespace

std::string_view SchedulerName(SchedulerKind kind) {
  return kSchedulerNames[static_cast<size_t>(kind)].first;
}

std::unique_ptr<Scheduler> Scheduler::Create(SchedulerKind kind) {
  switch (kind) {
    case SchedulerKind::kBlest:
      return MakeBlest();
    case SchedulerKind::kEcf:
      return MakeEcf();
    case SchedulerKind::kRoundRobin:
      return MakeRoundRobin();
    case SchedulerKind::kRedundant:
      return MakeRedundant();
    case SchedulerKind::kLatency:
      return MakeLatency();
    case SchedulerKind::kLowestRtt:
      break;
  }
  return MakeLowestRtt();
}

bool InUse(const SendView& view, const PathView& path) {
  return std::ranges::all_of(view.paths,
                             [&](const PathView& other) { return Class(path) <= Class(other); });
}

std::optional<size_t> Fastest(const SendView& view) { return Best(view, false); }

std::optional<size_t> FastestWithRoom(const SendView& view) {
  const std::optional<size_t> best = Best(view, true);
  return best && InUse(view, view.paths[*best]) ? best : std::nullopt;
}

// While the slow path has bytes of the beginning, the fast one is idle: it has room, and nothing
// new may go. What it repeats costs nothing then. So all that it can take of the slow path's bytes
// goes again, not only the first segment, which would free one segment's window in a round trip.
std::optional<Repeat> Scheduler::Again(const SendView& view) {
  if (!view.blocked || view.carriers == nullptr) return std::nullopt;
  const std::optional<size_t> best = FastestWithRoom(view);
  if (!best) return std::nullopt;
  const PathView& fast = view.paths[*best];
  for (const Carriers::Range& range : view.carriers->ranges()) {
    if (range.path == fast.id) continue;
    const auto holder = std::ranges::find(view.paths, range.path, &PathView::id);
    if (holder == view.paths.end() || holder->srtt < kMuchSlower * fast.srtt) return std::nullopt;
    return Repeat{*best, range.begin, range.end, static_cast<size_t>(holder - view.paths.begin())};
  }
  return std::nullopt;
}

}  // namespace mptcptls
