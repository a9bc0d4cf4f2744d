// Which subflows there should be (ARCHITECTURE.md 12): one per local uplink, one per address of the
// peer; lost ones again with back-off. Only the initiator opens; the responder announces its
// addresses (RFC 8684 3.4).
#include <algorithm>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {
namespace {

constexpr size_t kMaxHeld = 8;  // PROTOCOL.md 3: held ADD_ADDRs
constexpr Duration kFirstRetry = std::chrono::seconds(1), kMaxRetry = std::chrono::seconds(30);
constexpr int kMaxAnnouncements = 4;                         // once, and after 1, 2, 4 s
constexpr Duration kNoPathLimit = std::chrono::seconds(60);  // ours: then it is over
constexpr Duration kRemovedGrace = std::chrono::seconds(1);  // for a sign of life
constexpr int kMaxThirdAcks = 6;
constexpr Duration kNotNow = std::chrono::milliseconds(200);

}  // namespace

uint8_t ConnectionImpl::LocalId(const IpAddress& address) {
  const auto it = local_ids_.find(address);
  if (it != local_ids_.end()) return it->second;
  return local_ids_[address] = ++last_local_id_;
}

bool ConnectionImpl::PathExists(const IpAddress& local, const Endpoint& remote) const {
  return std::ranges::any_of(paths_, [&](const auto& p) {
    return !p->dead && p->tuple.local.address == local && p->tuple.remote == remote;
  });
}

bool ConnectionImpl::LocalUsed(const IpAddress& local) const {
  return std::ranges::any_of(
      paths_, [&](const auto& p) { return !p->dead && p->tuple.local.address == local; });
}

bool ConnectionImpl::UplinkUsed(const std::string& uplink) const {
  return std::ranges::any_of(paths_,
                             [&](const auto& p) { return !p->dead && p->uplink == uplink; });
}

bool ConnectionImpl::RemoteUsed(const Endpoint& remote) const {
  return std::ranges::any_of(paths_,
                             [&](const auto& p) { return !p->dead && p->tuple.remote == remote; });
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
  // A copy: opening may call back.
  const std::vector<LocalAddress> locals = services_->local_addresses();
  const auto allowed = [&](const LocalAddress& local, const RemoteAddress& remote) {
    if (local.address.family != remote.endpoint.address.family) return false;
    if (!services_->environment()->RouteMtu(local.address, remote.endpoint.address)) return false;
    if (PathExists(local.address, remote.endpoint)) return false;
    const auto retry = retries_.find({local.address, remote.endpoint});
    return retry == retries_.end() || retry->second.next <= now;
  };
  size_t alive = 0;
  for (const auto& p : paths_) alive += !p->dead;
  const std::vector<RemoteAddress> remotes = remotes_;
  // Each uplink wants a subflow; an unused remote address is preferred.
  for (const LocalAddress& local : locals) {
    if (UplinkUsed(local.uplink) || alive >= services_->config().max_subflows_per_connection) {
      continue;
    }
    const RemoteAddress* best = nullptr;
    for (const RemoteAddress& remote : remotes) {
      if (!allowed(local, remote)) continue;
      if (best == nullptr || (RemoteUsed(best->endpoint) && !RemoteUsed(remote.endpoint))) {
        best = &remote;
      }
    }
    if (best != nullptr && StartJoin(now, local, *best)) ++alive;
  }
  // So does each address of the peer.
  for (const RemoteAddress& remote : remotes) {
    if (RemoteUsed(remote.endpoint) || alive >= services_->config().max_subflows_per_connection) {
      continue;
    }
    for (const LocalAddress& local : locals) {
      if (!allowed(local, remote)) continue;
      if (StartJoin(now, local, remote)) ++alive;
      break;
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

void ConnectionImpl::AnnounceMissing(Time now) {
  for (const LocalAddress& local : services_->local_addresses()) {
    const bool known = local_ids_.contains(local.address);
    if (known || local.address.family != first_.local.address.family) continue;
    Announcement a;
    a.id = LocalId(local.address);
    a.address = local.address;
    if (!wildcard_) {
      // A port of the engine's own: another listener may sit on this one.
      a.port = services_->TakePort(local.address, {first_.remote.address, 0});
      if (!a.port) continue;
    }
    a.next = now;
    announcements_.push_back(a);
  }
  SendControl(now);
}

// ---- Addresses of the peer

void ConnectionImpl::TakeAddAddr(Time now, const AddAddr& option) {
  if (!mptcp() || fallback_) return;
  if (option.echo) {
    for (Announcement& a : announcements_) {
      if (a.id == option.address_id && a.address == option.address) {
        a.echoed = true;
        a.next = kNever;
      }
    }
    return;
  }
  if (mode_ == Mode::kTlsAuth && key_ != KeyState::kPresent) {
    if (key_ == KeyState::kNone && held_.size() < kMaxHeld) {
      const bool known = std::ranges::any_of(held_, [&](const AddAddr& h) {
        return h.address_id == option.address_id && h.address == option.address;
      });
      if (!known) held_.push_back(option);
    } else {
      ++services_->counters()->add_addr_refused;
    }
    return;
  }
  const auto expected =
      AddAddrHmac(keys_, !initiator_, option.address_id, option.address, option.port.value_or(0));
  if (!ConstantTimeEqual(expected, option.hmac)) {
    ++services_->counters()->add_addr_refused;
    return;
  }
  TakeVerifiedAddAddr(now, option);
}

void ConnectionImpl::TakeVerifiedAddAddr(Time now, const AddAddr& option) {
  AddAddr echo = option;
  echo.echo = true;
  echo.hmac = {};
  if (echoes_.size() < kMaxHeld) echoes_.push_back(echo);
  const Endpoint endpoint{option.address, option.port.value_or(first_.remote.port)};
  const auto known = std::ranges::find(remotes_, endpoint, &RemoteAddress::endpoint);
  if (known != remotes_.end()) {
    if (known->id != option.address_id) retries_.clear();  // it was taken back and is here again
    known->id = option.address_id;
  } else if (remotes_.size() < kMaxRemotes) {
    remotes_.push_back({option.address_id, endpoint});
    ++services_->counters()->add_addr_received;
  } else {
    ++services_->counters()->add_addr_refused;
  }
  SendControl(now);
  ManagePaths(now);
}

// RFC 8684 3.4.2: not authenticated, so each affected subflow gets a chance to show that it lives;
// only future use of the address ends at once.
void ConnectionImpl::TakeRemoveAddr(Time now, const RemoveAddr& option) {
  for (uint8_t i = 0; i < option.count; ++i) {
    const uint8_t id = option.ids[i];
    std::erase_if(remotes_, [&](const RemoteAddress& r) {
      return r.id == id && (r.id != 0 || r.endpoint != first_.remote);
    });
    std::erase_if(retries_, [&](const auto& retry) {
      return std::ranges::find(remotes_, retry.first.second, &RemoteAddress::endpoint) ==
             remotes_.end();
    });
    for (const auto& path : paths_) {
      if (path->dead || path->remote_id != id) continue;
      // What was on its way here before the address went proves nothing.
      path->probed_at = now + path->subflow->receive_rtt();
      path->check_alive_at = now + kRemovedGrace;
      path->subflow->SendAck(now);
    }
  }
  ArmPathTimer(now);
}

// ---- Control options go out on pure ACKs of one subflow

bool ConnectionImpl::ControlDue(Time now) const {
  return !echoes_.empty() || !removals_.empty() || confirmation_.due(now) ||
         std::ranges::any_of(announcements_,
                             [now](const Announcement& a) { return a.next <= now; });
}

void ConnectionImpl::SendControl(Time now) {
  if (closed_ || !mptcp() || !dss_seen_) return;
  // Each ACK takes one option; bounded by what there is to say.
  for (int i = 0; i < 16 && ControlDue(now); ++i) {
    Path* best = nullptr;
    for (const auto& path : paths_) {
      if (path->dead || !path->usable) continue;
      if (best == nullptr || (best->stale && !path->stale)) best = path.get();
    }
    if (best == nullptr) return;
    for (Announcement& a : announcements_) {
      if (a.next > now || !echoes_.empty() || !removals_.empty()) continue;
      if (a.sent >= kMaxAnnouncements) {
        a.next = kNever;
        continue;
      }
    }
    new_key_due_ = confirmation_.due(now);
    const bool new_key = new_key_due_;
    control_on_ = best->subflow.get();
    const bool large = std::ranges::any_of(announcements_, [now](const Announcement& a) {
      return a.next <= now && a.address.family == Family::kV6 && a.port;
    });
    if (large && echoes_.empty() && removals_.empty()) {
      best->subflow->SendBareAck(now);  // 30 bytes do not fit beside timestamps
    } else {
      best->subflow->SendAck(now);
    }
    control_on_ = nullptr;
    if (new_key && new_key_due_) {
      confirmation_.OnNoRoom(now);
    } else if (new_key) {
      confirmation_.OnSaid(now);
      ++services_->counters()->new_key_sent;
    }
    new_key_due_ = false;
    if (closed_) return;
    // What was said is scheduled again by FillControl() with its time still unknown: set it here.
    for (Announcement& a : announcements_) {
      if (a.next == Time::min()) {
        a.next = now + std::chrono::seconds(1) * (int64_t{1} << std::min(a.sent - 1, 4));
      }
    }
  }
  ArmPathTimer(now);
}

// ---- Time

void ConnectionImpl::ArmPathTimer(Time now) {
  Time next = kNever;
  if (closed_) {
    // Only the subflows' ends are awaited.
    if (!paths_.empty()) next = linger_until_;
  } else {
    if (no_path_since_ != kNever && !AnyAlive()) next = no_path_since_ + kNoPathLimit;
    if (orphaned_) next = std::min({next, linger_until_, orphan_check_});
    for (const Announcement& a : announcements_) next = std::min(next, a.next);
    next = std::min(next, confirmation_.next());
    if (AwaitsPeersKey(now) && confirmation_.patience() > now) {
      next = std::min(next, confirmation_.patience());
    }
    for (const ParkedJoin& p : parked_) next = std::min(next, p.expires);
    for (const auto& path : paths_) {
      if (path->dead) continue;
      next = std::min({next, path->next_third_ack, path->check_alive_at});
    }
    if (initiator_ && MayJoin()) {
      for (const auto& [pair, retry] : retries_) {
        if (!PathExists(pair.first, pair.second) &&
            (!LocalUsed(pair.first) || !RemoteUsed(pair.second))) {
          next = std::min(next, retry.next);
        }
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
  if (no_path_since_ != kNever && !AnyAlive() && now >= no_path_since_ + kNoPathLimit) {
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
