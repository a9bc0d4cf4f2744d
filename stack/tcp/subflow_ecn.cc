// Explicit congestion notification (RFC 3168): the network marks instead of dropping, the receiver
// echoes the mark until the sender says that its window was reduced.
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {
namespace {

constexpr uint8_t kEct0 = 2, kCe = 3;  // the IP header's two bits (RFC 3168 5)

}  // namespace

// RFC 3168 6.1.1. A SYN with both flags asks; a SYN/ACK with ECE alone agrees.
void Subflow::Impl::NegotiateEcn(const Segment& syn) {
  if (config_.policy.ecn == EcnMode::kOff) return;
  if (syn.has_ack) {
    ecn_ = config_.policy.ecn == EcnMode::kAsk && syn_transmissions_ == 1 && syn.ece && !syn.cwr;
  } else {
    ecn_ = syn.ece && syn.cwr;
  }
}

// RFC 3168 6.1.3
void Subflow::Impl::TakeEcn(const Segment& segment) {
  if (!ecn_) return;
  if (segment.cwr) ecn_echo_ = false;
  if (segment.ecn == kCe && !ecn_echo_) {
    ecn_echo_ = true;
    ack_now_ = true;
  }
}

// RFC 3168 6.1.2: as for a lost packet, once a round trip.
void Subflow::Impl::TakeCongestionEcho(const Segment& segment) {
  if (!ecn_ || !segment.ece || reducing() || in_loss_ || sent_.empty()) return;
  in_cwr_ = true;
  undo_.armed = false;  // the network said so itself
  cwr_due_ = true;
  recovery_point_ = snd_nxt_;
  congestion_->Remember();
  Reduce(sent_.in_flight());
  ++counters_->congestion_echoes;
}

// New data alone is marked as capable (RFC 3168 6.1.5: no retransmission, no pure ACK).
void Subflow::Impl::MarkEcn(const SegmentPlan& plan, SegmentHeaders* headers) {
  if (headers->syn) {
    const bool ask = plan.kind == SegmentPlan::Kind::kSyn && config_.policy.ecn == EcnMode::kAsk &&
                     plan.transmission == 1;  // 6.1.1.1: a lost SYN may have been dropped for it
    headers->ece = ask || (plan.kind == SegmentPlan::Kind::kSynAck && ecn_);
    headers->cwr = ask;
    return;
  }
  if (!ecn_ || headers->rst) return;
  headers->ece = ecn_echo_;
  if (plan.payload_size == 0 || plan.transmission > 1 || snd_wnd_ == 0) return;
  headers->ecn = kEct0;
  if (cwr_due_) {
    headers->cwr = true;
    cwr_due_ = false;
  }
}

}  // namespace mptcptls
