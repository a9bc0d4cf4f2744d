// Arrival of a segment, in the order of RFC 9293 3.10.7 with RFC 7323 (PAWS) and RFC 5961 (blind
// attacks) in their places.
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {

void Subflow::Impl::Input(Time now, const Segment& segment) {
  if (state_ == TcpState::kClosed) return;
  ++info_.segments_in;
  if (state_ == TcpState::kSynSent) {
    InputSynSent(now, segment);
  } else {
    InputSynchronized(now, segment);
  }
}

// RFC 9293 3.10.7.3
void Subflow::Impl::InputSynSent(Time now, const Segment& segment) {
  if (segment.has_ack && segment.ack != iss_ + 1) {
    if (!segment.rst) {
      ++counters_->resets_sent;
      SendReset(environment_, segment, {});
    }
    return;
  }
  if (segment.rst) {
    if (!segment.has_ack) return;
    ++counters_->resets_received;
    const auto& reason = segment.options.mptcp.tcp_rst;
    return Finish(now, CloseReason::kRefused, reason ? &*reason : nullptr);
  }
  if (!segment.syn) return;
  last_received_ = now;
  if (!segment.has_ack) {  // simultaneous open
    TakeSynOptions(segment);
    state_ = TcpState::kSynReceived;
    return SendSyn(now);
  }
  const Verdict verdict = owner_->OnHandshake(*self_, now, segment);
  if (state_ == TcpState::kClosed || verdict == Verdict::kDrop) return;
  TakeSynOptions(segment);
  if (verdict == Verdict::kReset) {
    snd_una_ = iss_ + 1;
    state_ = TcpState::kEstablished;  // so that the RST can name what it resets
    return Abort(now);
  }
  ack_now_ = true;
  Establish(now, segment);
  if (state_ == TcpState::kClosed) return;
  owner_->OnInputDone(*self_, now);
  FlushAck(now);
}

void Subflow::Impl::InputSynchronized(Time now, const Segment& segment) {
  // A repeated SYN means that our SYN/ACK was lost.
  if (state_ == TcpState::kSynReceived && segment.syn && !segment.has_ack && segment.seq == irs_) {
    return SendSyn(now);
  }
  if (!segment.rst && !PassesPaws(segment)) {
    ++counters_->drop_paws;
    return AnswerUnacceptable(now, segment);
  }
  if (!Acceptable(segment)) {
    ++counters_->drop_out_of_window;
    if (segment.rst) return;
    return AnswerUnacceptable(now, segment);
  }
  if (segment.rst) return InputReset(now, segment);
  // RFC 5961 4: a SYN never resets; a peer that restarted answers the challenge with a RST.
  if (segment.syn) return ChallengeAck(now);
  if (!segment.has_ack) return;
  last_received_ = now;
  if (state_ == TcpState::kSynReceived && !InputSynReceived(now, segment)) return;
  if (!AckIsPlausible(segment)) return ChallengeAck(now);
  // RFC 7323 4.3 (2)
  if (timestamps_ && segment.options.timestamps && segment.seq <= last_ack_sent_ &&
      !Older(segment.options.timestamps->value, ts_recent_)) {
    ts_recent_ = segment.options.timestamps->value;
  }
  if (!Obey(now, owner_->OnSegment(*self_, now, segment))) return;
  TakeEcn(segment);
  ProcessAck(now, segment);
  if (state_ == TcpState::kClosed) return;
  if (segment.fin) NoteFin(segment);
  InputPayload(now, segment);
  if (state_ == TcpState::kClosed) return;
  InputFin(now, segment);
  if (state_ == TcpState::kClosed) return;
  probe_payload_ = ProbePayload(now);
  owner_->OnInputDone(*self_, now);
  EndFrtoHold(now);
  FlushAck(now);
}

bool Subflow::Impl::Obey(Time now, Verdict verdict) {
  if (state_ == TcpState::kClosed || verdict == Verdict::kDrop) return false;
  if (verdict == Verdict::kAccept) return true;
  Abort(now);
  return false;
}

// RFC 7323 5.3 R1. A segment without the option is taken: Linux leaves it out where an ADD_ADDR
// needs the room. So is a pure acknowledgement that was overtaken and says nothing new of snd_una:
// its SACK blocks, a DSACK among them, come only once.
bool Subflow::Impl::PassesPaws(const Segment& segment) const {
  if (!timestamps_ || !segment.options.timestamps || segment.syn) return true;
  if (!Older(segment.options.timestamps->value, ts_recent_)) return true;
  return segment.length() == 0 && segment.seq == rcv_nxt_ && segment.ack <= snd_una_;
}

// RFC 9293 3.10.7.4, first. In MPTCP the window belongs to the data level, and its right edge here
// may be passed by data repeated from another subflow (RFC 8684 3.3.5): the largest window ever
// advertised, here or on another subflow, is the bound then.
bool Subflow::Impl::Acceptable(const Segment& segment) const {
  uint32_t window = rcv_adv_ > rcv_nxt_ ? rcv_adv_ - rcv_nxt_ : 0;
  if (config_.windows_at_data_level) window = std::max({window, max_rcv_wnd_, Promised()});
  const Seq edge = rcv_nxt_ + window;
  const uint32_t length = segment.length();
  // A closed window: the ACK and RST of what comes exactly next still count.
  if (segment.seq == rcv_nxt_) return true;
  if (length == 0) return segment.seq > rcv_nxt_ && segment.seq <= edge;
  if (segment.seq > rcv_nxt_) return segment.seq < edge;
  const Seq last = segment.seq + (length - 1);
  return last >= rcv_nxt_ && last < edge;
}

void Subflow::Impl::AnswerUnacceptable(Time now, const Segment& segment) {
  if (state_ == TcpState::kTimeWait && segment.fin) time_wait_.Set(now + config_.time_wait);
  if (state_ == TcpState::kSynReceived) return SendSyn(now);
  NoteOld(segment);
  // What carries nothing could be the answer to an answer of ours: those are limited.
  if (segment.length() == 0) return ChallengeAck(now);
  SendAck(now);
}

// RFC 5961 3.2
void Subflow::Impl::InputReset(Time now, const Segment& segment) {
  if (state_ == TcpState::kTimeWait) return;  // RFC 1337
  if (segment.seq != rcv_nxt_) return ChallengeAck(now);
  ++counters_->resets_received;
  last_received_ = now;
  // MP_FASTCLOSE travels on a RST: the owner sees it first.
  if (state_ != TcpState::kSynReceived) owner_->OnSegment(*self_, now, segment);
  const auto& reason = segment.options.mptcp.tcp_rst;
  Finish(now, CloseReason::kReset, reason ? &*reason : nullptr);
}

// False: the segment ends here.
bool Subflow::Impl::InputSynReceived(Time now, const Segment& segment) {
  if (segment.ack != iss_ + 1 && !(segment.ack > snd_una_ && segment.ack <= snd_nxt_)) {
    ++counters_->resets_sent;
    SendReset(environment_, segment, {});
    return false;
  }
  const Verdict verdict = owner_->OnHandshake(*self_, now, segment);
  if (!Obey(now, verdict)) return false;
  snd_wnd_ = static_cast<uint32_t>(segment.window) << snd_scale_;
  max_snd_wnd_ = std::max(max_snd_wnd_, snd_wnd_);
  snd_wl1_ = segment.seq;
  Establish(now, segment);
  return state_ != TcpState::kClosed;
}

// RFC 5961 5.2
bool Subflow::Impl::AckIsPlausible(const Segment& segment) const {
  return segment.ack <= snd_nxt_ && segment.ack >= snd_una_ - max_snd_wnd_;
}

// What lies below rcv_nxt arrived twice (RFC 2883 4).
void Subflow::Impl::NoteOld(const Segment& segment) {
  const uint64_t begin = OffsetOf(segment.seq), end = begin + segment.payload.size();
  if (begin != end && static_cast<int64_t>(begin - rcv_offset_) < 0) {
    duplicate_ = {begin, static_cast<int64_t>(end - rcv_offset_) < 0 ? end : rcv_offset_};
  }
}

// The first FIN is the stream's end. It does not lie below rcv_nxt: the segment would not be
// acceptable.
void Subflow::Impl::NoteFin(const Segment& segment) {
  if (!fin_offset_) fin_offset_ = OffsetOf(segment.seq) + segment.payload.size();
}

// What of `bytes` at `begin` lies before the peer's FIN, where that is known.
ByteSpan Subflow::Impl::BeforeFin(uint64_t begin, ByteSpan bytes) const {
  if (!fin_offset_) return bytes;
  const auto before = static_cast<int64_t>(*fin_offset_ - begin);
  return bytes.first(
      static_cast<size_t>(std::clamp<int64_t>(before, 0, static_cast<int64_t>(bytes.size()))));
}

void Subflow::Impl::InputPayload(Time now, const Segment& segment) {
  ByteSpan bytes = segment.payload;
  if (bytes.empty() || !may_receive()) return;
  NoteArrival(now, segment);
  uint64_t begin = OffsetOf(segment.seq);
  // Nothing lies beyond the end of the stream, whatever a broken peer sends.
  bytes = BeforeFin(begin, bytes);
  if (bytes.empty()) return;
  const uint64_t end = begin + bytes.size();
  NoteOld(segment);
  if (static_cast<int64_t>(end - rcv_offset_) <= 0) {  // all of it is old
    acks_.OnDisorder();
    ack_now_ = true;
    return;
  }
  // Beyond the window: what does not fit was not asked for.
  uint64_t window = rcv_adv_ > rcv_nxt_ ? rcv_adv_ - rcv_nxt_ : 0;
  const uint64_t room = owner_->ReceiveRoom(*self_);
  if (room == 0) {
    ack_now_ = true;
    return;
  }
  if (config_.windows_at_data_level) {
    // A closed one is closed, though: this is a probe, or from a peer that does not care.
    if (Promised() == 0 && owner_->ReceiveWindow(*self_) < WindowStep()) {
      ack_now_ = true;
      return;
    }
    window = std::max<uint64_t>({window, max_rcv_wnd_, Promised()});
  }
  if (end > rcv_offset_ + window) {
    const uint64_t excess = end - (rcv_offset_ + window);
    ack_now_ = true;
    if (excess >= bytes.size()) return;
    bytes = bytes.first(bytes.size() - static_cast<size_t>(excess));
  }
  if (begin > rcv_offset_) {
    // RFC 5681 4.2: a hole is reported at once.
    acks_.OnDisorder();
    ack_now_ = true;
    const size_t limit = std::max<size_t>(max_rcv_wnd_, kBlockSize);
    duplicate_ = early_.Covered(begin, begin + bytes.size());
    if (!early_.Insert(begin, bytes, limit)) ++counters_->drop_memory;
    return;
  }
  bytes = bytes.subspan(static_cast<size_t>(rcv_offset_ - begin));
  begin = rcv_offset_;
  unacked_bytes_ += static_cast<uint32_t>(bytes.size());
  info_.last_data_received = now;
  info_.bytes_received += bytes.size();
  rcv_nxt_ = rcv_nxt_ + static_cast<uint32_t>(bytes.size());
  rcv_offset_ += bytes.size();
  const bool hole = !early_.empty();
  owner_->OnPayload(*self_, now, static_cast<uint32_t>(begin), bytes);
  if (state_ != TcpState::kClosed && hole) DeliverOutOfOrder(now);
}

void Subflow::Impl::DeliverOutOfOrder(Time now) {
  ack_now_ = true;  // a hole was filled
  while (state_ != TcpState::kClosed) {
    const std::vector<uint8_t> piece = early_.Take(rcv_offset_);
    const ByteSpan bytes = BeforeFin(rcv_offset_, piece);
    if (bytes.empty()) return;
    const auto begin = static_cast<uint32_t>(rcv_offset_);
    info_.bytes_received += bytes.size();
    rcv_nxt_ = rcv_nxt_ + static_cast<uint32_t>(bytes.size());
    rcv_offset_ += bytes.size();
    owner_->OnPayload(*self_, now, begin, bytes);
  }
}

void Subflow::Impl::InputFin(Time now, const Segment& segment) {
  if (segment.fin) {
    const uint64_t at = OffsetOf(segment.seq) + segment.payload.size();
    if (may_receive()) {
      if (at > rcv_offset_) ack_now_ = true;
    } else {
      ack_now_ = true;  // a repeated FIN: our acknowledgement was lost
      if (state_ == TcpState::kTimeWait) time_wait_.Set(now + config_.time_wait);
    }
  }
  if (!fin_offset_ || *fin_offset_ != rcv_offset_ || !may_receive()) return;
  rcv_nxt_ = rcv_nxt_ + 1;
  ++rcv_offset_;
  ack_now_ = true;
  early_.clear();  // what lay beyond the end was not of the stream
  switch (state_) {
    case TcpState::kEstablished:
      state_ = TcpState::kCloseWait;
      break;
    case TcpState::kFinWait1:
      state_ = TcpState::kClosing;
      if (fin_acked_) EnterTimeWait(now);
      break;
    default:
      EnterTimeWait(now);
      break;
  }
  owner_->OnFin(*self_, now);
}

}  // namespace mptcptls
