// Which subflows there should be (ARCHITECTURE.md 12): one per local uplink, one per address of the
// peer; lost ones again with back-off. Only the initiator opens; the responder announces its
// addresses (RFC 8684 3.4).
#include <algorithm>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {
namespace {

constexpr Duration kFirstRetry = std::chrono::seconds(1), kMaxRetry = std::chrono::seconds(30);
constexpr int kMaxThirdAcks = 6;
constexpr Duration kNotNow = std::chrono::milliseconds(200);

}  // namespace

uint8_t ConnectionImpl::LocalId(const IpAddress& address) {
  const auto it = local_ids_.find(address);
  if (it != local_ids_.end()) return it->second;
  return local_ids_[address] = ++last_local_id_;
}

template <typename Predicate>
size_t ConnectionImpl::CountAlive(Predicate of) const {
  return static_cast<size_t>(
      std::ranges::count_if(paths_, [&](const auto& p) { return !p->dead && of(*p); }));
}

size_t ConnectionImpl::Alive() const {
  return CountAlive([](const Path&) { return true; });
}

size_t ConnectionImpl::Between(const IpAddress& local, const Endpoint& remote) const {
  return CountAlive(
      [&](const Path& p) { return p.tuple.local.address == local && p.tuple.remote == remote; });
}

bool ConnectionImpl::LocalUsed(const IpAddress& local) const {
  return CountAlive([&](const Path& p) { return p.tuple.local.address == local; }) > 0;
}

size_t ConnectionImpl::OnUplink(const std::string& uplink) const {
  return CountAlive([&](const Path& p) { return p.uplink == uplink; });
}

size_t ConnectionImpl::AtRemote(const Endpoint& remote) const {
  return CountAlive([&](const Path& p) { return p.tuple.remote == remote; });
}

UplinkUse ConnectionImpl::UseOf(const Path& path) const {
  for (const LocalAddress& local : services_->local_addresses()) {
    if (local.address == path.tuple.local.address) return local.use;
  }
  return UplinkUse::kNormal;
}

// What is used there costs: not before all others are gone or silent.
bool ConnectionImpl::MeteredWaits(const LocalAddress& local) const {
  if (local.use != UplinkUse::kMetered) return false;
  return CountAlive([&](const Path& p) {
           return p.usable && !p.stale && !p.silent && UseOf(p) != UplinkUse::kMetered;
         }) > 0;
}

// Two families of one uplink are one path: the peer's address in the other family is for uplinks
// that have no other.
bool ConnectionImpl::SpeaksFirstFamily(const LocalAddress& local,
                                       const RemoteAddress& remote) const {
  const Family first = first_.remote.address.family;
  return remote.endpoint.address.family != first &&
         std::ranges::any_of(services_->local_addresses(), [&](const LocalAddress& other) {
           return other.uplink == local.uplink && other.address.family == first;
         });
}

// How much a further subflow is wanted there: 3 by its uplink, 2 by the peer's address, 1 by the
// mesh, 0 not at all.
int ConnectionImpl::Urgency(const LocalAddress& local, const RemoteAddress& remote) const {
  if (local.address.family != remote.endpoint.address.family || MeteredWaits(local) ||
      Between(local.address, remote.endpoint) >= local.subflows) {
    return 0;
  }
  if (OnUplink(local.uplink) < local.subflows) return 3;
  if (AtRemote(remote.endpoint) == 0 && !SpeaksFirstFamily(local, remote)) return 2;
  return services_->config().paths.full_mesh ? 1 : 0;
}

bool ConnectionImpl::WantedAgain(const IpAddress& local, const Endpoint& remote) const {
  const auto from = std::ranges::find(services_->local_addresses(), local, &LocalAddress::address);
  const auto to = std::ranges::find(remotes_, remote, &RemoteAddress::endpoint);
  return from != services_->local_addresses().end() && to != remotes_.end() &&
         Urgency(*from, *to) > 0;
}

void ConnectionImpl::PathFailed(Time now, const Path& path, const std::string& reason) {
  Retry& retry = retries_[{path.tuple.local.address, path.tuple.remote}];
  ++retry.failures;
  const Duration wait = kFirstRetry * (int64_t{1} << std::min(retry.failures - 1, 5));
  retry.next = now + std::min(wait, kMaxRetry);
  retry.reason = reason;
}

void ConnectionImpl::ManagePaths(Time now) {
  const bool all_said = fin_acked_ && peer_fin_reached_;
  if (MayJoin() && !all_said) {
    if (initiator_) {
      if (!AwaitsPeersKey(now)) OpenMissing(now);
    } else {
      AnnounceMissing(now);
    }
  }
  ArmPathTimer(now);
}

void ConnectionImpl::OpenMissing(Time now) {
  // Copies: opening may call back.
  const std::vector<LocalAddress> locals = services_->local_addresses();
  const std::vector<RemoteAddress> remotes = remotes_;
  const auto allowed = [&](const LocalAddress& local, const RemoteAddress& remote) {
    const auto retry = retries_.find({local.address, remote.endpoint});
    if (retry != retries_.end() && retry->second.next > now) return false;
    return services_->environment()->RouteMtu(local.address, remote.endpoint.address).has_value();
  };
  // The most urgent one first; among equals an address of the peer that has few subflows.
  while (!closed_ && Alive() < services_->config().paths.max_subflows) {
    const LocalAddress* from = nullptr;
    const RemoteAddress* to = nullptr;
    std::pair<int, size_t> best{0, 0};
    for (const LocalAddress& local : locals) {
      for (const RemoteAddress& remote : remotes) {
        const int urgency = Urgency(local, remote);
        if (urgency == 0 || !allowed(local, remote)) continue;
        const std::pair rank{-urgency, AtRemote(remote.endpoint)};
        if (from != nullptr && rank >= best) continue;
        best = rank;
        from = &local;
        to = &remote;
      }
    }
    if (from == nullptr) return;
    if (!StartJoin(now, *from, *to)) {
      retries_[{from->address, to->endpoint}] = {.next = now + kMaxRetry, .reason = "no port"};
    }
  }
}

// ---- Addresses of this host

void ConnectionImpl::OnLocalAddresses(Time now) {
  if (closed_) {
    // Only FINs are left; what has lost its address cannot send them.
    for (size_t i = 0; i < paths_.size(); ++i) LosePath(now, paths_[i].get());
    return;
  }
  for (size_t i = 0; i < paths_.size(); ++i) LosePath(now, paths_[i].get());
  for (auto it = local_ids_.begin(); it != local_ids_.end();) {
    const bool ours = std::ranges::any_of(services_->local_addresses(), [&](const LocalAddress& l) {
      return l.address == it->first;
    });
    if (ours || LocalUsed(it->first)) {
      ++it;
      continue;
    }
    removals_.push_back(it->second);
    std::erase_if(announcements_, [&](const Announcement& a) { return a.address == it->first; });
    it = local_ids_.erase(it);
  }
  // A new network: whatever failed before is worth another try.
  retries_.clear();
  for (const auto& path : paths_) {
    if (!path->dead) SetOwnBackup(now, path.get(), UseOf(*path) != UplinkUse::kNormal);
  }
  if (closed_) return;
  SendControl(now);
  ManagePaths(now);
}

// A route often comes back later than the address (a network manager's work).
void ConnectionImpl::OnRoutes(Time now) {
  if (closed_) return;
  retries_.clear();
  ManagePaths(now);
}

void ConnectionImpl::OnNextHopFailed(Time now, absl::FunctionRef<bool(const FourTuple&)> through) {
  std::vector<Subflow*> waiting;  // they may change the paths
  for (const auto& path : paths_) {
    if (!path->dead && path->subflow->state() == TcpState::kSynSent && through(path->tuple))
      waiting.push_back(path->subflow.get());
  }
  for (Subflow* const subflow : waiting) subflow->OnNextHopFailed(now);
}

// A path whose local address is gone is gone, without a word. Where no other can take over (plain
// TCP, no key yet) the last one waits for it to come back, as the kernel's TCP does: a cable that
// was out for a second ends nothing.
void ConnectionImpl::LosePath(Time now, Path* path) {
  if (path->dead) return;
  const bool ours = std::ranges::any_of(services_->local_addresses(), [&](const LocalAddress& l) {
    return l.address == path->tuple.local.address;
  });
  if (ours || (!closed_ && !MayJoin() && IsLastAlive(*path))) return;
  if (!closed_ && connected_ && mptcp()) Reinject(now, path);
  Bury(path);
  path->subflow->Discard();
  services_->MayBeFinished(this);
  if (closed_ || AnyAlive()) return;
  if (MayJoin()) {
    no_path_since_ = std::min(no_path_since_, now);
  } else {
    Finish(now, EndReason::kUnreachable);
  }
}

bool ConnectionImpl::IsLastAlive(const Path& path) const {
  return std::ranges::none_of(paths_, [&](const auto& p) { return p.get() != &path && !p->dead; });
}

// ---- Time

// How long a connection waits for a path: no longer than the program wants to wait for its peer.
Duration ConnectionImpl::Hold() const {
  const Duration hold = services_->config().paths.hold, user = options_.patience.user_timeout;
  return user > Duration::zero() && una_ < send_.tail() ? std::min(hold, user) : hold;
}

void ConnectionImpl::ArmPathTimer(Time now) {
  Time next = kNever;
  if (closed_) {
    // Only the subflows' ends are awaited.
    if (!paths_.empty()) next = linger_until_;
  } else {
    if (no_path_since_ != kNever && !AnyAlive()) {
      next = no_path_since_ + Hold();
    }
    if (orphaned_) next = std::min({next, linger_until_, orphan_check_});
    for (const Announcement& a : announcements_) next = std::min(next, a.next);
    next = std::min({next, confirmation_.next(), next_confirmation_.next()});
    if (AwaitsPeersKey(now) && confirmation_.patience() > now) {
      next = std::min(next, confirmation_.patience());
    }
    for (const ParkedJoin& p : parked_) next = std::min(next, p.expires);
    for (const auto& path : paths_) {
      if (path->dead) continue;
      next = std::min({next, path->next_third_ack, path->check_alive_at});
      if (path->usable && mptcp() && dss_seen_) next = std::min(next, path->next_priority);
    }
    if (initiator_ && MayJoin()) {
      for (const auto& [pair, retry] : retries_) {
        if (WantedAgain(pair.first, pair.second)) next = std::min(next, retry.next);
      }
    }
  }
  if (next == kNever) {
    path_timer_.Cancel();
  } else {
    // What is due and could not be done now (no usable path) is looked at again a little later.
    path_timer_.Set(next > now ? next : now + kNotNow);
  }
}

void ConnectionImpl::OnPathTimer(Time now) {
  if (closed_) {
    // The peer never said its FIN.
    if (now >= linger_until_) {
      for (size_t i = 0; i < paths_.size(); ++i) {
        Subflow& s = *paths_[i]->subflow;
        if (!paths_[i]->dead && s.state() != TcpState::kTimeWait) s.Abort(now);
      }
    }
    return;
  }
  if (no_path_since_ != kNever && !AnyAlive() && now >= no_path_since_ + Hold()) {
    return Finish(now, EndReason::kTimedOut);
  }
  if (orphaned_ && now >= linger_until_) return Abort(now);
  if (orphaned_ && now >= orphan_check_) CheckOrphan(now);
  if (closed_) return;
  DropParked(now, false);
  for (size_t i = 0; i < paths_.size(); ++i) {
    Path& path = *paths_[i];
    if (path.dead) continue;
    if (now >= path.next_third_ack) {
      if (++path.third_acks > kMaxThirdAcks) {
        path.subflow->Abort(now);
      } else {
        path.next_third_ack = now + std::chrono::milliseconds(500) * (1 << path.third_acks);
        path.subflow->SendAck(now);
      }
    }
    if (!path.dead && now >= path.check_alive_at) {
      path.check_alive_at = kNever;
      if (path.subflow->last_received() <= path.probed_at) path.subflow->Abort(now);
    }
    if (closed_) return;
  }
  SendControl(now);
  if (closed_) return;
  // A retry whose pair cannot be opened now (no route, no port) waits for another turn.
  for (auto& [pair, retry] : retries_) {
    if (retry.next <= now && !services_->environment()->RouteMtu(pair.first, pair.second.address)) {
      retry.next = now + kMaxRetry;
    }
  }
  ManagePaths(now);
  for (auto& [pair, retry] : retries_) {
    if (retry.next <= now) retry.next = now + kMaxRetry;
  }
  ArmPathTimer(now);
}

}  // namespace mptcptls
