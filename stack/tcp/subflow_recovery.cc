// Loss recovery: what is lost (RACK, RFC 8985; NewReno where there is no SACK, RFC 6582), how fast
// it is sent again (proportional rate reduction, RFC 6937 as revised by RFC 9937), and the timers
// (RFC 6298, tail loss probes).
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

using Fate = SentRange::Fate;

constexpr int kDuplicateThreshold = 3;                             // RFC 5681 3.2
constexpr int kMaxBackoff = 10;                                    // kMaxRto bounds it anyway
constexpr Duration kProbeSlack = std::chrono::milliseconds(2);     // timer granularity, as Linux
constexpr Duration kPeerAckDelay = std::chrono::milliseconds(50);  // a lone segment's ACK may wait

}  // namespace

// RFC 8985 6.2 step 4
Duration Subflow::Impl::ReorderingWindow() const {
  const bool eager = sacks_told_ && !reordering_.seen() &&
                     (in_recovery_ || in_loss_ || sent_.sacked() >= kDuplicateThreshold * mss_);
  if (eager) return Duration{0};
  // A deadline is that long after the RTT of the newest packet delivered, and the repair takes
  // time.
  constexpr Duration kBeforeTimeout = std::chrono::milliseconds(20);
  return reordering_.Window(rtt_.srtt(), rtt_.min(), rtt_.Rto() - rack_rtt_ - kBeforeTimeout);
}

// RFC 8985 6.2 step 5: what was sent before something that was delivered, and has had its time.
void Subflow::Impl::MarkOverdue(Time now) {
  // Without a hole nothing is overtaken.
  if (sent_.sacked() == 0 && !in_recovery_ && !in_loss_) return reorder_.Cancel();
  const Duration patience = ReorderingWindow();
  Time next = kNever;
  for (SentRange& range : sent_.ranges()) {
    if (range.fate != Fate::kInFlight) continue;
    const bool before =
        range.sent_at < rack_time_ || (range.sent_at == rack_time_ && range.end() < rack_end_);
    if (!before) {
      if (range.begin >= fack_ && range.transmissions == 1) break;  // all further ones are younger
      continue;
    }
    const Time deadline = range.sent_at + rack_rtt_ + patience;
    if (deadline <= now) {
      sent_.SetFate(&range, Fate::kLost);
      if (range.mtu_probe) {
        LoseProbe(now, &range);
      } else {
        newly_lost_ = true;
      }
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

void Subflow::Impl::AdvanceRecovery(Time now, const News& news) {
  const bool more_lost = newly_lost_;
  newly_lost_ = false;
  if ((reducing() || in_loss_) && snd_una_ >= recovery_point_) {
    if (reducing()) congestion_->set_cwnd(congestion_->ssthresh());
    in_recovery_ = in_cwr_ = in_loss_ = frto_ = frto_hold_ = false;
    duplicate_acks_ = 0;
  }
  if (more_lost && !in_recovery_ && !in_loss_) EnterRecovery(now, news.delivered);
  if (news.delivered > 0) {
    congestion_->OnDelivered(now, news.delivered, rtt_.srtt(), reducing());
  }
  if (reducing()) {
    ReduceProportionally(news, more_lost);
  } else if (news.delivered > 0 && (cwnd_limited_ || in_loss_)) {
    congestion_->OnAcked(now, news.delivered, rtt_.srtt());
  }
}

void Subflow::Impl::EnterRecovery(Time, uint32_t delivered) {
  in_recovery_ = true;
  recovery_point_ = snd_nxt_;
  tlp_end_.reset();
  reordering_.OnRecovery();
  ++info_.fast_recoveries;
  ++counters_->fast_recoveries;
  if (in_cwr_) {  // one reduction a round trip (RFC 3168 6.1.2)
    in_cwr_ = false;
    return;
  }
  RememberForUndo();
  Reduce(sent_.in_flight() + sent_.lost() + delivered);
}

void Subflow::Impl::Reduce(uint32_t in_flight) {
  recover_fs_ = std::max(in_flight, mss_);
  prr_delivered_ = prr_out_ = 0;
  congestion_->OnCongestion(in_flight);
}

// RFC 9937 6.2: the window shrinks with what is delivered, and never below what is under way.
void Subflow::Impl::ReduceProportionally(const News& news, bool more_lost) {
  // The peer without SACK: each duplicate tells of one segment delivered.
  const uint32_t progress = sack_ ? news.delivered : std::max(news.delivered, mss_);
  // What is newly known to be lost leaves room by itself.
  if (progress == 0 && prr_out_ > 0) return;
  prr_delivered_ += progress;
  const uint32_t pipe = sent_.in_flight(), target = congestion_->ssthresh();
  uint64_t room = 0;
  if (pipe > target) {
    const uint64_t due =
        (static_cast<uint64_t>(prr_delivered_) * target + recover_fs_ - 1) / recover_fs_;
    room = due > prr_out_ ? due - prr_out_ : 0;
  } else {
    const uint32_t owed = prr_delivered_ > prr_out_ ? prr_delivered_ - prr_out_ : 0;
    // SafeACK: nothing else is missing, so slow start back to ssthresh.
    const uint32_t extra = news.advanced && !more_lost ? mss_ : 0;
    room = std::min<uint64_t>(target - pipe, uint64_t{std::max(owed, progress)} + extra);
  }
  if (prr_out_ == 0) room = std::max<uint64_t>(room, mss_);  // the fast retransmission itself
  congestion_->set_cwnd(static_cast<uint32_t>(std::min<uint64_t>(pipe + room, UINT32_MAX)));
}

void Subflow::Impl::ArmRetransmit(Time now) {
  user_timeout_.OnArmed(now, snd_una_);
  Duration rto = rtt_.Rto() * (int64_t{1} << std::min(backoff_, kMaxBackoff));
  retransmit_.Set(std::min(now + std::min(rto, Duration(RttEstimator::kMaxRto)),
                           user_timeout_.Deadline(snd_una_, config_.patience)));
}

// RFC 8985 7.2
void Subflow::Impl::ArmProbe(Time now) {
  probe_.Cancel();
  if (!sack_ || !rtt_.valid() || tlp_end_ || in_recovery_ || in_loss_ || sent_.in_flight() == 0 ||
      snd_wnd_ == 0) {
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
  tlp_end_ = last.end();
  ++counters_->tlp_sent;
  size_t index = sent_.ranges().size() - 1;
  if (last.length() > mss_) index = sent_.SplitAt(last.end() - mss_);
  Retransmit(now, index);
  ArmRetransmit(now);
  owner_->OnTailProbe(*self_, now);
}

// RFC 8985 7.4: a probe that repaired the loss by itself hides it from the window, unless the peer
// says that it came twice.
void Subflow::Impl::CheckProbe(const Segment& segment, const News& news) {
  if (!tlp_end_ || segment.ack < *tlp_end_) return;
  const bool twice = news.duplicate && news.duplicate->end == *tlp_end_;
  const bool waiting = segment.ack == *tlp_end_ && news.advanced;
  if (waiting && !twice) return;  // the next one tells
  const bool hidden = !twice && segment.ack > *tlp_end_;
  tlp_end_.reset();
  if (!hidden || reducing() || in_loss_) return;
  congestion_->Remember();
  congestion_->OnCongestion(sent_.in_flight() + news.delivered);
  congestion_->set_cwnd(std::min(congestion_->cwnd(), congestion_->ssthresh()));
  undo_.armed = false;
}

void Subflow::Impl::OnReorderTimer(Time now) {
  MarkOverdue(now);
  AdvanceRecovery(now, {});
  RetransmitLost(now);
}

// RFC 6298 5.4 to 5.7, RFC 8985 8
void Subflow::Impl::OnRetransmitTimer(Time now) {
  ++info_.timeouts;
  ++consecutive_timeouts_;
  ++unanswered_timeouts_;
  if (UserTimeoutOver(now)) return Finish(now, CloseReason::kTimedOut, nullptr);
  if (state_ == TcpState::kSynSent || state_ == TcpState::kSynReceived) {
    const int limit = state_ == TcpState::kSynSent ? config_.syn_retries : config_.synack_retries;
    if (syn_transmissions_ > limit) return Finish(now, CloseReason::kTimedOut, nullptr);
    ++backoff_;
    return SendSyn(now);
  }
  if (sent_.empty()) return;
  if (snd_wnd_ == 0) return ProbeWindow(now);
  ++counters_->rto_fired;
  if (unanswered_timeouts_ > MaxRetries()) {
    return Finish(now, CloseReason::kTimedOut, nullptr);
  }
  probe_.Cancel();
  reorder_.Cancel();
  SuspectBlackHole();
  // RFC 2018 8: a peer may have thrown away what it SACKed; the first range being SACKed proves it.
  const bool reneged = sent_.ranges().front().fate == Fate::kSacked;
  // RFC 5681 3.1: ssthresh is not lowered again for the same data.
  const bool anew = !in_loss_ && !reducing();
  if (anew) {
    RememberForUndo();
    congestion_->OnCongestion(sent_.in_flight() + sent_.lost());
  }
  frto_ = anew && !reneged;
  frto_hold_ = false;
  congestion_->set_cwnd(mss_);
  congestion_->OnSilence();
  for (SentRange& range : sent_.ranges()) {
    if (range.fate == Fate::kInFlight || reneged) sent_.SetFate(&range, Fate::kLost);
  }
  in_loss_ = true;
  in_recovery_ = in_cwr_ = false;
  recovery_point_ = snd_nxt_;
  duplicate_acks_ = 0;
  tlp_end_.reset();
  ++backoff_;
  RetransmitLost(now);
  ArmRetransmit(now);
  owner_->OnTimeout(*self_, now, consecutive_timeouts_);
}

// RFC 9293 3.8.6.1: the first unacknowledged byte again; silence here is no congestion.
void Subflow::Impl::ProbeWindow(Time now) {
  if (unanswered_timeouts_ > MaxRetries()) {
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
