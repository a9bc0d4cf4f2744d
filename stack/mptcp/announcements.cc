// What two hosts tell each other of their paths, beside the data: addresses that come and go (RFC
// 8684 3.4), which subflow is a backup (3.3.8), and on which acknowledgements all that travels.
#include <algorithm>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {
namespace {

constexpr size_t kMaxHeld = 8;                               // PROTOCOL.md 3: held ADD_ADDRs
constexpr int kMaxAnnouncements = 4;                         // once, and after 1, 2, 4 s
constexpr size_t kMaxLocalIds = 64;                          // ours
constexpr int kMaxPriorities = 3;                            // ours: once, and after 1 and 2 s
constexpr Duration kRemovedGrace = std::chrono::seconds(1);  // for a sign of life

}  // namespace

// ---- Addresses of this host

void ConnectionImpl::AnnounceMissing(Time now) {
  const PathPolicy& policy = services_->config().paths;
  if (!policy.announce || !policy.accept_joins) return;
  // The connection's own family first: the peer may take only so many.
  for (const bool own_family : {true, false}) {
    for (const LocalAddress& local : services_->local_addresses()) {
      if ((local.address.family == first_.local.address.family) != own_family) continue;
      if (local_ids_.contains(local.address) || local_ids_.size() >= kMaxLocalIds) continue;
      Announcement a;
      if (!(own_family ? wildcard_ : wildcard_both_)) {
        // A port of the engine's own: another listener may sit on this one.
        a.port = services_->TakePort(local.address, {first_.remote.address, 0});
        if (!a.port) continue;
      }
      a.id = LocalId(local.address);
      a.address = local.address;
      a.next = now;
      announcements_.push_back(a);
    }
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
    return SendControl(now);
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
  const bool authentic = UnderAnyKey([&](const ConnectionKeys& keys) {
    const auto expected =
        AddAddrHmac(keys, !initiator_, option.address_id, option.address, option.port.value_or(0));
    return ConstantTimeEqual(expected, option.hmac);
  });
  if (!authentic) {
    ++services_->counters()->add_addr_refused;
    return;
  }
  TakeVerifiedAddAddr(now, option);
}

// The first one came with the connection.
size_t ConnectionImpl::AddressesTaken() const {
  return static_cast<size_t>(std::ranges::count_if(
      remotes_, [this](const RemoteAddress& r) { return r.endpoint != first_.remote; }));
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
  } else if (AddressesTaken() < services_->config().paths.max_addresses) {
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

// ---- Backups

void ConnectionImpl::TakePrio(Time now, Path* path, const MpPrio& option) {
  if (path->peer_backup == option.backup) return;
  path->peer_backup = option.backup;
  Push(now);  // what waited for a better path may go on this one now
}

// What our uplink is for, as the peer was told at the subflow's handshake or by MP_PRIO.
void ConnectionImpl::SetOwnBackup(Time now, Path* path, bool backup) {
  if (path->own_backup == backup) return;
  path->own_backup = backup;
  path->priorities_sent = 0;
  path->next_priority = path->told_backup == backup ? kNever : now;
}

// MP_PRIO speaks of the subflow that carries it, and nothing acknowledges it.
void ConnectionImpl::SendPriorities(Time now) {
  for (size_t i = 0; i < paths_.size() && !closed_; ++i) {
    Path& path = *paths_[i];
    if (path.dead || !path.usable || path.next_priority > now) continue;
    path.told_backup = path.own_backup;
    path.next_priority = ++path.priorities_sent < kMaxPriorities
                             ? now + std::chrono::seconds(path.priorities_sent)
                             : kNever;
    priority_on_ = path.subflow.get();
    path.subflow->SendAck(now);
    priority_on_ = nullptr;
    ++services_->counters()->mp_prio_sent;
  }
}

// ---- Control options go out on pure ACKs of one subflow

bool ConnectionImpl::ControlDue(Time now) const {
  return !echoes_.empty() || !removals_.empty() || confirmation_.due(now) ||
         next_confirmation_.due(now) ||
         std::ranges::any_of(announcements_,
                             [&](const Announcement& a) { return MayAnnounce(now, a); });
}

// One at a time, until it is echoed or its repetition is due: the kernel takes no second ADD_ADDR
// while it is busy with the first.
bool ConnectionImpl::MayAnnounce(Time now, const Announcement& announcement) const {
  if (announcement.next > now) return false;
  return announcement.sent > 0 ||
         std::ranges::none_of(announcements_, [now](const Announcement& a) {
           return a.sent == 1 && a.next > now && a.next != kNever;
         });
}

void ConnectionImpl::SendControl(Time now) {
  if (closed_ || !mptcp() || !dss_seen_) return;
  SendPriorities(now);
  if (closed_) return;
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
    KeyConfirmation* const said = saying_ = DueConfirmation(now);
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
    if (said != nullptr && saying_ != nullptr) {
      said->OnNoRoom(now);
    } else if (said != nullptr) {
      said->OnSaid(now);
      ++services_->counters()->new_key_sent;
    }
    saying_ = nullptr;
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

}  // namespace mptcptls
