// What the peer is told of our receiving: when (delayed_ack.h), and how much window it has.
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {

// What arrived tells how the peer sends, and from where.
void Subflow::Impl::NoteArrival(Time now, const Segment& segment) {
  acks_.OnData(now, segment.payload.size(), segment.psh, rtt_.Rto());
  if (segment.seq != rcv_nxt_) return;
  const auto& timestamps = segment.options.timestamps;
  if (timestamps_ && timestamps && timestamps->echo_reply != 0) {
    // A short segment may have been a long time coming (RFC 7323 4.1).
    if (segment.payload.size() < acks_.segment()) return;
    const uint32_t age = TimestampClock(now) - timestamps->echo_reply;
    if (age < uint32_t{1} << 31) {
      receive_rtt_.OnEcho(timestamps->echo_reply, std::chrono::milliseconds(age));
    }
  } else {
    receive_rtt_.OnProgress(now, rcv_offset_, rcv_wnd_);
  }
}

// RFC 9293 3.8.6.3, RFC 5681 4.2: at least every second full segment at once, the rest soon.
void Subflow::Impl::FlushAck(Time now) {
  if (state_ == TcpState::kClosed || (unacked_bytes_ == 0 && !ack_now_)) return;
  if (ack_now_ || acks_.AtOnce(unacked_bytes_)) return SendAck(now);
  const Time due = now + acks_.Wait(rtt_.srtt());
  if (!delayed_ack_.armed() || due < delayed_ack_.deadline()) delayed_ack_.Set(due);
}

void Subflow::Impl::OnDelayedAckTimer(Time now) {
  ++counters_->delayed_acks;
  acks_.OnTimer(rtt_.Rto());
  SendAck(now);
}

// Bytes that the peer may send by what it was told, and has not.
uint32_t Subflow::Impl::Promised() const {
  if (config_.windows_at_data_level) {
    return static_cast<uint32_t>(std::min<uint64_t>(owner_->ReceivePromise(*self_), UINT32_MAX));
  }
  return rcv_adv_ > rcv_nxt_ ? rcv_adv_ - rcv_nxt_ : 0;
}

// The window field, and the promise that it makes. Its right edge never moves back (RFC
// 9293 3.8.6), and forward in steps that are worth it (3.8.6.2.2). What the scale cannot say of a
// promise is not told again, but accepted all the same (RFC 7323 2.4).
uint16_t Subflow::Impl::TakeWindow(bool syn) {
  const int scale = syn || !scaling_ ? 0 : config_.window_scale;
  const uint64_t limit = uint64_t{65535} << scale;
  const uint64_t window = std::min(owner_->ReceiveWindow(*self_), limit);
  const uint64_t promised = Promised();
  max_rcv_wnd_ = std::max(max_rcv_wnd_, static_cast<uint32_t>(window));
  const uint64_t told = window >= promised + WindowStep() ? window : promised;
  const uint64_t field = std::min<uint64_t>(told >> scale, 65535);
  rcv_wnd_ = static_cast<uint32_t>(field << scale);
  const Seq edge = rcv_nxt_ + rcv_wnd_;
  if (edge > rcv_adv_) rcv_adv_ = edge;
  owner_->WindowTold(*self_, rcv_wnd_);
  return static_cast<uint16_t>(field);
}

void Subflow::Impl::WindowMayHaveOpened(Time now) {
  if (!synchronized() || state_ == TcpState::kSynReceived || fin_offset_) return;
  const uint64_t window = owner_->ReceiveWindow(*self_);
  const uint32_t left = rcv_adv_ > rcv_nxt_ ? rcv_adv_ - rcv_nxt_ : 0;
  const uint64_t before = std::min(rcv_wnd_, left);
  // Worth a segment of its own when the peer is running short of window and gains a good part.
  if (before < window / 2 && window >= before + std::min<uint64_t>(2 * mss_, window / 2)) {
    SendAck(now);
  }
}

}  // namespace mptcptls
