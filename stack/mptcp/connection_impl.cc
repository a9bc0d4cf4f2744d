// Life and death of a connection, and what the program asks of it.
#include "stack/mptcp/connection_impl.h"

#include <algorithm>
#include <utility>

#include "stack/mptcp/capability_cache.h"

namespace mptcptls {
namespace {

constexpr size_t kMaxEnded = 16;                        // statuses kept of subflows that ended
constexpr Duration kLinger = std::chrono::seconds(60);  // for the peer's FIN, once all is said
// Ours; about what Linux grants an orphan (net.ipv4.tcp_orphan_retries).
constexpr Duration kOrphanPatience = std::chrono::seconds(120);

// The end of a connection whose last subflow ended so.
EndReason EndOf(CloseReason reason) {
  switch (reason) {
    case CloseReason::kRefused:
      return EndReason::kRefused;
    case CloseReason::kTimedOut:
      return EndReason::kTimedOut;
    case CloseReason::kUnreachable:
      return EndReason::kUnreachable;
    case CloseReason::kNetUnreachable:
      return EndReason::kNetUnreachable;
    case CloseReason::kNoProtocol:
      return EndReason::kNoProtocol;
    case CloseReason::kProhibited:
      return EndReason::kProhibited;
    case CloseReason::kNone:
    case CloseReason::kClosed:
    case CloseReason::kReset:
    case CloseReason::kAborted:
      break;
  }
  return EndReason::kReset;
}

}  // namespace

ConnectionImpl::ConnectionImpl(HostServices* services, uint64_t id, bool initiator)
    : services_(services),
      id_(id),
      initiator_(initiator),
      send_(services->blocks(), services->config().send_buffer),
      send_tuning_(services->config().send_buffer),
      reassembly_(services->early()),
      unread_(services->blocks()),
      receive_tuning_(services->config().receive_buffer),
      path_timer_(services->timers(), [this](Time now) { OnPathTimer(now); }),
      data_timer_(services->timers(), [this](Time now) { OnDataTimer(now); }),
      stall_timer_(services->timers(), [this](Time now) { OnStallTimer(now); }),
      fin_timer_(services->timers(), [this](Time now) { OnFinTimer(now); }),
      push_timer_(services->timers(), [this](Time now) { Push(now); }),
      cork_timer_(services->timers(), [this](Time now) { Flush(now); }) {}

ConnectionImpl::~ConnectionImpl() {
  ReturnOrphanSlot();
  if (token_claimed_) services_->ReleaseToken(local_token_);
  for (const ParkedJoin& p : parked_) services_->ReturnParkingSlot(p.syn.tuple.remote.address);
  for (const auto& path : paths_) {
    if (!path->dead) services_->RemoveSubflow(path->tuple);
  }
}

std::unique_ptr<ConnectionImpl::Path> ConnectionImpl::NewPath() {
  auto path = std::make_unique<Path>();
  path->id = ++last_path_id_;
  return path;
}

ConnectionImpl::Path* ConnectionImpl::Of(const Subflow& subflow) {
  for (const auto& path : paths_) {
    if (path->subflow.get() == &subflow) return path.get();
  }
  return nullptr;
}

const ConnectionImpl::Path* ConnectionImpl::Of(const Subflow& subflow) const {
  return const_cast<ConnectionImpl*>(this)->Of(subflow);
}

bool ConnectionImpl::Connect(Time now, const FourTuple& tuple, const LocalAddress& local,
                             const ConnectOptions& options, ConnectionObserver* observer) {
  observer_ = observer;
  first_ = tuple;
  const auto config = services_->NewSubflowConfig(now, tuple);
  if (!config) return false;
  auth_ = options.auth;
  scheduler_ = Scheduler::Create(options.scheduler.value_or(services_->config().scheduler));
  options_ = options.stream;
  nagle_.Set(options_.no_delay, options_.cork);
  offer_ = ChooseOffer(now, options);
  if (offer_ != Offer::kNone) MakeSecrets();
  auto path = NewPath();
  path->tuple = tuple;
  path->uplink = local.uplink;
  path->initiator = true;
  SetOwnBackup(now, path.get(), local.use != UplinkUse::kNormal);
  local_ids_[local.address] = 0;
  SubflowConfig own = *config;
  own.windows_at_data_level = offer_ != Offer::kNone;
  own.congestion_group = &congestion_group_;
  own.patience = options_.patience;
  own.traffic_class = options_.TrafficClass(tuple.local.address.family);
  own.syn_retries = options.syn_retries;
  path->subflow = std::make_unique<Subflow>(own, this, services_->environment(),
                                            services_->timers(), services_->counters());
  if (!services_->AddSubflow(tuple, path->subflow.get())) return false;
  paths_.push_back(std::move(path));
  remotes_.push_back({0, tuple.remote});
  paths_.back()->subflow->Connect(now);
  return true;
}

void ConnectionImpl::Accept(Time now, const Segment& syn, const LocalAddress& local,
                            const ListenOptions& options) {
  auth_ = options.auth;
  scheduler_ = Scheduler::Create(options.scheduler.value_or(services_->config().scheduler));
  wildcard_ = options.wildcard;
  wildcard_both_ = options.wildcard_both;
  const auto config = services_->NewSubflowConfig(now, syn.tuple);
  if (config && syn.options.mptcp.capable) {
    ChooseAnswer(*syn.options.mptcp.capable, options, nullptr);
  }
  NewPassivePath(now, syn.tuple, local, config);
  if (!closed_) paths_.back()->subflow->Accept(now, syn);
}

void ConnectionImpl::AcceptCookie(Time now, const Segment& segment, const LocalAddress& local,
                                  const ListenOptions& options, const SynCookie& cookie) {
  auth_ = options.auth;
  scheduler_ = Scheduler::Create(options.scheduler.value_or(services_->config().scheduler));
  wildcard_ = options.wildcard;
  wildcard_both_ = options.wildcard_both;
  // The SYN as it must have been.
  Segment syn;
  syn.tuple = segment.tuple;
  syn.syn = true;
  syn.seq = segment.seq - 1;
  syn.options = cookie.syn_options;
  syn.options.timestamps = segment.options.timestamps;
  auto config = services_->NewSubflowConfig(now, syn.tuple);
  if (config) config->iss = cookie.isn;
  if (config && segment.options.mptcp.capable) {
    MpCapable offer = *segment.options.mptcp.capable;
    offer.form = MpCapable::Form::kSyn;
    ChooseAnswer(offer, options, &cookie);
  }
  NewPassivePath(now, syn.tuple, local, config);
  if (closed_) return;
  Subflow* const subflow = paths_.back()->subflow.get();
  subflow->AcceptCookie(syn);
  subflow->Input(now, segment);
}

void ConnectionImpl::NewPassivePath(Time now, const FourTuple& tuple, const LocalAddress& local,
                                    const std::optional<SubflowConfig>& config) {
  first_ = tuple;
  auto path = NewPath();
  path->tuple = tuple;
  path->uplink = local.uplink;
  SetOwnBackup(now, path.get(), local.use != UplinkUse::kNormal);
  local_ids_[local.address] = 0;
  SubflowConfig own = config.value_or(SubflowConfig{});
  own.windows_at_data_level = offer_ != Offer::kNone;
  own.congestion_group = &congestion_group_;
  path->subflow = std::make_unique<Subflow>(own, this, services_->environment(),
                                            services_->timers(), services_->counters());
  if (!config || !services_->AddSubflow(tuple, path->subflow.get())) {
    closed_ = true;
    end_ = EndReason::kUnreachable;
    services_->MayBeFinished(this);
    return;
  }
  paths_.push_back(std::move(path));
}

void ConnectionImpl::SetOptions(Time now, const StreamOptions& options) {
  if (closed_) return;
  const bool flush = (options.no_delay && !options_.no_delay) || (!options.cork && options_.cork) ||
                     (nagle_.more() && (options.no_delay || !options.cork));
  options_ = options;
  nagle_.Set(options.no_delay, options.cork);
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (paths_[i]->dead) continue;
    Subflow* const subflow = paths_[i]->subflow.get();
    subflow->SetTrafficClass(options.TrafficClass(paths_[i]->tuple.local.address.family));
    subflow->SetPatience(now, options.patience);
  }
  if (flush && !closed_) Flush(now);
}

// ---- Writing

size_t ConnectionImpl::WriteRegions(std::array<std::span<uint8_t>, 2>* regions) {
  *regions = {};
  if (closed_ || shutdown_) return 0;
  TuneSendBuffer();
  const size_t room = send_.Regions(regions);
  if (room > 0) return room;
  write_blocked_ = true;
  // OnWritable() follows an acknowledgement. Where none is due all memory is in others' hands.
  if (una_ == send_.tail() && !std::exchange(starving_, true)) services_->AwaitMemory(this);
  return 0;
}

void ConnectionImpl::OnMemory(Time now) {
  starving_ = false;
  if (closed_ || shutdown_ || !write_blocked_) return;
  write_blocked_ = false;
  if (observer_ != nullptr && !orphaned_) observer_->OnWritable(*this, now);
}

void ConnectionImpl::Commit(Time now, size_t bytes, Coming coming) {
  if (closed_ || shutdown_ || bytes == 0) return;
  send_.Commit(bytes);
  nagle_.SetMore(coming == Coming::kLater);
  if (!connected_) return;
  // A short segment waits for the instant's end; a full one leaves at once.
  if (coming == Coming::kNow && send_.tail() - next_ < services_->config().send_buffer / 8 &&
      send_.tail() - next_ < kBlockSize) {
    if (!push_timer_.armed()) push_timer_.Set(now);
    return;
  }
  Push(now);
}

size_t ConnectionImpl::Write(Time now, ByteSpan bytes) {
  if (closed_ || shutdown_) return 0;
  TuneSendBuffer();
  const size_t taken = send_.Append(bytes);
  if (taken < bytes.size()) write_blocked_ = true;
  if (taken == 0 && !bytes.empty() && una_ == send_.tail() && !std::exchange(starving_, true))
    services_->AwaitMemory(this);
  if (connected_ && taken > 0) Push(now);
  return taken;
}

void ConnectionImpl::Shutdown(Time now) {
  if (closed_ || shutdown_) return;
  shutdown_ = true;
  if (connected_) Push(now);
}

void ConnectionImpl::Orphan(Time now) {
  if (closed_ || orphaned_) return;
  orphaned_ = true;
  // RFC 2525 2.17: bytes that nobody will read are answered by a reset.
  if (unread_.size() > 0) return Abort(now);
  if (!services_->TakeOrphanSlot()) return Abort(now);
  orphan_counted_ = true;
  Shutdown(now);
  if (closed_) return;
  if (LocalEndAcked()) AwaitPeersFin(now);
  if (closed_) return;
  orphan_una_ = una_;
  orphan_check_ = now + kOrphanPatience;
  ArmPathTimer(now);
}

// FIN-WAIT-2 without a program: bounded, where RFC 9293 3.10.4 would wait for ever.
void ConnectionImpl::AwaitPeersFin(Time now) {
  if (options_.fin_wait < Duration::zero() && !peer_fin_reached_) return Abort(now);
  linger_until_ = now + std::max(options_.fin_wait, Duration::zero());
  ArmPathTimer(now);
}

void ConnectionImpl::ReturnOrphanSlot() {
  if (std::exchange(orphan_counted_, false)) services_->ReturnOrphanSlot();
}

// Nobody is left to lose patience with a peer that keeps its window closed, or a path that is gone.
void ConnectionImpl::CheckOrphan(Time now) {
  orphan_check_ = now + kOrphanPatience;
  if (!LocalEndAcked() && una_ == std::exchange(orphan_una_, una_)) Abort(now);
}

void ConnectionImpl::Abort(Time now) {
  if (closed_) return;
  aborting_ = true;
  AbortSubflows(now);
  Finish(now, EndReason::kAborted);
}

void ConnectionImpl::AbortSubflows(Time now) {
  aborting_ = true;
  const auto fast_close = OwnFastClose();
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (paths_[i]->dead) continue;
    if (fast_close) services_->RememberFastClose(now, paths_[i]->tuple, *fast_close);
    paths_[i]->subflow->Abort(now);
  }
}

// ---- Reading

void ConnectionImpl::Consume(Time now, size_t bytes) {
  if (closed_) return;
  unread_.Consume(bytes);
  NoteRead(now, bytes);
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (!paths_[i]->dead) paths_[i]->subflow->WindowMayHaveOpened(now);
  }
  DeliverPeerClosed(now);
  MaybeFinish(now);
}

void ConnectionImpl::DeliverPeerClosed(Time now) {
  if (closed_ || peer_closed_told_ || !peer_fin_reached_ || unread_.size() > 0) return;
  peer_closed_told_ = true;
  if (observer_ != nullptr && !orphaned_) observer_->OnPeerClosed(*this, now);
}

// ---- Keys

bool ConnectionImpl::WantsKeys() const {
  return !closed_ && connected_ && mode_ == Mode::kTlsAuth && key_ == KeyState::kNone;
}

void ConnectionImpl::SetKeys(Time now, const ConnectionKeys& keys) {
  if (!WantsKeys()) return;
  keys_ = keys;
  key_ = KeyState::kPresent;
  while (!held_.empty()) {
    const AddAddr option = held_.front();
    held_.pop_front();
    TakeAddAddr(now, option);
  }
  BeginConfirmation(now);
  ServeParked(now);
  ManagePaths(now);
}

void ConnectionImpl::RefuseKeys(Time now, std::string reason) {
  if (!WantsKeys()) return;
  key_ = KeyState::kRefused;
  key_reason_ = std::move(reason);
  held_.clear();
  // Their senders try again, and are refused then.
  DropParked(now, true);
}

// ---- The end

bool ConnectionImpl::LocalEndAcked() const {
  if (mptcp() || fin_acked_ || paths_.empty()) return fin_acked_;
  const Subflow& only = *paths_.front()->subflow;
  return only.fin_sent() && only.everything_acked();
}

// Both directions ended, ours acknowledged and the peer's told to the program.
void ConnectionImpl::MaybeFinish(Time now) {
  if (closed_ || !connected_) return;
  if (orphaned_ && LocalEndAcked() && linger_until_ == kNever) {
    AwaitPeersFin(now);
    if (closed_) return;
  }
  if (!LocalEndAcked() || !peer_fin_reached_ || !(peer_closed_told_ || orphaned_)) return;
  CloseSubflows(now);
  Finish(now, EndReason::kClean);
}

void ConnectionImpl::CloseSubflows(Time now) {
  if (closing_subflows_) return;
  closing_subflows_ = true;
  linger_until_ = now + kLinger;
  for (size_t i = 0; i < paths_.size(); ++i) {
    Path& path = *paths_[i];
    if (path.dead) continue;
    if (path.usable) {
      path.subflow->Close(now);
    } else {
      path.subflow->Abort(now);
    }
  }
  ArmPathTimer(now);
}

void ConnectionImpl::Finish(Time now, EndReason end) {
  if (closed_) return;
  LearnOnEnd(now, end);
  closed_ = true;
  end_ = end;
  data_timer_.Cancel();
  stall_timer_.Cancel();
  fin_timer_.Cancel();
  push_timer_.Cancel();
  cork_timer_.Cancel();
  ReturnOrphanSlot();
  DropParked(now, true);
  if (linger_until_ == kNever) linger_until_ = now + kLinger;
  ArmPathTimer(now);
  ConnectionObserver* observer = observer_;
  if (observer != nullptr) observer->OnClosed(*this, now, end);
  observer_ = nullptr;
  services_->MayBeFinished(this);
}

// PROTOCOL.md 1: a destination whose connection carried data both ways and never saw TLS is clear.
// A handshake that failed was one, and a reset (which anybody on the way can make) proves nothing:
// either would take the keys of later connections out of TLS.
void ConnectionImpl::LearnOnEnd(Time now, EndReason end) {
  if (!initiator_ || mode_ != Mode::kTlsAuth || key_ != KeyState::kNone || tls_seen_ ||
      end != EndReason::kClean || next_ == 0 || reassembly_.next() == 0) {
    return;
  }
  services_->cache()->Store(now, first_.local.address, first_.remote, Capability::kClear);
}

bool ConnectionImpl::AnyAlive() const {
  return std::ranges::any_of(paths_, [](const auto& p) { return !p->dead; });
}

// What never was a part of the connection (a stranger's try) is not told of.
void ConnectionImpl::Bury(Path* path) {
  path->dead = true;
  services_->RemoveSubflow(path->tuple);
  if (path->joined && !path->authenticated) return;
  ended_.push_back(StatusOf(*path));
  ended_.back().ended = true;
  if (ended_.size() > kMaxEnded) ended_.pop_front();
}

void ConnectionImpl::OnClosed(Subflow& subflow, Time now, CloseReason reason, const TcpRst* reset) {
  Path* path = Of(subflow);
  if (path == nullptr || path->dead) return;
  if (!closed_ && mptcp()) Reinject(now, path);
  const bool was_usable = path->usable;
  Bury(path);
  services_->MayBeFinished(this);
  if (closed_ || aborting_) return;
  if (!connected_) {
    return Finish(now, reason == CloseReason::kAborted ? EndReason::kAborted : EndOf(reason));
  }
  // A peer that takes an address back resets its subflow first, and says so on another one, whose
  // queue may be longer: not at once again.
  const bool reset_by_peer = was_usable && reason == CloseReason::kReset;
  if (path->joined && path->initiator && (!was_usable || reset_by_peer)) {
    PathFailed(now, *path,
               reset != nullptr
                   ? "refused by the peer (reason " + std::to_string(reset->reason) + ")"
               : reset_by_peer ? "reset by the peer"
                               : "no answer");
  }
  // The user timeout was over while the peer kept its window closed: that is the connection's, not
  // this path's.
  if (reason == CloseReason::kTimedOut && options_.patience.user_timeout > Duration::zero() &&
      was_usable && subflow.Info().peer_window == 0) {
    AbortSubflows(now);
    return Finish(now, EndReason::kTimedOut);
  }
  if (AnyAlive()) {
    Push(now);
    return ManagePaths(now);
  }
  // The last one is gone.
  if (!mptcp() && reason == CloseReason::kClosed && shutdown_) fin_acked_ = true;
  if (LocalEndAcked() && peer_fin_reached_) {
    // All was said; only the program may have something left to read.
    DeliverPeerClosed(now);
    return MaybeFinish(now);
  }
  const bool may_come_back =
      MayJoin() && !subflow.timed_out() && (reason != CloseReason::kReset || reset != nullptr);
  if (may_come_back) {
    no_path_since_ = std::min(no_path_since_, now);  // a try that failed is no new beginning
    return ManagePaths(now);
  }
  Finish(now, EndOf(reason));
}

void ConnectionImpl::Sweep() {
  std::erase_if(paths_, [](const auto& path) { return path->dead; });
}

}  // namespace mptcptls
