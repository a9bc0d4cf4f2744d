// What is going on in a connection, for `mptcptls status`.
#include <algorithm>

#include "stack/mptcp/connection_impl.h"

namespace mptcptls {

SubflowStatus ConnectionImpl::StatusOf(const Path& path) const {
  SubflowStatus s;
  s.local_id = path.local_id;
  s.remote_id = path.remote_id;
  s.tuple = path.tuple;
  s.uplink = path.uplink;
  s.joined = path.joined;
  s.authenticated = path.authenticated;
  s.backup = path.backup();
  s.stale = path.stale;
  s.tcp = path.subflow->Info();
  return s;
}

ConnectionInfo ConnectionImpl::Info(Time now) const {
  ConnectionInfo info;
  info.id = id_;
  info.initiator = initiator_;
  info.mode = mode_;
  info.key = mode_ == Mode::kKeys ? KeyState::kPresent : key_;
  info.key_reason = key_reason_;
  info.peer_key = confirmation_.peer();
  info.keys_replaced = keys_replaced_;
  info.local = first_.local;
  info.remote = first_.remote;
  if (scheduler_) info.scheduler = scheduler_->kind();
  info.connected = connected_;
  info.fallback = fallback_;
  info.local_token = local_token_;
  info.remote_token = remote_token_;
  info.bytes_sent = send_.tail();
  info.bytes_received = mptcp() || began_mptcp_ ? reassembly_.next() : tcp_received_;
  info.bytes_reinjected = bytes_reinjected_;
  info.end = end_;
  for (const auto& path : paths_) {
    if (!path->dead) info.subflows.push_back(StatusOf(*path));
  }
  info.subflows.insert(info.subflows.end(), ended_.begin(), ended_.end());
  for (const auto& [pair, retry] : retries_) {
    if (Between(pair.first, pair.second) > 0) continue;
    std::string reason = retry.reason;
    if (retry.next > now) {
      const auto ms = (retry.next - now) / std::chrono::milliseconds(1);
      reason +=
          ", next try in " + std::to_string(ms / 1000) + "." + std::to_string(ms / 100 % 10) + " s";
    }
    info.unused_paths.push_back({pair.first, pair.second, reason});
  }
  if (!closed_) ExplainUnused(now, &info);
  return info;
}

// An uplink on which nothing was tried has a reason, too; in a full mesh each pair.
void ConnectionImpl::ExplainUnused(Time now, ConnectionInfo* info) const {
  const std::vector<LocalAddress>& locals = services_->local_addresses();
  const auto told = [&](const IpAddress& local, const Endpoint* remote) {
    return std::ranges::any_of(info->unused_paths, [&](const UnusedPath& path) {
      return path.local == local && (remote == nullptr || path.remote == *remote);
    });
  };
  const Family first = first_.remote.address.family;
  for (const LocalAddress& local : locals) {
    const bool second_family =
        local.address.family != first && std::ranges::any_of(locals, [&](const LocalAddress& l) {
          return l.uplink == local.uplink && l.address.family == first;
        });
    if (OnUplink(local.uplink) == 0 && !told(local.address, nullptr) && !second_family) {
      info->unused_paths.push_back({local.address, first_.remote, WhyNoJoin(now, local)});
    }
    if (!services_->config().paths.full_mesh) continue;
    for (const RemoteAddress& remote : remotes_) {
      if (Urgency(local, remote) > 0 && !told(local.address, &remote.endpoint)) {
        info->unused_paths.push_back({local.address, remote.endpoint, WhyNoJoin(now, local)});
      }
    }
  }
}

std::string ConnectionImpl::WhyNoJoin(Time now, const LocalAddress& local) const {
  const PathPolicy& policy = services_->config().paths;
  if (!connected_) return "not connected yet";
  if (!mptcp() || fallback_) return "plain TCP";
  if (key_ == KeyState::kRefused) return "no key: " + key_reason_;
  if (mode_ == Mode::kTlsAuth && key_ == KeyState::kNone) return "no key yet";
  if (!dss_seen_) return "no DSS yet";
  if (confirmation_.peer() == PeerKey::kDiffers) return "the peer's key differs";
  if (AwaitsPeersKey(now)) return "the peer has not confirmed its key yet";
  if (!initiator_) {
    return policy.accept_joins ? "the peer opens subflows" : "joins are refused (accept_joins)";
  }
  if (Alive() >= policy.max_subflows) {
    return "limit of " + std::to_string(policy.max_subflows) + " subflows (max_subflows)";
  }
  if (MeteredWaits(local)) return "metered: opened when no other path is left";
  if (remotes_.empty()) return "the peer takes no subflows at this address, and announced no other";
  const bool family = std::ranges::any_of(remotes_, [&](const RemoteAddress& remote) {
    return remote.endpoint.address.family == local.address.family;
  });
  return family ? "no route to an address of the peer"
                : "the peer has told of no address of this family";
}

}  // namespace mptcptls
