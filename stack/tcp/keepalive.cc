#include "stack/tcp/keepalive.h"

#include "stack/tcp/subflow_impl.h"

namespace mptcptls {

Keepalive::Step Keepalive::Look(Time now, const Patience& patience, Time heard, bool outstanding) {
  if (heard >= probed_) unanswered_ = 0;
  if (outstanding) return {.next = now + patience.idle};
  const Duration silence = now - heard;
  if (silence < patience.idle) return {.next = heard + patience.idle};
  const bool over = patience.user_timeout > Duration::zero()
                        ? unanswered_ > 0 && silence >= patience.user_timeout
                        : unanswered_ >= patience.probes;
  if (over) return {.give_up = true};
  ++unanswered_;
  probed_ = now;
  return {.probe = true, .next = now + patience.interval};
}

// ---- In a subflow

void Subflow::Impl::SetPatience(Time now, const Patience& patience) {
  if (patience == config_.patience) return;
  config_.patience = patience;
  ArmKeepalive(now);
  // What is under way now may have waited for long enough already.
  if (retransmit_.armed() && patience.user_timeout > Duration::zero()) {
    retransmit_.Set(std::min(retransmit_.deadline(),
                             std::max(now, user_timeout_.Deadline(snd_una_, patience))));
  }
}

void Subflow::Impl::ArmKeepalive(Time now) {
  keepalive_timer_.Cancel();
  const bool alive =
      was_established_ && state_ != TcpState::kClosed && state_ != TcpState::kTimeWait;
  if (!alive || !config_.patience.keepalive) return;
  keepalive_timer_.Set(std::max(now, last_received_ + config_.patience.idle));
}

void Subflow::Impl::OnKeepaliveTimer(Time now) {
  const auto step = keepalive_.Look(now, config_.patience, last_received_, snd_una_ != snd_nxt_);
  if (step.give_up) {
    ++counters_->keepalive_timeouts;
    SendResetSegment(now);
    return Finish(now, CloseReason::kTimedOut, nullptr);
  }
  keepalive_timer_.Set(step.next);
  if (!step.probe) return;
  // RFC 9293 3.8.4: a byte that was acknowledged already, and none: the peer must answer.
  ++counters_->keepalive_probes;
  SegmentHeaders headers;
  headers.seq = snd_nxt_ - 1;
  headers.has_ack = true;
  Transmit(now, &headers, {}, {});
}

// Asked when the retransmission timer fires.
bool Subflow::Impl::UserTimeoutOver(Time now) const {
  return now >= user_timeout_.Deadline(snd_una_, config_.patience);
}

}  // namespace mptcptls
