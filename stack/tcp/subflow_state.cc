// Opening, closing and what ends a subflow (RFC 9293 3.5, 3.6, 3.10), and the public face.
#include "stack/tcp/subflow_impl.h"

namespace mptcptls {

const char* TcpStateName(TcpState state) {
  static constexpr const char* kNames[] = {
      "UNCONN",     "SYN-SENT",   "SYN-RECV", "ESTAB",    "FIN-WAIT-1",
      "FIN-WAIT-2", "CLOSE-WAIT", "CLOSING",  "LAST-ACK", "TIME-WAIT",
  };
  return kNames[static_cast<size_t>(state)];
}

Subflow::Impl::Impl(Subflow* self, const SubflowConfig& config, SubflowOwner* owner,
                    Environment* environment, TimerQueue* timers, Counters* counters)
    : self_(self),
      config_(config),
      owner_(owner),
      environment_(environment),
      counters_(counters),
      path_mtu_(config.tuple.local.address.family, config.mtu),
      iss_(config.iss),
      snd_una_(config.iss),
      snd_nxt_(config.iss),
      early_(config.early),
      acks_(config.mtu - static_cast<uint32_t>(IpHeaderSize(config.tuple.local.address.family)) -
            20),
      congestion_(CongestionControl::Create(config.policy.congestion, config.congestion_group)),
      retransmit_(timers, [this](Time now) { OnRetransmitTimer(now); }),
      probe_(timers, [this](Time now) { OnProbeTimer(now); }),
      reorder_(timers, [this](Time now) { OnReorderTimer(now); }),
      pace_(timers, [this](Time now) { OnPaceTimer(now); }),
      delayed_ack_(timers, [this](Time now) { OnDelayedAckTimer(now); }),
      time_wait_(timers, [this](Time now) { Finish(now, CloseReason::kClosed, nullptr); }),
      keepalive_timer_(timers, [this](Time now) { OnKeepaliveTimer(now); }) {
  peer_mss_ = config.tuple.local.address.family == Family::kV4 ? 536 : 1220;
  ip_id_ = static_cast<uint16_t>(config.iss.value);
  LimitMtu();
}

// The peer's MSS bounds what is sent, whatever the path takes (RFC 9293 3.7.1).
void Subflow::Impl::LimitMtu() {
  const auto ip = static_cast<uint32_t>(IpHeaderSize(config_.tuple.local.address.family));
  path_mtu_.SetLimit(std::min(config_.mtu, peer_mss_ + ip + 20));
  SetMtu();
}

void Subflow::Impl::SetMtu() {
  const auto ip = static_cast<uint32_t>(IpHeaderSize(config_.tuple.local.address.family));
  mtu_ = path_mtu_.mtu();
  data_headers_ = std::max(data_headers_, ip + 20);
  // Room for all the options there can be: a packet that may not be cut must always fit. Plain
  // TCP's data has time stamps at most, and the device cuts smaller where SACK blocks join them.
  const bool plain = !config_.windows_at_data_level && config_.segmentation;
  const uint32_t options = !plain ? static_cast<uint32_t>(kMaxTcpOptions) : timestamps_ ? 12 : 0;
  const uint32_t headers = ip + 20 + options;
  mss_ = mtu_ > headers + 64 ? mtu_ - headers : 64;
  if (congestion_->cwnd() == 0 || !was_established_) {
    congestion_->Init(mss_);
  } else {
    congestion_->set_mss(mss_);
  }
}

void Subflow::Impl::Connect(Time now) {
  initiator_ = true;
  state_ = TcpState::kSynSent;
  snd_nxt_ = iss_ + 1;
  SendSyn(now);
}

void Subflow::Impl::TakeSynOptions(const Segment& segment) {
  const TcpOptions& o = segment.options;
  irs_ = segment.seq;
  rcv_nxt_ = irs_ + 1;
  rcv_offset_ = 1;
  rcv_adv_ = rcv_nxt_;
  last_ack_sent_ = rcv_nxt_;
  if (o.mss) peer_mss_ = std::max<uint32_t>(*o.mss, 64);
  timestamps_ = o.timestamps.has_value();
  if (o.timestamps) ts_recent_ = o.timestamps->value;
  sack_ = o.sack_permitted;
  scaling_ = o.window_scale.has_value();
  // RFC 7323 2.3: a larger shift is used as 14.
  snd_scale_ = scaling_ ? std::min<uint8_t>(*o.window_scale, 14) : 0;
  snd_wnd_ = max_snd_wnd_ = segment.window;  // never scaled in a SYN
  snd_wl1_ = segment.seq;
  snd_wl2_ = segment.has_ack ? segment.ack : iss_;
  NegotiateEcn(segment);
  LimitMtu();
  if (config_.known_mtu) path_mtu_.Begin(*config_.known_mtu);
  SetMtu();
}

void Subflow::Impl::Accept(Time now, const Segment& syn) {
  TakeSynOptions(syn);
  state_ = TcpState::kSynReceived;
  last_received_ = now;
  snd_nxt_ = iss_ + 1;
  SendSyn(now);
}

void Subflow::Impl::AcceptCookie(const Segment& syn) {
  TakeSynOptions(syn);
  state_ = TcpState::kSynReceived;
  snd_nxt_ = iss_ + 1;
  TakeWindow(true);  // as the SYN/ACK promised
}

// The handshake is done: `segment` is the SYN/ACK (active) or the ACK of ours (passive).
void Subflow::Impl::Establish(Time now, const Segment& segment) {
  snd_una_ = iss_ + 1;
  fack_ = rack_end_ = recovery_point_ = round_end_ = snd_una_;
  snd_wl2_ = segment.ack;
  if (syn_transmissions_ == 1) rtt_.Sample(now - syn_sent_at_);
  retransmit_.Cancel();
  backoff_ = consecutive_timeouts_ = unanswered_timeouts_ = 0;
  icmp_error_.reset();
  state_ = TcpState::kEstablished;
  was_established_ = true;
  ArmKeepalive(now);
  // RFC 5681 3.1: after a lost SYN the first window is one segment; a small concession is kept.
  if (syn_transmissions_ > 1) congestion_->set_cwnd(2 * mss_);
  pacer_.AllowBurst(congestion_->cwnd());
  pacer_.SetRate(congestion_->cwnd(), true, rtt_.srtt());
  owner_->OnEstablished(*self_, now);
  if (state_ == TcpState::kEstablished && close_when_established_) Close(now);
}

void Subflow::Impl::Close(Time now) {
  switch (state_) {
    case TcpState::kSynSent:
      return Finish(now, CloseReason::kAborted, nullptr);
    case TcpState::kSynReceived:
      close_when_established_ = true;
      return;
    case TcpState::kEstablished:
      state_ = TcpState::kFinWait1;
      break;
    case TcpState::kCloseWait:
      state_ = TcpState::kLastAck;
      break;
    default:
      return;
  }
  SentRange fin;
  fin.begin = snd_nxt_;
  fin.fin = true;
  fin.sent_at = now;
  fin.stamp = fin.first_stamp = TimestampClock(now);
  snd_nxt_ = snd_nxt_ + 1;
  fin_sent_ = true;
  sent_.Push(fin);
  TransmitRange(now, fin);
  if (!retransmit_.armed()) ArmRetransmit(now);
  ArmProbe(now);
}

void Subflow::Impl::Abort(Time now) {
  if (state_ == TcpState::kClosed) return;
  if (state_ != TcpState::kSynSent && state_ != TcpState::kTimeWait) SendResetSegment(now);
  Finish(now, CloseReason::kAborted, nullptr);
}

void Subflow::Impl::Discard() {
  state_ = TcpState::kClosed;
  LeaveTimeWait();
  CancelTimers();
  sent_.clear();
  early_.clear();
}

void Subflow::Impl::EnterTimeWait(Time now) {
  state_ = TcpState::kTimeWait;
  retransmit_.Cancel();
  probe_.Cancel();
  reorder_.Cancel();
  keepalive_timer_.Cancel();
  Duration wait = config_.time_wait;
  if (TimeWaitBudget* budget = config_.time_waits; budget != nullptr) {
    if (budget->used < budget->limit) {
      ++budget->used;
      counted_time_wait_ = true;
    } else {
      ++counters_->time_wait_overflow;
      wait = Duration::zero();  // once the last FIN is acknowledged
    }
  }
  config_.time_wait = wait;
  time_wait_.Set(now + wait);
}

void Subflow::Impl::CancelTimers() {
  for (Timer* t :
       {&retransmit_, &probe_, &reorder_, &pace_, &delayed_ack_, &time_wait_, &keepalive_timer_}) {
    t->Cancel();
  }
}

void Subflow::Impl::LeaveTimeWait() {
  if (!counted_time_wait_) return;
  counted_time_wait_ = false;
  --config_.time_waits->used;
}

std::optional<Seq> Subflow::Impl::IssOfNext(const Segment& syn) const {
  if (state_ != TcpState::kTimeWait) return std::nullopt;
  const TimeWaitPeer peer = {rcv_nxt_,
                             timestamps_ ? std::optional<uint32_t>(ts_recent_) : std::nullopt};
  if (!OpensAnew(peer, syn)) return std::nullopt;
  return IssAfter(snd_nxt_);
}

void Subflow::Impl::Finish(Time now, CloseReason reason, const TcpRst* reset) {
  if (state_ == TcpState::kClosed) return;
  // RFC 5461 2, as Linux: what ICMP told last explains the silence.
  timed_out_ = reason == CloseReason::kTimedOut;
  if (timed_out_ && icmp_error_) reason = *icmp_error_;
  // What is unacknowledged stays readable in OnClosed(): the owner sends it again elsewhere.
  state_ = TcpState::kClosed;
  LeaveTimeWait();
  CancelTimers();
  congestion_->OnSilence();
  early_.clear();
  owner_->OnClosed(*self_, now, reason, reset);
  sent_.clear();
}

// ---- The public face

Subflow::Subflow(const SubflowConfig& config, SubflowOwner* owner, Environment* environment,
                 TimerQueue* timers, Counters* counters)
    : impl_(std::make_unique<Impl>(this, config, owner, environment, timers, counters)) {}
Subflow::~Subflow() = default;

void Subflow::Connect(Time now) { impl_->Connect(now); }
void Subflow::Accept(Time now, const Segment& syn) { impl_->Accept(now, syn); }
void Subflow::AcceptCookie(const Segment& syn) { impl_->AcceptCookie(syn); }
void Subflow::Input(Time now, const Segment& segment) { impl_->Input(now, segment); }
void Subflow::OnIcmpError(Time now, const IcmpError& error) { impl_->OnIcmpError(now, error); }
void Subflow::OnNextHopFailed(Time now) { impl_->OnNextHopFailed(now); }
std::optional<Seq> Subflow::IssOfNext(const Segment& syn) const { return impl_->IssOfNext(syn); }
size_t Subflow::SendRoom(Time now, bool respect_window) const {
  return impl_->SendRoom(now, respect_window);
}
Mapping Subflow::SendData(Time now, const Payload& payload, Mapping mapping, bool push) {
  return impl_->SendData(now, payload, mapping, push);
}
size_t Subflow::MaxSegment() const { return impl_->MaxSegment(); }
uint32_t Subflow::next_ssn() const { return impl_->snd_nxt_ - impl_->iss_; }
void Subflow::SendAck(Time now) {
  if (impl_->synchronized() && impl_->state_ != TcpState::kSynReceived) impl_->SendAck(now);
}
void Subflow::SendBareAck(Time now) {
  impl_->bare_ = true;
  SendAck(now);
  impl_->bare_ = false;
}
void Subflow::Close(Time now) { impl_->Close(now); }
void Subflow::Abort(Time now) { impl_->Abort(now); }
void Subflow::Discard() { impl_->Discard(); }
void Subflow::SetPatience(Time now, const Patience& patience) { impl_->SetPatience(now, patience); }
void Subflow::SetTrafficClass(uint8_t traffic_class) {
  impl_->config_.traffic_class = traffic_class;
}
void Subflow::SetWindowsAtDataLevel(bool on) {
  impl_->config_.windows_at_data_level = on;
  impl_->SetMtu();
}
TcpState Subflow::state() const { return impl_->state_; }
bool Subflow::MaySend() const { return impl_->may_send(); }
bool Subflow::established() const {
  return impl_->was_established_ && impl_->state_ != TcpState::kClosed;
}
const FourTuple& Subflow::tuple() const { return impl_->config_.tuple; }
bool Subflow::fin_sent() const { return impl_->fin_sent_; }
uint32_t Subflow::WindowOf(const Segment& segment) const {
  return static_cast<uint32_t>(segment.window) << (segment.syn ? 0 : impl_->snd_scale_);
}
bool Subflow::everything_acked() const { return impl_->snd_una_ == impl_->snd_nxt_; }
int Subflow::consecutive_timeouts() const { return impl_->consecutive_timeouts_; }
bool Subflow::timed_out() const { return impl_->timed_out_; }
Time Subflow::last_received() const { return impl_->last_received_; }
Duration Subflow::srtt() const { return impl_->rtt_.srtt(); }
Duration Subflow::receive_rtt() const {
  const Duration seen = impl_->receive_rtt_.rtt();
  return seen == Duration::zero() ? impl_->rtt_.srtt() : seen;
}
Duration Subflow::rttvar() const { return impl_->rtt_.rttvar(); }
Duration Subflow::rto() const { return impl_->rtt_.Rto(); }
uint32_t Subflow::in_flight() const { return impl_->sent_.in_flight(); }
uint32_t Subflow::unacked() const { return impl_->snd_nxt_ - impl_->snd_una_; }
void Subflow::Penalise() {
  if (!impl_->reducing() && !impl_->in_loss_) impl_->congestion_->Penalise();
}
uint32_t Subflow::cwnd() const { return impl_->congestion_->cwnd(); }
uint32_t Subflow::mss() const { return impl_->mss_; }
bool Subflow::is_initiator() const { return impl_->initiator_; }
void Subflow::WindowMayHaveOpened(Time now) { impl_->WindowMayHaveOpened(now); }

RecoveryState Subflow::Impl::Recovery() const {
  if (in_loss_) return RecoveryState::kLoss;
  if (in_recovery_) return RecoveryState::kRecovery;
  if (in_cwr_) return RecoveryState::kReduced;
  return sent_.sacked() > 0 ? RecoveryState::kDisorder : RecoveryState::kOpen;
}

SubflowInfo Subflow::Info() const {
  SubflowInfo info = impl_->info_;
  info.state = impl_->state_;
  info.srtt = impl_->rtt_.srtt();
  info.rttvar = impl_->rtt_.rttvar();
  info.min_rtt = impl_->rtt_.min();
  info.rto = impl_->rtt_.Rto();
  info.cwnd = impl_->congestion_->cwnd();
  info.ssthresh = impl_->congestion_->ssthresh();
  info.in_flight = impl_->sent_.in_flight();
  info.mss = impl_->mss_;
  info.peer_window = impl_->snd_wnd_;
  info.recovery = impl_->Recovery();
  info.timestamps = impl_->timestamps_;
  info.sack = impl_->sack_;
  info.ecn = impl_->ecn_;
  if (impl_->scaling_) {
    info.send_scale = impl_->snd_scale_;
    info.receive_scale = impl_->config_.window_scale;
  }
  info.sacked = impl_->sent_.sacked();
  info.lost = impl_->sent_.lost();
  info.path_mtu = impl_->mtu_;
  info.receive_window = impl_->rcv_wnd_;
  info.consecutive_timeouts = static_cast<uint32_t>(impl_->consecutive_timeouts_);
  info.backoff = static_cast<uint32_t>(impl_->backoff_);
  info.pacing_rate = impl_->pacer_.rate();
  info.receive_rtt = impl_->receive_rtt_.rtt();
  info.last_data_sent = impl_->last_data_sent_;
  info.last_received = impl_->last_received_;
  return info;
}

// The mapping of exactly the bytes of a range.
Mapping Subflow::Impl::MappingOf(const SentRange& range) const {
  Mapping mapping = range.mapping;
  const uint32_t skipped = (range.begin - iss_) - mapping.ssn;
  mapping.dsn += skipped;
  mapping.ssn += skipped;
  const bool last = skipped + range.payload.size() == mapping.length;
  mapping.length = static_cast<uint16_t>(range.payload.size());
  mapping.data_fin = mapping.data_fin && last;
  return mapping;
}

void Subflow::ForEachUnacked(
    const std::function<void(const Mapping&, const Payload&)>& visit) const {
  for (const SentRange& range : impl_->sent_.ranges()) {
    if (!range.payload.empty()) visit(impl_->MappingOf(range), range.payload);
  }
}

void Subflow::ForEachHole(const std::function<void(const Mapping&, const Payload&)>& visit) const {
  uint32_t sacked_behind = impl_->sent_.sacked();
  for (const SentRange& range : impl_->sent_.ranges()) {
    if (sacked_behind == 0) return;
    if (range.fate == SentRange::Fate::kSacked) {
      sacked_behind -= range.length();
    } else if (!range.payload.empty()) {
      visit(impl_->MappingOf(range), range.payload);
    }
  }
}

}  // namespace mptcptls
