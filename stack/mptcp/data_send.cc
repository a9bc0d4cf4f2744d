// Sending at the data level (RFC 8684 3.3): new bytes, on the subflow that the scheduler chooses
// (scheduler.h), what their acknowledgements say, DATA_FIN.
#include <algorithm>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {
namespace {

constexpr int kFinsBeforeFallback = 6;  // ours: 16 s
constexpr size_t kSmallSegment = 1400;

}  // namespace

void ConnectionImpl::Push(Time now) {
  if (pushing_ || closed_ || !connected_) return;
  pushing_ = true;
  while (!closed_ && (PushReinjections(now) || PushNew(now) || PushAgain(now))) {
  }
  if (!closed_) ProbeClosedWindow(now);
  pushing_ = false;
  if (closed_) return;
  MaybeSendFin(now);
  ArmDataTimer(now);
  ArmStallTimer(now);
}

// RFC 6182 5.3: while bytes of the slowest subflow are on their way, the others send several
// windows.
void ConnectionImpl::TuneSendBuffer() {
  Duration slowest{0};
  for (const auto& p : paths_) {
    if (!p->dead && p->usable && !p->stale) slowest = std::max(slowest, p->subflow->srtt());
  }
  double window = 0;
  for (const auto& p : paths_) {
    if (p->dead || !p->usable || p->stale) continue;
    const Duration srtt = p->subflow->srtt();
    const double rounds = srtt.count() == 0 ? 1
                                            : static_cast<double>(slowest.count()) /
                                                  static_cast<double>(srtt.count());
    window += rounds * p->subflow->cwnd();
  }
  send_tuning_.OnWindow(static_cast<uint64_t>(window), una_ == send_.tail());
  send_.set_limit(send_tuning_.size());
}

size_t ConnectionImpl::SendRange(Time now, Path* path, uint64_t offset, size_t size) {
  Mapping mapping;
  mapping.dsn = offset;
  mapping.length = static_cast<uint16_t>(size);
  const Payload payload = send_.Get(offset, size);
  if (mptcp()) carriers_.Sent(offset, offset + size, path->id);
  if (offset <= std::max(path->sent_to, una_)) {
    path->sent_to = std::max(path->sent_to, offset + size);
  }
  if (checksum_ && mptcp()) {
    mapping.checksum =
        DssChecksum(SendDsn(offset), path->subflow->next_ssn(), mapping.length, payload.piece(0),
                    payload.pieces() > 1 ? payload.piece(1) : ByteSpan{});
  }
  path->subflow->SendData(now, payload, mapping, offset + size == send_.tail());
  return size;
}

// New bytes that the peer's window takes, if they are worth a segment.
size_t ConnectionImpl::Available() const {
  const uint64_t edge = mptcp() ? std::min(send_.tail(), peer_edge_) : send_.tail();
  if (next_ >= edge) return 0;
  const auto available = static_cast<size_t>(edge - next_);
  // RFC 9293 3.8.6.2.1, at the data level: no dribbling into an almost closed window.
  if (edge < send_.tail() && una_ < next_ && available < kSmallSegment) return 0;
  return available;
}

ConnectionImpl::Picture ConnectionImpl::Look(Time now) const {
  Picture picture;
  for (const auto& p : paths_) {
    const Subflow& subflow = *p->subflow;
    if (p->dead || !p->usable || !subflow.MaySend()) continue;
    picture.paths.push_back(p.get());
    picture.views.push_back({.id = p->id,
                             .stale = p->stale || p->behind,
                             .backup = p->backup(),
                             .srtt = subflow.srtt(),
                             .rttvar = subflow.rttvar(),
                             .cwnd = subflow.cwnd(),
                             .in_flight = subflow.in_flight(),
                             .room = subflow.SendRoom(now),
                             .mss = subflow.mss(),
                             .unacked = subflow.unacked(),
                             .sent_to = p->sent_to});
  }
  SendView& view = picture.view;
  view.now = now;
  view.una = una_;
  view.next = next_;
  view.backlog = send_.tail() - next_;
  view.window = Available();
  view.send_window = mptcp() ? peer_edge_ - std::min(una_, peer_edge_) : UINT64_MAX;
  view.send_window = std::min<uint64_t>(view.send_window, send_tuning_.size());
  // write_blocked_: the program has more, and the buffer is full of what was sent.
  view.blocked = view.backlog > 0 ? view.window == 0 : write_blocked_ && !shutdown_;
  view.carriers = &carriers_;
  return picture;
}

bool ConnectionImpl::PushNew(Time now) {
  if (Available() == 0) return false;
  Picture picture = Look(now);
  const SendView& view = picture.Seen();
  const std::optional<size_t> choice = scheduler_->Pick(view);
  if (!choice) return false;
  Path* const path = picture.paths[*choice];
  size_t size = std::min({static_cast<size_t>(view.window), view.paths[*choice].room,
                          path->subflow->MaxSegment(), kMaxMapping});
  size = HoldShort(now, *path, size);
  if (size == 0) return false;
  scheduler_->OnSent(view.paths[*choice], size);
  const uint64_t offset = next_;
  if (una_ == next_) una_moved_at_ = now;
  next_ += size;  // first: sending may call back
  SendRange(now, path, offset, size);
  return true;
}

// How many of the next `size` bytes may leave now, without the short segment at their end where
// that one has to wait (nagle.h).
size_t ConnectionImpl::HoldShort(Time now, const Path& path, size_t size) {
  const uint64_t end = next_ + size;
  const size_t rest = size % path.subflow->mss();
  if (rest == 0) return size;
  if (end == send_.tail() && !shutdown_) {
    switch (nagle_.OfShort(end, una_)) {
      case Nagle::Wait::kNo:
        break;
      case Nagle::Wait::kForMore:
        // Each short segment has its own time, from its first byte on.
        if (!cork_timer_.armed() || corked_from_ != end - rest) {
          cork_timer_.Set(now + Nagle::kCorked);
        }
        corked_from_ = end - rest;
        return size - rest;
      case Nagle::Wait::kForAck:
        return size - rest;
    }
  }
  nagle_.SentShort(end);
  return size;
}

void ConnectionImpl::Flush(Time now) {
  cork_timer_.Cancel();
  nagle_.Flush(send_.tail());
  Push(now);
}

// RFC 9293 3.8.6.1, at the data level: one byte beyond a closed window. The subflow repeats it.
void ConnectionImpl::ProbeClosedWindow(Time now) {
  if (next_ >= send_.tail()) return;
  // What the peer did not acknowledge at the data level goes again by the data timer, and is probe
  // enough.
  if (mptcp() && una_ < next_) return;
  Path* quiet = nullptr;
  for (const auto& p : paths_) {
    if (p->dead || !p->usable || !p->subflow->MaySend()) continue;
    if (!p->subflow->everything_acked()) return;  // its acknowledgement will tell
    if (quiet == nullptr) quiet = p.get();
  }
  // Nothing is on its way and still nothing could be sent: only a window can be the reason.
  if (quiet == nullptr || (mptcp() ? next_ < peer_edge_ : quiet->subflow->Info().peer_window > 0))
    return;
  if (una_ == next_) una_moved_at_ = now;
  const uint64_t offset = next_++;
  SendRange(now, quiet, offset, 1);
}

void ConnectionImpl::OnAcked(Subflow& subflow, Time, uint32_t bytes) {
  Path* path = Of(subflow);
  if (path == nullptr || closed_) return;
  if (bytes > 0) path->stale = path->silent = path->behind = false;
  if (!mptcp() && bytes > 0) {
    // One subflow, in order: its acknowledgements are the connection's.
    una_ = std::max(una_, std::min(next_, subflow.Info().bytes_acked));
    nagle_.SetMore(false);
    send_.Release(una_);
  }
}

void ConnectionImpl::TakeDataAck(Time now, uint64_t dsn) {
  const uint64_t offset = dsn - send_idsn_ - 1;
  const uint64_t limit = next_ + (fin_sent_ ? 1 : 0);
  if (static_cast<int64_t>(offset - limit) > 0) return;  // of what was never sent
  if (fin_sent_ && !fin_acked_ && offset == send_.tail() + 1) {
    fin_acked_ = true;
    fin_due_ = false;
    fin_timer_.Cancel();
  }
  const uint64_t bytes = std::min(offset, next_);
  if (static_cast<int64_t>(bytes - una_) <= 0) return;
  una_ = bytes;
  una_moved_at_ = now;
  nagle_.SetMore(false);
  data_timeouts_ = 0;
  send_.Release(una_);
  reinject_.RemoveBelow(una_);
  carriers_.RemoveBelow(una_);
  ReinjectBehind();
  ArmDataTimer(now);
}

// RFC 8684 3.3.1: the window is relative to the Data ACK that came with it. Counted from a newer
// one, that of a slow path would reach too far.
void ConnectionImpl::TakeDataWindow(uint64_t dsn, uint32_t window) {
  const uint64_t offset = dsn - send_idsn_ - 1;
  if (static_cast<int64_t>(offset - next_ - 1) > 0) return;  // of what was never sent
  const uint64_t edge = offset + window;
  if (static_cast<int64_t>(edge - peer_edge_) > 0) peer_edge_ = edge;
}

// ---- The end of our direction

void ConnectionImpl::MaybeSendFin(Time now) {
  if (!shutdown_ || next_ < send_.tail()) return;
  if (!mptcp()) {
    if (paths_.empty() || fin_sent_) return;
    fin_sent_ = true;
    paths_.front()->subflow->Close(now);
    return;
  }
  if (fin_sent_) return;
  fin_sent_ = true;
  fin_transmissions_ = 0;
  SendDataFin(now);
}

void ConnectionImpl::SendDataFin(Time now) {
  ++fin_transmissions_;
  // The first time on one subflow; later, when there is some doubt, on all.
  for (size_t i = 0; i < paths_.size(); ++i) {
    Path& path = *paths_[i];
    if (path.dead || !path.usable || (path.stale && fin_transmissions_ == 1)) continue;
    fin_due_ = true;
    path.subflow->SendAck(now);
    if (fin_transmissions_ == 1) break;
  }
  const Duration wait =
      std::chrono::milliseconds(250) * (int64_t{1} << std::min(fin_transmissions_ - 1, 6));
  fin_timer_.Set(now + wait);
}

void ConnectionImpl::OnFinTimer(Time now) {
  if (closed_ || fin_acked_ || !mptcp()) return;
  // RFC 8684 3.7: of the peer no DSS ever came through, so ours did not either, and as nothing else
  // is said nobody notices. The subflow's FIN gets through.
  if (fin_transmissions_ >= kFinsBeforeFallback && !dss_seen_ && !joined_ever_) {
    FallBack(now);
    return Push(now);
  }
  SendDataFin(now);
}

}  // namespace mptcptls
