// Further subflows: MP_JOIN both ways (RFC 8684 3.2, PROTOCOL.md 4), and joins that come before the
// key (PROTOCOL.md 3).
#include <openssl/crypto.h>

#include <algorithm>

#include "stack/mptcp/connection_impl.h"
#include "stack/wire/bytes.h"

namespace mptcptls {
namespace {

constexpr size_t kMaxParkedPerConnection = 8;
constexpr Duration kParkTime = std::chrono::seconds(3);
constexpr Duration kParkingOpens = std::chrono::seconds(30);   // after the connection began
constexpr size_t kMaxHalfOpen = 8, kMaxHalfOpenPerSource = 4;  // ours
constexpr int kJoinSynRetries = 3, kJoinSynAckRetries = 2;     // ours: the path manager tries again

uint32_t RandomNonce(Environment* environment) {
  std::array<uint8_t, 4> random;
  environment->Random(random);
  return LoadBig<uint32_t>(random.data());
}

}  // namespace

bool ConnectionImpl::MayJoin() const {
  if (closed_ || !connected_ || !mptcp() || fallback_ || !dss_seen_) return false;
  return mode_ == Mode::kKeys || key_ == KeyState::kPresent;
}

bool ConnectionImpl::PortIsOurs(uint16_t local_port) const {
  if (local_port == first_.local.port) return true;
  return std::ranges::any_of(announcements_,
                             [local_port](const Announcement& a) { return a.port == local_port; });
}

size_t ConnectionImpl::CountUsable() const {
  return static_cast<size_t>(
      std::ranges::count_if(paths_, [](const auto& p) { return !p->dead && p->usable; }));
}

// HMAC over the nonces of this path; `own`: what we send, else what the peer must send.
Mac ConnectionImpl::OwnHmac(const Path& path, bool own) const {
  // A and B are the roles of the first handshake, whoever opens this subflow.
  const uint32_t a = initiator_ ? path.nonce_local : path.nonce_remote;
  const uint32_t b = initiator_ ? path.nonce_remote : path.nonce_local;
  return JoinHmac(KeysOf(path), own == initiator_, a, b);
}

void ConnectionImpl::RefuseHmac(Path* path) {
  ++services_->counters()->joins_refused_hmac;
  path->reset = {false, TcpRst::kMptcpError};
  path->reset_set = true;
}

// ---- Outgoing

bool ConnectionImpl::StartJoin(Time now, const LocalAddress& local, const RemoteAddress& remote) {
  const auto port = services_->TakePort(local.address, remote.endpoint);
  if (!port) return false;
  auto path = NewPath();
  path->tuple = {{local.address, *port}, remote.endpoint};
  const auto config = services_->NewSubflowConfig(now, path->tuple);
  if (!config) return false;
  path->uplink = local.uplink;
  path->joined = path->initiator = true;
  path->local_id = LocalId(local.address);
  path->remote_id = remote.id;
  path->own_backup = path->told_backup = local.use != UplinkUse::kNormal;
  path->nonce_local = RandomNonce(services_->environment());
  SubflowConfig own = *config;
  own.windows_at_data_level = true;
  own.congestion_group = &congestion_group_;
  own.patience = options_.patience;
  own.traffic_class = options_.TrafficClass(path->tuple.local.address.family);
  own.syn_retries = kJoinSynRetries;
  path->subflow = std::make_unique<Subflow>(own, this, services_->environment(),
                                            services_->timers(), services_->counters());
  if (!services_->AddSubflow(path->tuple, path->subflow.get())) return false;
  ++services_->counters()->joins_sent;
  paths_.push_back(std::move(path));
  paths_.back()->subflow->Connect(now);
  return true;
}

Verdict ConnectionImpl::TakeJoinSynAck(Path* path, const Segment& segment) {
  const auto& join = segment.options.mptcp.join;
  if (!join || join->form != MpJoin::Form::kSynAck) {
    path->reset = {false, TcpRst::kMptcpError};
    path->reset_set = true;
    return Verdict::kReset;
  }
  path->nonce_remote = join->nonce;
  path->remote_id = join->address_id;
  path->peer_backup = join->backup;
  // The responder chooses, where both hold two keys (PROTOCOL.md 8).
  const auto matches = [&] {
    const Mac expected = OwnHmac(*path, false);
    return ConstantTimeEqual(ByteSpan(expected).first(8), ByteSpan(join->hmac).first(8));
  };
  if (!matches()) {
    path->under_next = next_keys_.has_value();
    if (path->under_next && matches()) {
      path->authenticated = true;
      return Verdict::kAccept;
    }
    RefuseHmac(path);
    return Verdict::kReset;
  }
  path->authenticated = true;
  return Verdict::kAccept;
}

// ---- Incoming

Verdict ConnectionImpl::OnJoinSyn(Time now, const Segment& syn, const LocalAddress& local) {
  join_refusal_ = {false, TcpRst::kProhibited};
  if (!closed_ && !connected_ && !initiator_) {
    // Early, so no reason to refuse (PROTOCOL.md 3): the third ACK is still on its way.
    return offer_ == Offer::kTls ? Park(now, syn, local) : Verdict::kDrop;
  }
  if (closed_ || fallback_ || !mptcp() || !connected_ || key_ == KeyState::kRefused ||
      !services_->config().paths.accept_joins) {
    ++services_->counters()->joins_refused_policy;
    return Verdict::kReset;
  }
  if (mode_ == Mode::kTlsAuth && key_ == KeyState::kNone) return Park(now, syn, local);
  return AcceptJoin(now, syn, local);
}

Verdict ConnectionImpl::AcceptJoin(Time now, const Segment& syn, const LocalAddress& local) {
  const MpJoin& join = *syn.options.mptcp.join;
  size_t alive = 0, half_open = 0, from_source = 0;
  for (const auto& path : paths_) {
    if (path->dead) continue;
    ++alive;
    if (!path->joined || path->initiator || path->usable) continue;
    ++half_open;
    if (path->tuple.remote.address == syn.tuple.remote.address) ++from_source;
  }
  if (alive - half_open >= services_->config().paths.max_subflows) {
    ++services_->counters()->joins_refused_policy;
    join_refusal_ = {true, TcpRst::kTooMuchOutstanding};
    return Verdict::kReset;
  }
  // Half-open ones prove nothing: past the bound they are ignored, so that repetition helps.
  if (half_open >= kMaxHalfOpen || from_source >= kMaxHalfOpenPerSource) {
    ++services_->counters()->joins_refused_policy;
    return Verdict::kDrop;
  }
  const auto config = services_->NewSubflowConfig(now, syn.tuple);
  if (!config) return Verdict::kDrop;
  auto path = NewPath();
  path->tuple = syn.tuple;
  path->uplink = local.uplink;
  path->joined = true;
  path->local_id = LocalId(local.address);
  path->remote_id = join.address_id;
  path->peer_backup = join.backup;
  path->own_backup = path->told_backup = local.use != UplinkUse::kNormal;
  path->nonce_remote = join.nonce;
  path->nonce_local = RandomNonce(services_->environment());
  path->under_next = NextIsConfirmed();
  SubflowConfig own = *config;
  own.windows_at_data_level = true;
  own.congestion_group = &congestion_group_;
  own.patience = options_.patience;
  own.traffic_class = options_.TrafficClass(path->tuple.local.address.family);
  own.synack_retries = kJoinSynAckRetries;
  path->subflow = std::make_unique<Subflow>(own, this, services_->environment(),
                                            services_->timers(), services_->counters());
  if (!services_->AddSubflow(path->tuple, path->subflow.get())) return Verdict::kDrop;
  paths_.push_back(std::move(path));
  paths_.back()->subflow->Accept(now, syn);
  return Verdict::kAccept;
}

Verdict ConnectionImpl::TakeJoinThirdAck(Path* path, const Segment& segment) {
  const auto& join = segment.options.mptcp.join;
  if (!join || join->form != MpJoin::Form::kAck) return Verdict::kDrop;
  const Mac expected = OwnHmac(*path, false);
  if (!ConstantTimeEqual(ByteSpan(expected).first(20), ByteSpan(join->hmac))) {
    RefuseHmac(path);
    return Verdict::kReset;
  }
  // Several came at once, and others were first.
  if (CountUsable() >= services_->config().paths.max_subflows) {
    ++services_->counters()->joins_refused_policy;
    path->reset = {true, TcpRst::kTooMuchOutstanding};
    path->reset_set = true;
    return Verdict::kReset;
  }
  return Verdict::kAccept;
}

// ---- Parking

Verdict ConnectionImpl::Park(Time now, const Segment& syn, const LocalAddress& local) {
  DropParked(now, false);
  for (ParkedJoin& p : parked_) {
    const MpJoin &a = *p.syn.options.mptcp.join, &b = *syn.options.mptcp.join;
    if (p.syn.tuple == syn.tuple && p.syn.seq == syn.seq && a.token == b.token &&
        a.nonce == b.nonce) {
      p.expires = now + kParkTime;
      return Verdict::kDrop;
    }
  }
  if ((connected_ && now - connected_at_ > kParkingOpens) ||
      parked_.size() >= kMaxParkedPerConnection ||
      !services_->TakeParkingSlot(syn.tuple.remote.address)) {
    ++services_->counters()->joins_park_overflow;
    return Verdict::kDrop;
  }
  ++services_->counters()->joins_parked;
  Segment copy = syn;
  copy.payload = {};
  parked_.push_back({copy, local, now + kParkTime});
  ArmPathTimer(now);
  return Verdict::kDrop;
}

void ConnectionImpl::DropParked(Time now, bool all) {
  std::erase_if(parked_, [&](const ParkedJoin& p) {
    if (!all && p.expires > now) return false;
    services_->ReturnParkingSlot(p.syn.tuple.remote.address);
    return true;
  });
}

void ConnectionImpl::ServeParked(Time now) {
  DropParked(now, false);
  std::deque<ParkedJoin> waiting;
  waiting.swap(parked_);
  for (const ParkedJoin& p : waiting) {
    services_->ReturnParkingSlot(p.syn.tuple.remote.address);
    AcceptJoin(now, p.syn, p.local);
  }
}

}  // namespace mptcptls
