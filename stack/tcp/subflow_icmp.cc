// What the network says of our packets: ICMP errors (RFC 5461, RFC 5927, RFC 6069) and path MTU
// discovery, with their help or without (path_mtu.h).
#include "stack/path_mtu_cache.h"
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

using Fate = SentRange::Fate;

// Linux's 15 retransmissions (net.ipv4.tcp_retries2) without any reverted: for this long
// retransmissions that RFC 6069 made early do not count as attempts.
constexpr Duration kPatience = std::chrono::milliseconds(924'600);
constexpr uint32_t kProbeWindow = 5;  // ours: segments; what follows a probe tells of its loss

CloseReason ReasonOf(IcmpError::Cause cause) {
  switch (cause) {
    case IcmpError::Cause::kRefused:
      return CloseReason::kRefused;
    case IcmpError::Cause::kNetUnreachable:
      return CloseReason::kNetUnreachable;
    case IcmpError::Cause::kNoProtocol:
      return CloseReason::kNoProtocol;
    case IcmpError::Cause::kProhibited:
      return CloseReason::kProhibited;
    case IcmpError::Cause::kHostUnreachable:
      break;
  }
  return CloseReason::kUnreachable;
}

}  // namespace

// RFC 5927 4: only what quotes something in flight counts.
void Subflow::Impl::OnIcmpError(Time now, const IcmpError& error) {
  if (state_ == TcpState::kClosed || error.seq < snd_una_ || error.seq >= snd_nxt_) {
    ++counters_->icmp_ignored;
    return;
  }
  ++counters_->icmp_errors;
  if (error.kind == IcmpError::Kind::kPacketTooBig) return OnTooBig(now, error);
  const CloseReason reason = ReasonOf(error.cause);
  // RFC 5461 3.1: a connection attempt ends with any of them, as in Linux: the program has another
  // address to try, or wants to know now.
  if (state_ == TcpState::kSynSent) return Finish(now, reason, nullptr);
  // Else none ends anything, be it a hard one (RFC 5927 5.2). It is the reason if nothing is heard
  // any more.
  icmp_error_ = reason;
  if (error.no_route && error.seq == snd_una_) RevertBackoff(now);
}

void Subflow::Impl::OnNextHopFailed(Time now) {
  if (state_ == TcpState::kSynSent) Finish(now, CloseReason::kUnreachable, nullptr);
}

// RFC 6069 4.2: the retransmission was lost because a link is down, not for congestion; the timer
// is to be no longer than that needs. Reverted is one step for each such message.
void Subflow::Impl::RevertBackoff(Time now) {
  if (!synchronized() || state_ == TcpState::kSynReceived || backoff_ == 0 || sent_.empty() ||
      !retransmit_.armed()) {
    return;
  }
  ++counters_->rto_reverted;
  --backoff_;
  if (unanswered_timeouts_ > 0 && now - last_received_ < kPatience) --unanswered_timeouts_;
  const Time sent_at = sent_.ranges().front().sent_at;
  ArmRetransmit(sent_at);
  // It would have expired already: at the next step of the clock.
  if (retransmit_.deadline() < now) retransmit_.Set(now);
}

void Subflow::Impl::OnTooBig(Time now, const IcmpError& error) {
  if (!was_established_) return;  // a SYN is small
  SentRange* range = Find(error.seq);
  // RFC 5927 7.2: what arrived was not too big.
  if (range == nullptr || range->fate == Fate::kSacked) {
    ++counters_->icmp_ignored;
    return;
  }
  // It may have gone out again since, and smaller: the quoted one is what the router saw.
  const uint32_t packet = std::min(error.packet, path_mtu_.limit());
  const bool smaller = path_mtu_.OnTooBig(error.mtu, packet, now);
  if (range->mtu_probe && range->fate == Fate::kInFlight) {
    LoseProbe(now, range);
    sent_.SetFate(range, Fate::kLost);
  }
  probe_payload_ = 0;
  if (!smaller) return RetransmitLost(now);
  ++counters_->mtu_reduced;
  LearnMtu(now);
  // RFC 1191 6.4 and 6.5: all that was too big goes out again, in smaller packets; no congestion.
  for (SentRange& r : sent_.ranges()) {
    if (r.fate != Fate::kInFlight || r.packet <= mtu_) continue;
    if (r.mtu_probe) LoseProbe(now, &r);
    sent_.SetFate(&r, Fate::kLost);
  }
  RetransmitLost(now);
  if (!sent_.empty()) ArmRetransmit(now);
}

void Subflow::Impl::LearnMtu(Time now) {
  SetMtu();
  if (config_.path_mtus == nullptr) return;
  config_.path_mtus->Store(now, config_.tuple.local.address, config_.tuple.remote.address,
                           path_mtu_.known(now));
}

// Before what is lost goes out again.
void Subflow::Impl::SuspectBlackHole() {
  probe_payload_ = 0;
  if (!path_mtu_.OnTimeout(sent_.ranges().front().packet)) return;
  ++counters_->mtu_black_holes;
  SetMtu();
}

void Subflow::Impl::PacketDelivered(Time now, const SentRange& range) {
  icmp_error_.reset();  // as Linux: it has passed
  if (range.mtu_probe) {
    ++counters_->mtu_probes_delivered;
    path_mtu_.OnProbeDelivered(range.packet, now);
    return LearnMtu(now);
  }
  if (path_mtu_.OnDelivered(range.packet, now)) LearnMtu(now);
}

// RFC 4821 7.6.2: the loss of a probe is no sign of congestion.
void Subflow::Impl::LoseProbe(Time now, SentRange* range) {
  range->mtu_probe = false;
  ++counters_->mtu_probes_lost;
  path_mtu_.OnProbeLost(range->packet, now);
  LearnMtu(now);
}

// Payload bytes of a probe that should be sent out of new data; 0: none. What is on the packet
// beside them is taken to be as on the last one.
size_t Subflow::Impl::ProbePayload(Time now) {
  // Without SACK its loss could not be told from congestion (RFC 4821 7.5.2).
  if (path_mtu_.mtu() >= path_mtu_.limit() || !sack_ || reducing() || in_loss_ ||
      sent_.lost() > 0 || congestion_->cwnd() < kProbeWindow * mss_) {
    return 0;
  }
  const uint32_t packet = path_mtu_.NextProbe(now);
  return packet == 0 ? 0 : std::min(packet - data_headers_, MostProbePayload());
}

// Where no packet may have to be cut, room for all options is left on the largest, as it is on all
// (mss_).
uint32_t Subflow::Impl::MostProbePayload() const {
  return path_mtu_.limit() - (config_.segmentation ? data_headers_ : mtu_ - mss_);
}

// As far as it is known beforehand.
uint32_t Subflow::Impl::PacketSize(const SentRange& range) const {
  const auto payload = static_cast<uint32_t>(range.payload.size());
  if (!range.mtu_probe) return std::min(std::min(payload, mss_) + data_headers_, mtu_);
  return payload == MostProbePayload() ? path_mtu_.limit() : payload + data_headers_;
}

// New data as one packet that is larger than what surely gets through.
void Subflow::Impl::SendMtuProbe(Time now, const SentRange& range) {
  ++counters_->mtu_probes;
  path_mtu_.OnProbeSent();
  sending_probe_ = true;
  TransmitRange(now, range);
  sending_probe_ = false;
  // It may have other options than the one before.
  SentRange* sent = Find(range.begin);
  if (sent == nullptr) return;
  const uint32_t packet = PacketSize(*sent);
  sent->packet = packet <= path_mtu_.limit() ? packet : mtu_;  // cut in two: it proves nothing
}

// What holds `seq`; null: nothing that is unacknowledged.
SentRange* Subflow::Impl::Find(Seq seq) {
  std::deque<SentRange>& ranges = sent_.ranges();
  const auto found = std::ranges::partition_point(
      ranges, [seq](const SentRange& range) { return range.end() <= seq; });
  return found == ranges.end() || found->begin > seq ? nullptr : &*found;
}

}  // namespace mptcptls
