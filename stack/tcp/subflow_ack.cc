// Acknowledgements and what they tell: SACK (RFC 2018), RACK-TLP (RFC 8985), NewReno where there is
// no SACK (RFC 6582), proportional rate reduction (RFC 6937), timeouts (RFC 6298).
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

using Fate = SentRange::Fate;

constexpr int kDuplicateThreshold = 3;  // RFC 5681 3.2
constexpr size_t kMaxRanges = 16384;    // ours: a peer could cut what is sent into single bytes
constexpr int kMaxBackoff = 10;         // kMaxRto bounds it anyway
constexpr Duration kProbeSlack = std::chrono::milliseconds(2);     // timer granularity, as Linux
constexpr Duration kPeerAckDelay = std::chrono::milliseconds(50);  // a lone segment's ACK may wait

}  // namespace

void Subflow::Impl::ProcessAck(Time now, const Segment& segment) {
  const Seq ack = segment.ack;
  const uint32_t window_before = snd_wnd_;
  const Seq una_before = snd_una_;
  UpdateWindow(segment);
  if (window_before == 0 && snd_wnd_ > 0 && ack == snd_una_) WindowOpened(now);
  // In order of sequence, or what this one segment tells would look like reordering.
  uint32_t delivered = 0, payload_bytes = 0;
  if (ack > snd_una_) {
    delivered = TakeCumulative(now, ack, &payload_bytes);
    backoff_ = consecutive_timeouts_ = unanswered_timeouts_ = 0;
    duplicate_acks_ = 0;
    probe_outstanding_ = false;
  } else if (snd_wnd_ == 0 && ack == snd_una_) {
    // RFC 9293 3.8.6.1: a peer that answers probes is alive, however long its window stays closed.
    unanswered_timeouts_ = consecutive_timeouts_ = 0;
  }
  const uint32_t acked = snd_una_ - una_before;
  if (sack_) {
    delivered += TakeSacks(now, segment);
    if (delivered > 0) MarkOverdue(now);
  } else {
    DetectWithoutSack(segment, acked);
  }
  AdvanceRecovery(now, delivered);
  if (acked > 0) {
    if (snd_una_ > round_end_) {  // RFC 9406 4.2: a round trip is over
      cubic_.OnRound();
      round_end_ = snd_nxt_;
    }
    info_.bytes_acked += payload_bytes;
    if (sent_.empty()) {
      retransmit_.Cancel();
      reorder_.Cancel();
    } else {
      ArmRetransmit(now);
    }
  }
  RetransmitLost(now);
  if (delivered > 0) ArmProbe(now);
  if (acked > 0 && fin_sent_ && snd_una_ == snd_nxt_) FinAcked(now);
  if (state_ == TcpState::kClosed) return;
  if (payload_bytes > 0 || snd_wnd_ > window_before) owner_->OnAcked(*self_, now, payload_bytes);
}

// RFC 9293 3.10.7.4: only a segment that is not older may change the window. At the data level the
// owner judges it; here the newest counts as well.
void Subflow::Impl::UpdateWindow(const Segment& segment) {
  if (segment.ack < snd_una_) return;
  // One that acknowledges more is newer, be it a retransmission: the window is counted from what it
  // acknowledges, and an old one counted from there would reach too far.
  const bool older = segment.seq < snd_wl1_ || (segment.seq == snd_wl1_ && segment.ack < snd_wl2_);
  if (older && segment.ack == snd_una_) return;
  snd_wnd_ = static_cast<uint32_t>(segment.window) << snd_scale_;
  max_snd_wnd_ = std::max(max_snd_wnd_, snd_wnd_);
  snd_wl1_ = Max(snd_wl1_, segment.seq);
  snd_wl2_ = segment.ack;
}

// What probed the closed window was thrown away by the peer: it goes out again at once.
void Subflow::Impl::WindowOpened(Time now) {
  backoff_ = 0;
  for (SentRange& range : sent_.ranges()) {
    if (range.fate == Fate::kInFlight) sent_.SetFate(&range, Fate::kLost);
  }
  if (!sent_.empty()) ArmRetransmit(now);
}

// RFC 8985 6.2 steps 1 to 3
void Subflow::Impl::Delivered(Time now, const SentRange& range) {
  const Duration rtt = now - range.sent_at;
  // An acknowledgement of the first transmission, not of the second: no sample.
  if (range.transmissions > 1 && rtt < rtt_.min()) return;
  if (range.transmissions == 1 && range.end() < fack_ && range.fate != Fate::kSacked) {
    reordering_seen_ = true;
  }
  if (fack_ < range.end()) fack_ = range.end();
  if (range.sent_at > rack_time_ || (range.sent_at == rack_time_ && range.end() > rack_end_)) {
    rack_time_ = range.sent_at;
    rack_end_ = range.end();
    rack_rtt_ = rtt;
  }
}

// Returns the bytes that were SACKed for the first time.
uint32_t Subflow::Impl::TakeSacks(Time now, const Segment& segment) {
  uint32_t fresh = 0;
  auto blocks = segment.options.sack;
  const auto end = blocks.begin() + segment.options.sack_count;
  std::sort(blocks.begin(), end,
            [](const SackBlock& a, const SackBlock& b) { return a.begin < b.begin; });
  for (auto block_at = blocks.begin(); block_at != end; ++block_at) {
    const SackBlock& block = *block_at;
    if (!(block.begin < block.end) || block.begin < snd_una_ || block.end > snd_nxt_) continue;
    if (sent_.ranges().size() >= kMaxRanges) break;
    size_t index = sent_.SplitAt(block.begin);
    const size_t stop = sent_.SplitAt(block.end);
    for (; index < stop; ++index) {
      SentRange& range = sent_.ranges()[index];
      if (range.fate == Fate::kSacked) continue;
      Delivered(now, range);
      fresh += range.length();
      if (range.transmissions == 1 && range.length() > 0) rtt_.Sample(now - range.sent_at);
      sent_.SetFate(&range, Fate::kSacked);
    }
  }
  return fresh;
}

// Returns the bytes whose delivery is news (not SACKed before).
uint32_t Subflow::Impl::TakeCumulative(Time now, Seq ack, uint32_t* payload_bytes) {
  uint32_t fresh = 0;
  const size_t stop = sent_.SplitAt(ack);
  std::optional<Duration> sample;
  for (size_t i = 0; i < stop; ++i) {
    const SentRange& range = sent_.ranges().front();
    if (range.fate != Fate::kSacked) {
      Delivered(now, range);
      fresh += range.length();
      // Karn (RFC 6298 3): only what was sent once. The last one is the freshest.
      if (range.transmissions == 1) sample = now - range.sent_at;
    }
    *payload_bytes += static_cast<uint32_t>(range.payload.size());
    sent_.PopFront();
  }
  if (sample) {
    rtt_.Sample(*sample);
    cubic_.OnRtt(*sample);
  }
  if (fack_ < ack) fack_ = ack;
  snd_una_ = ack;
  return fresh;
}

// RFC 8985 6.2 step 5: what was sent before something that was delivered, and has had its time.
void Subflow::Impl::MarkOverdue(Time now) {
  Duration patience{0};
  const bool eager = !reordering_seen_ &&
                     (in_recovery_ || in_loss_ || sent_.sacked() >= kDuplicateThreshold * mss_);
  if (!eager) patience = std::min(rtt_.min() / 4, rtt_.srtt());
  Time next = kNever;
  for (SentRange& range : sent_.ranges()) {
    if (range.fate != Fate::kInFlight) continue;
    const bool before =
        range.sent_at < rack_time_ || (range.sent_at == rack_time_ && range.end() < rack_end_);
    if (!before) continue;
    const Time deadline = range.sent_at + rack_rtt_ + patience;
    if (deadline <= now) {
      sent_.SetFate(&range, Fate::kLost);
      newly_lost_ = true;
      // RFC 5681 4.3: a lost retransmission is congestion anew.
      if (range.transmissions > 1 && range.sent_at > reduced_at_) lost_again_ = true;
    } else {
      next = std::min(next, deadline);
    }
  }
  if (next == kNever) {
    reorder_.Cancel();
  } else {
    reorder_.Set(next);
  }
}

// RFC 6582: three duplicates mean that the first segment is lost; each partial acknowledgement in
// recovery means the next one.
void Subflow::Impl::DetectWithoutSack(const Segment& segment, uint32_t acked) {
  if (sent_.empty()) return;
  const bool duplicate = acked == 0 && segment.ack == snd_una_ && segment.length() == 0;
  if (duplicate) ++duplicate_acks_;
  const bool partial = acked > 0 && in_recovery_ && snd_una_ < recovery_point_;
  const bool third = !in_recovery_ && !in_loss_ && duplicate_acks_ == kDuplicateThreshold;
  if (!third && !partial) return;
  sent_.SplitAt(snd_una_ + mss_);
  SentRange& first = sent_.ranges().front();
  if (first.fate != Fate::kInFlight) return;
  sent_.SetFate(&first, Fate::kLost);
  newly_lost_ = true;
}

void Subflow::Impl::AdvanceRecovery(Time now, uint32_t delivered) {
  if ((in_recovery_ || in_loss_) && snd_una_ >= recovery_point_) {
    if (in_recovery_) cubic_.set_cwnd(cubic_.ssthresh());
    in_recovery_ = in_loss_ = false;
    duplicate_acks_ = 0;
  }
  if (!in_recovery_ && !in_loss_ && newly_lost_) {
    in_recovery_ = true;
    recovery_point_ = snd_nxt_;
    Reduce(now, sent_.in_flight() + sent_.lost() + delivered);
    ++info_.fast_recoveries;
    ++counters_->fast_recoveries;
  } else if (in_recovery_ && lost_again_) {
    Reduce(now, sent_.in_flight() + delivered);
  }
  newly_lost_ = lost_again_ = false;
  if (in_recovery_) {
    // RFC 6937 3; the peer without SACK: each duplicate tells of one segment delivered.
    const uint32_t progress = sack_ ? delivered : std::max(delivered, mss_);
    prr_delivered_ += progress;
    const uint32_t pipe = sent_.in_flight(), target = cubic_.ssthresh();
    uint64_t room = 0;
    if (pipe > target) {
      const uint64_t due =
          (static_cast<uint64_t>(prr_delivered_) * target + recover_fs_ - 1) / recover_fs_;
      room = due > prr_out_ ? due - prr_out_ : 0;
    } else {
      const uint32_t owed = prr_delivered_ > prr_out_ ? prr_delivered_ - prr_out_ : 0;
      room = std::min<uint64_t>(target - pipe, std::max(owed, progress) + mss_);
    }
    if (prr_out_ == 0) room = std::max<uint64_t>(room, mss_);  // the fast retransmission itself
    cubic_.set_cwnd(static_cast<uint32_t>(std::min<uint64_t>(pipe + room, UINT32_MAX)));
  } else if (delivered > 0 && (cwnd_limited_ || in_loss_)) {
    cubic_.OnAcked(now, delivered, rtt_.srtt());
  }
}

void Subflow::Impl::Reduce(Time now, uint32_t in_flight) {
  recover_fs_ = std::max(in_flight, mss_);
  prr_delivered_ = prr_out_ = 0;
  reduced_at_ = now;
  cubic_.OnLoss(in_flight);
}

void Subflow::Impl::FinAcked(Time now) {
  fin_acked_ = true;
  switch (state_) {
    case TcpState::kFinWait1:
      state_ = TcpState::kFinWait2;
      return;
    case TcpState::kClosing:
      return EnterTimeWait(now);
    case TcpState::kLastAck:
      return Finish(now, CloseReason::kClosed, nullptr);
    default:
      return;
  }
}

void Subflow::Impl::ArmRetransmit(Time now) {
  Duration rto = rtt_.Rto() * (int64_t{1} << std::min(backoff_, kMaxBackoff));
  retransmit_.Set(now + std::min(rto, Duration(RttEstimator::kMaxRto)));
}

// RFC 8985 7.2
void Subflow::Impl::ArmProbe(Time now) {
  probe_.Cancel();
  if (!sack_ || !rtt_.valid() || probe_outstanding_ || in_recovery_ || in_loss_ ||
      sent_.in_flight() == 0 || snd_wnd_ == 0) {
    return;
  }
  Duration wait = 2 * rtt_.srtt() + kProbeSlack;
  if (sent_.in_flight() <= mss_) wait += kPeerAckDelay;
  if (now + wait < retransmit_.deadline()) probe_.Set(now + wait);
}

// RFC 8985 7.3: the last segment again, so that SACKs tell what is missing.
void Subflow::Impl::OnProbeTimer(Time now) {
  if (sent_.empty() || in_recovery_ || in_loss_) return;
  SentRange& last = sent_.ranges().back();
  if (last.fate != Fate::kInFlight) return;
  probe_outstanding_ = true;
  ++counters_->tlp_sent;
  size_t index = sent_.ranges().size() - 1;
  if (last.length() > mss_) index = sent_.SplitAt(last.end() - mss_);
  Retransmit(now, index);
  ArmRetransmit(now);
}

void Subflow::Impl::OnReorderTimer(Time now) {
  MarkOverdue(now);
  AdvanceRecovery(now, 0);
  RetransmitLost(now);
}

// RFC 6298 5.4 to 5.7, RFC 8985 8
void Subflow::Impl::OnRetransmitTimer(Time now) {
  ++info_.timeouts;
  ++consecutive_timeouts_;
  ++unanswered_timeouts_;
  if (state_ == TcpState::kSynSent || state_ == TcpState::kSynReceived) {
    const int limit = state_ == TcpState::kSynSent ? config_.syn_retries : config_.synack_retries;
    if (syn_transmissions_ > limit) return Finish(now, CloseReason::kTimedOut, nullptr);
    ++backoff_;
    return SendSyn(now);
  }
  if (sent_.empty()) return;
  if (snd_wnd_ == 0) return ProbeWindow(now);
  ++counters_->rto_fired;
  if (unanswered_timeouts_ > config_.retries) {
    return Finish(now, CloseReason::kTimedOut, nullptr);
  }
  probe_.Cancel();
  reorder_.Cancel();
  // RFC 2018 8: a peer may have thrown away what it SACKed; the first range being SACKed proves it.
  const bool reneged = sent_.ranges().front().fate == Fate::kSacked;
  // RFC 5681 3.1: ssthresh is not lowered again for the same data.
  if (!in_loss_) cubic_.OnTimeout(sent_.in_flight() + sent_.lost());
  cubic_.set_cwnd(mss_);
  for (SentRange& range : sent_.ranges()) {
    if (range.fate == Fate::kInFlight || reneged) sent_.SetFate(&range, Fate::kLost);
  }
  in_loss_ = true;
  in_recovery_ = false;
  recovery_point_ = snd_nxt_;
  duplicate_acks_ = 0;
  probe_outstanding_ = false;
  ++backoff_;
  RetransmitLost(now);
  ArmRetransmit(now);
  owner_->OnTimeout(*self_, now, consecutive_timeouts_);
}

// RFC 9293 3.8.6.1: the first unacknowledged byte again; silence here is no congestion.
void Subflow::Impl::ProbeWindow(Time now) {
  if (unanswered_timeouts_ > config_.retries) {
    return Finish(now, CloseReason::kTimedOut, nullptr);
  }
  ++backoff_;
  ++counters_->zero_window_probes;
  sent_.SplitAt(snd_una_ + mss_);
  Retransmit(now, 0);
  ArmRetransmit(now);
  // The first one was answered, or had no time to be: only then is the path silent.
  owner_->OnTimeout(*self_, now, consecutive_timeouts_ - 1);
}

}  // namespace mptcptls
