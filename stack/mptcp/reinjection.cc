// What goes again on another subflow (RFC 8684 3.3.6): the bytes of one that is gone, does not
// answer or holds the others up, what the peer threw away, and what the scheduler wants to repeat.
//
// No stall longer than one RTO of the best path: where the Data ACK has stood still for that long
// and another path has the bytes that it waits for, they go again (OnStallTimer). Where that path
// delivers what came after them, its losses are all that goes; else so do the next ones of that
// path as soon as the Data ACK gets near them, until it is heard of again, and it takes no new ones
// meanwhile.
#include <algorithm>
#include <tuple>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {
namespace {

constexpr int kSilent = 2;  // ours: timeouts in a row until a metered uplink is worth its price
constexpr Duration kDataTimeout = std::chrono::seconds(1);  // ours; doubles
constexpr Duration kMaxDataTimeout = std::chrono::seconds(30);

}  // namespace

// At most what `path` takes now. Returns how many bytes were sent.
size_t ConnectionImpl::SendAgain(Time now, Path* path, uint64_t begin, uint64_t end) {
  const size_t size = std::min({static_cast<size_t>(end - begin), path->subflow->SendRoom(now),
                                path->subflow->MaxSegment(), kMaxMapping});
  if (size == 0) return 0;
  bytes_reinjected_ += size;
  services_->counters()->bytes_reinjected += size;
  return SendRange(now, path, begin, size);
}

bool ConnectionImpl::PushReinjections(Time now) {
  reinject_.RemoveBelow(una_);
  if (reinject_.empty() || !mptcp()) return false;
  const auto [begin, end] = reinject_.front();
  Picture picture = Look(now);
  picture.view.window = end - begin;
  const std::optional<size_t> choice = PickLowestRtt(picture.Seen());
  if (!choice) return false;
  const size_t size = SendAgain(now, picture.paths[*choice], begin, end);
  reinject_.RemoveBelow(begin + size);
  return size > 0;
}

// What the scheduler wants to go again.
bool ConnectionImpl::PushAgain(Time now) {
  if (!mptcp() || una_ >= next_ || paths_.size() < 2) return false;
  Picture picture = Look(now);
  const std::optional<Repeat> repeat = scheduler_->Again(picture.Seen());
  if (!repeat) return false;
  if (repeat->penalised) Penalise(now, picture.paths[*repeat->penalised]);
  return SendAgain(now, picture.paths[repeat->path], repeat->begin, repeat->end) > 0;
}

// Once a round trip, as a loss would be.
void ConnectionImpl::Penalise(Time now, Path* path) {
  if (now - path->penalised_at < path->subflow->srtt()) return;
  path->penalised_at = now;
  ++services_->counters()->subflows_penalised;
  path->subflow->Penalise();
}

void ConnectionImpl::Reinject(Time, Path* path) {
  const bool others = std::ranges::any_of(
      paths_, [&](const auto& p) { return p.get() != path && !p->dead && p->usable && !p->stale; });
  if (others && scheduler_->sends_everywhere()) return;
  path->subflow->ForEachUnacked([this](const Mapping& mapping, const Payload& payload) {
    const uint64_t end = mapping.dsn + payload.size();
    if (end > una_) reinject_.Add(std::max(mapping.dsn, una_), end);
  });
}

void ConnectionImpl::OnTimeout(Subflow& subflow, Time now, int consecutive) {
  Path* path = Of(subflow);
  if (path == nullptr || closed_ || !mptcp()) return;
  const bool others = std::ranges::any_of(
      paths_, [&](const auto& p) { return p.get() != path && !p->dead && p->usable && !p->stale; });
  if (!others) {
    if (consecutive < kSilent || path->silent) return;
    path->silent = true;
    return ManagePaths(now);  // a metered uplink may take over
  }
  if (consecutive < 1) return;
  if (!path->stale) {
    path->stale = true;
    Reinject(now, path);
  }
  Push(now);
}

// ---- A path that holds the stream up

ConnectionImpl::Path* ConnectionImpl::CarrierOf(const Carriers::Range& range) const {
  for (const auto& p : paths_) {
    if (p->id == range.path && !p->dead) return p.get();
  }
  return nullptr;
}

const ConnectionImpl::Path* ConnectionImpl::FastestAnswering(const Path* but) const {
  const Path* best = nullptr;
  for (const auto& p : paths_) {
    if (p.get() == but || p->dead || !p->usable || p->stale || p->behind || !p->subflow->MaySend())
      continue;
    const bool better = best == nullptr || std::tuple(p->backup(), p->subflow->srtt()) <
                                               std::tuple(best->backup(), best->subflow->srtt());
    if (better) best = p.get();
  }
  return best;
}

void ConnectionImpl::ArmStallTimer(Time now) {
  if (!mptcp() || una_ >= next_ || closed_ || paths_.size() < 2) return stall_timer_.Cancel();
  if (stall_timer_.armed() || scheduler_->sends_everywhere()) return;
  const Path* const best = FastestAnswering();
  // Where it has stood still for longer already, its carrier is the best path or known to be
  // behind.
  if (best != nullptr && una_moved_at_ + best->subflow->rto() > now) {
    stall_timer_.Set(una_moved_at_ + best->subflow->rto());
  }
}

void ConnectionImpl::OnStallTimer(Time now) {
  if (!mptcp() || una_ >= next_ || closed_ || carriers_.empty()) return;
  const Path* const best = FastestAnswering();
  if (best == nullptr) return;
  if (una_moved_at_ + best->subflow->rto() > now) return ArmStallTimer(now);
  Path* const carrier = CarrierOf(carriers_.ranges().front());
  if (carrier == nullptr || carrier == best || carrier->stale) return;
  if (!ReinjectHoles(*carrier, una_ + best->subflow->cwnd())) return GoRound(now, carrier);
  ++services_->counters()->stalls_ended;
  Push(now);
}

// What a path has lost while it delivers the rest: that alone goes again, and the path stays in
// use. False: it is not losses that hold the stream up.
bool ConnectionImpl::ReinjectHoles(const Path& carrier, uint64_t limit) {
  bool first = false;
  carrier.subflow->ForEachHole([&](const Mapping& mapping, const Payload& payload) {
    const uint64_t begin = std::max(mapping.dsn, una_);
    const uint64_t end = std::min(mapping.dsn + payload.size(), limit);
    if (begin >= end) return;
    first |= begin == una_;
    if (first) reinject_.Add(begin, end);
  });
  return first;
}

// What the stream waits for is on a path that has been silent for two round trips. The path's own
// timeout comes only after its probe's (RFC 8985 7.2), which is long for a stream that has others.
// A backup waits for that timeout all the same (RFC 8684 3.3.8).
void ConnectionImpl::OnTailProbe(Subflow& subflow, Time now) {
  Path* const path = Of(subflow);
  if (path == nullptr || !mptcp() || una_ >= next_ || closed_ || carriers_.empty()) return;
  if (path->behind || scheduler_->sends_everywhere()) return;
  if (CarrierOf(carriers_.ranges().front()) != path) return;
  const Path* const other = FastestAnswering(path);
  if (other == nullptr || (other->backup() && !path->backup())) return;
  GoRound(now, path);
}

// The carrier gets nothing new until it is heard of, and what the stream waits for goes elsewhere.
void ConnectionImpl::GoRound(Time now, Path* carrier) {
  carrier->behind = true;
  ++services_->counters()->stalls_ended;
  ReinjectBehind();
  Push(now);
}

// Not further ahead than a window of the best path, or all that is on a path which is only slow
// would go twice.
void ConnectionImpl::ReinjectBehind() {
  if (std::ranges::none_of(paths_, [](const auto& p) { return p->behind && !p->dead; })) return;
  const Path* const best = FastestAnswering();
  if (best == nullptr) return;
  const uint64_t limit = una_ + best->subflow->cwnd();
  for (const Carriers::Range& range : carriers_.ranges()) {
    if (range.begin >= limit) break;
    const Path* const carrier = CarrierOf(range);
    if (carrier != nullptr && carrier->behind) {
      reinject_.Add(range.begin, std::min(range.end, limit));
    }
  }
}

// ---- What nobody carries any more

// Everything is acknowledged by the subflows, but not by the data level: the peer threw it away, or
// the subflow that carried it is gone. Rare; the answer is to send it again.
void ConnectionImpl::ArmDataTimer(Time now) {
  if (!mptcp() || una_ >= next_ || closed_) return data_timer_.Cancel();
  if (data_timer_.armed()) return;
  const Duration wait = kDataTimeout * (int64_t{1} << std::min(data_timeouts_, 5));
  data_timer_.Set(now + std::min(wait, kMaxDataTimeout));
}

void ConnectionImpl::OnDataTimer(Time now) {
  if (closed_ || !mptcp() || una_ >= next_) return;
  const bool waiting = std::ranges::any_of(paths_, [](const auto& p) {
    return !p->dead && p->usable && !p->stale && !p->subflow->everything_acked();
  });
  if (!waiting) {
    ++data_timeouts_;
    reinject_.Add(una_, next_);
  }
  Push(now);
  ArmDataTimer(now);
}

}  // namespace mptcptls
