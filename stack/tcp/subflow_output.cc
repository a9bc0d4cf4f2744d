// Everything that leaves: one function builds all segments. A segment may be a whole 64 KiB; the
// device cuts it (ARCHITECTURE.md 9).
#include <utility>

#include "stack/tcp/option_space.h"
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

constexpr size_t kLargestPacket = 65521;  // FACTS.md: one byte more is lost silently
constexpr uint8_t kEcnBits = 3;           // RFC 3168 5
constexpr int kChallengesPerSecond = 10;  // RFC 5961 7, per subflow
// A path so short is never worth small segments (Linux does the same by tcp_tso_rtt_log).
constexpr Duration kNearby = std::chrono::milliseconds(1);

}  // namespace

// A path MTU probe has to fit.
size_t Subflow::Impl::MaxSegment() const {
  return cwr_due_ ? SegmentLimit() : std::max(SegmentLimit(), probe_payload_);
}

size_t Subflow::Impl::SegmentLimit() const {
  // A device that cuts a segment may repeat the flag, which is to be said once.
  if (!config_.segmentation || cwr_due_) return mss_;
  const size_t most = std::min(config_.max_segment_bytes, kLargestPacket - kMaxHeaders);
  const size_t limit =
      config_.policy.pacing ? pacer_.SegmentSize(mss_, most, rtt_.min() < kNearby) : most;
  return limit - limit % mss_;  // whole packets: none is short in the middle of the stream
}

size_t Subflow::Impl::SendRoom(Time now, bool respect_window) const {
  if (!may_send() || fin_sent_ || (sent_.lost() > 0 && !frto_hold_)) return 0;
  if (config_.policy.pacing && !pacer_.Ready(now)) return 0;
  const uint32_t pipe = sent_.in_flight();
  uint32_t cwnd = congestion_->cwnd();
  // Limited transmit (RFC 3042): a duplicate tells that one segment left the network. With SACK the
  // pipe knows.
  if (!sack_ && !in_recovery_ && !in_loss_) {
    cwnd += static_cast<uint32_t>(std::min(duplicate_acks_, 2)) * mss_;
  }
  const uint32_t congestion = cwnd > pipe ? cwnd - pipe : 0;
  if (!respect_window) return congestion;
  // In MPTCP the window is the data level's (RFC 8684 3.3.1): this subflow may not have heard of it
  // for long. The owner knows it.
  const Seq edge = snd_una_ + snd_wnd_;
  const uint32_t window = config_.windows_at_data_level ? congestion
                          : edge > snd_nxt_             ? edge - snd_nxt_
                                                        : 0;
  const uint32_t room = std::min(congestion, window);
  if (room >= mss_) return room - room % mss_;
  // RFC 9293 3.8.6.2.1: no dribbling. A short segment is sent when nothing is on its way, or when
  // it is a good part of the largest window that this peer ever offered.
  if (snd_una_ == snd_nxt_ || (window < mss_ && room >= max_snd_wnd_ / 2 && room > 0)) return room;
  return 0;
}

Mapping Subflow::Impl::SendData(Time now, const Payload& payload, Mapping mapping, bool push) {
  if (sent_.empty() && rtt_.valid()) congestion_->OnIdle(now - last_data_sent_, rtt_.Rto());
  acks_.OnDataSent(now);
  mapping.ssn = snd_nxt_ - iss_;
  if (snd_wnd_ == 0) ++counters_->zero_window_probes;
  const bool first = !retransmit_.armed();
  for (size_t at = 0; at < payload.size();) {
    const size_t left = payload.size() - at;
    SentRange range;
    range.mtu_probe = probe_payload_ > 0 && probe_payload_ <= left;
    const size_t size = range.mtu_probe        ? std::exchange(probe_payload_, 0)
                        : config_.segmentation ? left
                                               : std::min<size_t>(left, mss_);
    range.begin = snd_nxt_;
    range.payload = payload.Slice(at, size);
    at += size;
    range.push = push && at == payload.size();
    range.mapping = mapping;
    range.sent_at = now;
    range.stamp = range.first_stamp = TimestampClock(now);
    range.packet = PacketSize(range);
    snd_nxt_ = range.end();
    sent_.Push(range);
    if (reducing()) prr_out_ += range.length();
    if (range.mtu_probe) {
      SendMtuProbe(now, range);
    } else {
      TransmitRange(now, range);
    }
  }
  info_.bytes_sent += payload.size();
  // RFC 9438 5.8: a window that is not used up must not grow.
  const uint32_t pipe = sent_.in_flight();
  const uint32_t used = congestion_->in_slow_start() ? 2 * pipe : pipe + 2 * mss_;
  cwnd_limited_ = used >= congestion_->cwnd();
  if (first) ArmRetransmit(now);
  ArmProbe(now);
  return mapping;
}

// After every segment: the next one waits until this one has had its time.
void Subflow::Impl::Pace(Time now, size_t bytes) {
  if (!config_.policy.pacing) return;
  pacer_.OnSent(now, bytes);
  if (!pacer_.Ready(now)) pace_.Set(pacer_.ReadyAt());
}

void Subflow::Impl::OnPaceTimer(Time now) {
  RetransmitLost(now);
  owner_->OnInputDone(*self_, now);
}

// A SYN or SYN/ACK, again where it was sent before.
void Subflow::Impl::SendSyn(Time now) {
  const bool answer = state_ == TcpState::kSynReceived;
  SegmentHeaders headers;
  headers.syn = true;
  headers.has_ack = answer;
  headers.seq = iss_;
  TcpOptions& o = headers.options;
  const auto ip = static_cast<uint32_t>(IpHeaderSize(config_.tuple.local.address.family));
  o.mss = static_cast<uint16_t>(std::min<uint32_t>(config_.mtu - ip - 20, 65535));
  o.sack_permitted = !answer || sack_;
  if (!answer || scaling_) o.window_scale = config_.window_scale;
  SegmentPlan plan;
  plan.kind = answer ? SegmentPlan::Kind::kSynAck : SegmentPlan::Kind::kSyn;
  plan.transmission = ++syn_transmissions_;
  if (syn_transmissions_ == 1) syn_sent_at_ = now;
  Transmit(now, &headers, plan, {});
  ArmRetransmit(now);
}

void Subflow::Impl::SendAck(Time now) {
  if (state_ == TcpState::kClosed) return;
  SegmentHeaders headers;
  headers.seq = EmptySeq();
  headers.has_ack = true;
  Transmit(now, &headers, {}, {});
}

// Of a segment without payload. A probe lies beyond a closed window, and so would whatever is
// numbered after it: the peer would not look at its acknowledgement or RST (RFC 9293 3.10.7.4).
Seq Subflow::Impl::EmptySeq() const {
  return was_established_ && snd_wnd_ == 0 ? snd_una_ : snd_nxt_;
}

// RFC 5961 7
void Subflow::Impl::ChallengeAck(Time now) {
  if (now - challenge_window_ >= std::chrono::seconds(1)) {
    challenge_window_ = now;
    challenges_left_ = kChallengesPerSecond;
  }
  if (challenges_left_ == 0) {
    ++counters_->challenge_acks_limited;
    return;
  }
  --challenges_left_;
  ++counters_->challenge_acks;
  SendAck(now);
}

void Subflow::Impl::SendResetSegment(Time now) {
  SegmentHeaders headers;
  headers.seq = EmptySeq();
  headers.has_ack = true;
  headers.rst = true;
  SegmentPlan plan;
  plan.kind = SegmentPlan::Kind::kReset;
  ++counters_->resets_sent;
  Transmit(now, &headers, plan, {});
}

// As much of what is lost as the congestion window takes.
void Subflow::Impl::RetransmitLost(Time now) {
  while (sent_.lost() > 0 && !frto_hold_) {
    const uint32_t pipe = sent_.in_flight(), cwnd = congestion_->cwnd();
    // One segment always goes out after a timeout or as the fast retransmission.
    if (pipe > 0 && pipe + mss_ > cwnd) return;
    if (pipe > 0 && config_.policy.pacing && !pacer_.Ready(now)) return;
    SentRange* lost = sent_.FirstLost();
    const size_t room = std::max<size_t>(cwnd > pipe ? cwnd - pipe : 0, mss_);
    const size_t size = std::min({room - room % mss_, SegmentLimit(), size_t{lost->length()}});
    const Seq begin = lost->begin;
    if (size < lost->length()) sent_.SplitAt(begin + static_cast<uint32_t>(size));
    Retransmit(now, sent_.SplitAt(begin));
  }
}

void Subflow::Impl::Retransmit(Time now, size_t index) {
  SentRange& range = sent_.ranges()[index];
  sent_.SetFate(&range, SentRange::Fate::kInFlight);
  // A probe or a timeout says nothing of reordering.
  if (range.transmissions > 1) {
    reordering_.OnRetransmitAgain(range.begin, range.end());
  } else if (in_recovery_) {
    reordering_.OnRetransmit(range.begin, range.end(), range.sent_at);
  }
  ++range.transmissions;
  range.sent_at = now;
  range.stamp = RetransmissionStamp(now, range.stamp);
  if (range.mtu_probe) LoseProbe(now, &range);
  range.packet = PacketSize(range);
  if (reducing()) prr_out_ += range.length();
  NoteRetransmission(range);
  ++counters_->segments_retransmitted;
  counters_->bytes_retransmitted += range.payload.size();
  info_.bytes_retransmitted += range.payload.size();
  ++info_.segments_retransmitted;
  // The oldest one goes out again: its time begins anew.
  if (range.begin == snd_una_) ArmRetransmit(now);
  const SentRange copy = range;  // the owner's callback may change the queue
  TransmitRange(now, copy);
}

// Where packets overtake one another a retransmission arrives before some that were sent just
// before it. Its stamp, which is the peer's TS.Recent as soon as it fills the first hole, must not
// be newer than theirs, or the peer throws them away as old duplicates (PAWS, RFC 7323 5.3). It
// lies back as far as packets have been overtaken, but behind all that comes before it in the
// sequence: what was sent before its bytes, and retransmissions.
uint32_t Subflow::Impl::RetransmissionStamp(Time now, uint32_t before) {
  const uint32_t clock = TimestampClock(now);
  uint32_t stamp =
      clock - static_cast<uint32_t>(
                  std::chrono::ceil<std::chrono::milliseconds>(reordering_.extent()).count());
  if (Older(stamp, before + 1)) stamp = before + 1;
  if (retransmission_stamp_ && Older(stamp, *retransmission_stamp_)) stamp = *retransmission_stamp_;
  if (Older(clock, stamp)) stamp = clock;
  retransmission_stamp_ = stamp;
  return stamp;
}

void Subflow::Impl::TransmitRange(Time now, const SentRange& range) {
  SegmentHeaders headers;
  headers.seq = range.begin;
  headers.has_ack = true;
  headers.psh = range.push;
  headers.fin = range.fin;
  headers.options.timestamps = Timestamps{range.stamp, 0};
  SegmentPlan plan;
  plan.kind = range.fin ? SegmentPlan::Kind::kFin : SegmentPlan::Kind::kData;
  plan.transmission = range.transmissions;
  plan.payload_size = range.payload.size();
  plan.mapping = range.mapping;
  Transmit(now, &headers, plan, range.payload);
}

void Subflow::Impl::Transmit(Time now, SegmentHeaders* headers, const SegmentPlan& base,
                             const Payload& payload) {
  SegmentPlan plan = base;
  headers->tuple = config_.tuple;
  if (headers->has_ack) headers->ack = rcv_nxt_;
  TcpOptions& o = headers->options;
  if (timestamps_ && !bare_) {
    const uint32_t value = o.timestamps ? o.timestamps->value : TimestampClock(now);
    o.timestamps = Timestamps{value, headers->has_ack ? ts_recent_ : 0};
  } else {
    o.timestamps.reset();
  }
  const bool holes = sack_ && (!early_.empty() || duplicate_) && !headers->syn;
  plan.room = RoomForMptcp(o, plan.kind == SegmentPlan::Kind::kAck, holes);
  owner_->FillOptions(*self_, plan, &o.mptcp);
  if (EncodedSize(o) > kMaxTcpOptions) {
    ++counters_->bugs;
    o.mptcp = {};
  }
  if (holes) AddSackBlocks(&o);
  headers->window = TakeWindow(headers->syn);
  MarkEcn(plan, headers);
  headers->traffic_class = config_.traffic_class & ~kEcnBits;

  std::array<uint8_t, kMaxHeaders> buffer;
  OutgoingPacket packet;
  headers->ip_id = ip_id_;
  if (!BuildHeaders(*headers, payload.size(), &buffer, &packet)) {
    ++counters_->bugs;
    return;
  }
  for (int i = 0; i < payload.pieces(); ++i) {
    packet.payload[static_cast<size_t>(i)] = payload.piece(i);
  }
  packet.payload_pieces = payload.pieces();
  // Packets of one size, whatever options they have: what is lost is then what is repeated.
  const size_t unit = sending_probe_ ? path_mtu_.limit() - packet.headers.size()
                                     : std::min<size_t>(mtu_ - packet.headers.size(), mss_);
  if (!payload.empty()) data_headers_ = static_cast<uint32_t>(packet.headers.size());
  const size_t pieces = payload.size() > unit ? (payload.size() + unit - 1) / unit : 1;
  if (pieces > 1) packet.gso_size = static_cast<uint16_t>(unit);
  ip_id_ = static_cast<uint16_t>(ip_id_ + pieces);
  ++info_.segments_out;
  ++counters_->packets_out;
  if (!payload.empty()) {
    last_data_sent_ = now;
    Pace(now, payload.size());
  }
  if (headers->has_ack) {
    last_ack_sent_ = rcv_nxt_;
    if (unacked_bytes_ > 0) acks_.OnAckSent();
    unacked_bytes_ = 0;
    // Data beside which there was no room for SACK says nothing of the holes: that follows alone.
    ack_now_ = ack_now_ && holes && o.sack_count == 0 && !payload.empty();
    delayed_ack_.Cancel();
  }
  environment_->Output(packet);
}

void Subflow::Impl::AddSackBlocks(TcpOptions* o) {
  const auto at = [this](const OutOfOrder::Range& range) {
    const auto seq = [this](uint64_t offset) {
      return rcv_nxt_ + static_cast<uint32_t>(offset - rcv_offset_);
    };
    return SackBlock{seq(range.begin), seq(range.end)};
  };
  // RFC 2883 4: what arrived twice comes first, once.
  if (duplicate_) o->sack[o->sack_count++] = at(*duplicate_);
  std::array<OutOfOrder::Range, 4> blocks;
  const size_t count = early_.Blocks(blocks.size() - o->sack_count, &blocks);
  for (size_t i = 0; i < count; ++i) o->sack[o->sack_count++] = at(blocks[i]);
  FitSackBlocks(o);
  if (o->sack_count > 0) duplicate_.reset();
}

}  // namespace mptcptls
