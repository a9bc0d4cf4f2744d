// What an acknowledgement tells: the cumulative part (RFC 9293 3.10.7.4), SACK (RFC 2018), DSACK
// (RFC 2883), the window, round trip times (RFC 6298 3, RFC 7323 4).
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

using Fate = SentRange::Fate;

constexpr size_t kMaxRanges = 16384;  // ours: a peer could cut what is sent into single bytes

}  // namespace

void Subflow::Impl::ProcessAck(Time now, const Segment& segment) {
  const Seq ack = segment.ack;
  const uint32_t window_before = snd_wnd_;
  const Seq una_before = snd_una_;
  echo_ = EchoOf(segment);
  UpdateWindow(segment);
  if (window_before == 0 && snd_wnd_ > 0 && ack == snd_una_) WindowOpened(now);
  News news;
  if (ack > snd_una_) {
    TakeCumulative(now, ack, &news);
    backoff_ = consecutive_timeouts_ = unanswered_timeouts_ = 0;
    duplicate_acks_ = 0;
  } else if (snd_wnd_ == 0 && ack == snd_una_) {
    // RFC 9293 3.8.6.1: a peer that answers probes is alive, however long its window stays closed.
    unanswered_timeouts_ = consecutive_timeouts_ = 0;
  }
  const uint32_t acked = snd_una_ - una_before;
  if (sack_) {
    // Beside data and a DSS there may be no room for blocks: what such a segment does not mention
    // is not missing yet.
    sacks_told_ = segment.payload.empty() || segment.options.sack_count > 0 || sent_.sacked() == 0;
    TakeSacks(now, segment, &news);
    NoteDuplicate(now, news);
  }
  MeasureRtt(now, news);
  TakeCongestionEcho(segment);
  DetectSpurious(now, news);
  AdvanceFrto(segment, news);
  if (!sack_) {
    DetectWithoutSack(segment, acked);
  } else if (news.delivered > 0) {
    MarkOverdue(now);
  }
  CheckProbe(segment, news);
  AdvanceRecovery(now, news);
  if (acked > 0) {
    if (snd_una_ > round_end_) {  // RFC 9406 4.2: a round trip is over
      congestion_->OnRound();
      round_end_ = snd_nxt_;
    }
    info_.bytes_acked += news.payload;
    if (sent_.empty()) {
      retransmit_.Cancel();
      reorder_.Cancel();
    } else {
      ArmRetransmit(now);
    }
  }
  pacer_.SetRate(congestion_->cwnd(), congestion_->cwnd() < congestion_->ssthresh() / 2,
                 rtt_.srtt());
  RetransmitLost(now);
  if (news.delivered > 0) ArmProbe(now);
  if (acked > 0 && fin_sent_ && snd_una_ == snd_nxt_) FinAcked(now);
  if (state_ == TcpState::kClosed) return;
  if (news.payload > 0 || snd_wnd_ > window_before) owner_->OnAcked(*self_, now, news.payload);
}

// What of our time stamps the peer has seen last (RFC 7323 4.3). An acknowledgement of something
// that echoes less than its first transmission is from a peer who does not get them: they are
// stripped on the way, though agreed upon.
std::optional<uint32_t> Subflow::Impl::EchoOf(const Segment& segment) const {
  const auto& timestamps = segment.options.timestamps;
  if (!timestamps_ || !timestamps || timestamps->echo_reply == 0) return std::nullopt;
  const bool news = segment.ack > snd_una_ && !sent_.empty();
  if (news && Older(timestamps->echo_reply, sent_.ranges().front().first_stamp)) {
    return std::nullopt;
  }
  return timestamps->echo_reply;
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
void Subflow::Impl::Delivered(Time now, const SentRange& range, News* news) {
  PacketDelivered(now, range);
  const bool once = range.transmissions == 1;
  news->delivered += range.length();
  if (once && range.end() <= recovery_point_) news->original += range.length();
  const Duration rtt = now - range.sent_at;
  // An acknowledgement of the first transmission, not of the second: no sample.
  if (!once && (rtt < rtt_.min() || (echo_ && Older(*echo_, range.stamp)))) {
    return;
  }
  if (once && range.end() < fack_) reordering_.OnOvertaken(rtt - rack_rtt_);
  if (fack_ < range.end()) fack_ = range.end();
  if (range.sent_at > rack_time_ || (range.sent_at == rack_time_ && range.end() > rack_end_)) {
    rack_time_ = range.sent_at;
    rack_end_ = range.end();
    rack_rtt_ = rtt;
  }
  // Karn (RFC 6298 3): only what was sent once.
  if (!once) return;
  if (!news->oldest_rtt) news->oldest_rtt = rtt;
  news->newest_rtt = rtt;
}

// RFC 2883 4: the first block lies below the acknowledgement, or within the second one.
bool Subflow::Impl::TakeDuplicate(const Segment& segment, News* news) const {
  const auto& o = segment.options;
  if (o.sack_count == 0) return false;
  const SackBlock& first = o.sack[0];
  if (!(first.begin < first.end) || first.end > snd_nxt_) return false;
  const bool below = first.end <= segment.ack;
  const bool within = o.sack_count > 1 && first.begin >= o.sack[1].begin &&
                      first.end <= o.sack[1].end && o.sack[1].begin < o.sack[1].end;
  if (!below && !within) return false;
  news->duplicate = first;
  return true;
}

void Subflow::Impl::TakeSacks(Time now, const Segment& segment, News* news) {
  auto blocks = segment.options.sack;
  const auto begin = blocks.begin() + (TakeDuplicate(segment, news) ? 1 : 0);
  const auto end = blocks.begin() + segment.options.sack_count;
  // In order of sequence, or what this one segment tells would look like reordering.
  std::sort(begin, end, [](const SackBlock& a, const SackBlock& b) { return a.begin < b.begin; });
  for (auto block = begin; block != end; ++block) {
    if (!(block->begin < block->end) || block->begin < snd_una_ || block->end > snd_nxt_) continue;
    if (sent_.ranges().size() >= kMaxRanges) break;
    size_t index = sent_.SplitAt(block->begin);
    const size_t stop = sent_.SplitAt(block->end);
    for (; index < stop; ++index) {
      SentRange& range = sent_.ranges()[index];
      if (range.fate == Fate::kSacked) continue;
      Delivered(now, range, news);
      sent_.SetFate(&range, Fate::kSacked);
    }
  }
}

// The oldest segment had been sent again, and the echo is of what arrived at snd_una (RFC 7323
// 4.3): of an earlier transmission?
void Subflow::Impl::MeasureLateness(Time now, const SentRange& range) {
  if (!echo_ || !Older(*echo_, range.stamp)) return;
  const std::chrono::milliseconds took(TimestampClock(now) - *echo_);
  reordering_.OnOriginal(took - rack_rtt_, range.begin, range.end());
}

void Subflow::Impl::TakeCumulative(Time now, Seq ack, News* news) {
  const size_t stop = sent_.SplitAt(ack);
  bool sent_again = false;
  for (size_t i = 0; i < stop; ++i) {
    const SentRange& range = sent_.ranges().front();
    sent_again |= range.transmissions > 1;
    if (range.fate != Fate::kSacked) {
      if (i == 0 && range.transmissions > 1) MeasureLateness(now, range);
      Delivered(now, range, news);
    }
    news->payload += static_cast<uint32_t>(range.payload.size());
    sent_.PopFront();
  }
  // What waited at the peer for a retransmission tells how long that took, not a round trip:
  // without SACK it could be one of minutes.
  if (sent_again) {
    news->oldest_rtt.reset();
    news->newest_rtt.reset();
  }
  if (fack_ < ack) fack_ = ack;
  snd_una_ = ack;
  news->advanced = true;
}

// One sample an acknowledgement. Where Karn leaves none, the time stamp that the peer echoes does
// (RFC 7323 4.1): a round trip time that has grown beyond the timeout would never be learned else.
void Subflow::Impl::MeasureRtt(Time now, const News& news) {
  if (news.oldest_rtt) {
    rtt_.Sample(*news.oldest_rtt, *news.newest_rtt);
    congestion_->OnRtt(*news.newest_rtt);
  } else if (news.advanced && echo_) {
    const uint32_t ticks = TimestampClock(now) - *echo_;
    constexpr uint32_t kNonsense = 120'000;
    if (ticks < kNonsense) rtt_.Sample(std::chrono::milliseconds(std::max(ticks, 1u)));
  }
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

}  // namespace mptcptls
