#include "tun/uplinks.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "tun/route_dump.h"
#include "tun/route_intervals.h"

namespace mptcptls {
namespace {

constexpr int kGroups[] = {RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                           RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,
                           RTNLGRP_IPV6_RULE};

auto Essence(const UplinkAddress& u) {
  return std::tuple(u.ifindex, u.ifname, u.address, u.prefix_length, u.mtu, u.running);
}
auto Essence(const NextHop& h) {
  return std::tuple(h.ifindex, h.prefix, h.prefix_length, h.gateway, h.metric, h.mtu);
}

template <typename T>
bool Same(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return Essence(x) == Essence(y); });
}

// An interface's name goes into the text of a ruleset: those that would not be taken literally
// there (the kernel allows all but '/', ':' and white space) cannot be uplinks.
bool IsPlainName(const std::string& name) {
  return name.find_first_of("\"\\*$@") == std::string::npos;
}

bool HasPrefix(const std::string& name, const char* prefix) { return name.rfind(prefix, 0) == 0; }

bool IsContainerBridge(const LinkInfo& link) {
  return link.kind == "bridge" && (HasPrefix(link.name, "docker") || HasPrefix(link.name, "br-") ||
                                   HasPrefix(link.name, "virbr") || HasPrefix(link.name, "lxcbr") ||
                                   HasPrefix(link.name, "cni") || HasPrefix(link.name, "podman"));
}

struct Snapshot {
  std::vector<UplinkAddress> addresses;
  std::vector<NextHop> next_hops;
  std::vector<IpAddress> local;  // every address of this host, sorted
  bool policy_routing = false;
};

class NetlinkMonitor : public UplinkMonitor {
 public:
  explicit NetlinkMonitor(const Options& options) : options_(options) {}
  ~NetlinkMonitor() override {
    if (events_ != nullptr) nl_socket_free(events_);
  }

  bool Start(std::string* error) {
    events_ = nl_socket_alloc();
    if (events_ == nullptr) {
      *error = "cannot watch the network's configuration: out of memory";
      return false;
    }
    nl_socket_disable_seq_check(events_);
    int result = nl_connect(events_, NETLINK_ROUTE);
    for (int group : kGroups) {
      // A kernel without IPv6 knows no IPv6 groups: nothing to watch there.
      if (result == 0 && nl_socket_add_membership(events_, group) != 0 && group == RTNLGRP_LINK)
        result = -NLE_NOACCESS;
    }
    if (result == 0) result = nl_socket_set_nonblocking(events_);
    if (result != 0) {
      *error = std::string("cannot watch the network's configuration over netlink: ") +
               nl_geterror(result);
      return false;
    }
    fcntl(fd(), F_SETFD, FD_CLOEXEC);
    dump_ = RouteDump::Open(error);
    return dump_ != nullptr && Read(&now_, error);
  }

  int fd() const override { return nl_socket_get_fd(events_); }

  bool Process() override {
    if (!Drain()) return false;
    Snapshot next;
    std::string ignored;
    if (!Read(&next, &ignored)) {
      reread_ = true;  // the next call tries again
      return false;
    }
    reread_ = false;
    const bool changed = !Same(next.addresses, now_.addresses) ||
                         !Same(next.next_hops, now_.next_hops) || next.local != now_.local ||
                         next.policy_routing != now_.policy_routing;
    now_ = std::move(next);
    return changed;
  }

  const std::vector<UplinkAddress>& addresses() const override { return now_.addresses; }
  const std::vector<NextHop>& next_hops() const override { return now_.next_hops; }

  std::optional<uint32_t> RouteMtu(const IpAddress& local, const IpAddress& remote) const override {
    const UplinkAddress* const uplink = UplinkOf(local);
    const NextHop* const best = uplink == nullptr ? nullptr : RouteOn(*uplink, remote);
    if (best == nullptr) return std::nullopt;
    if (now_.policy_routing) {
      // A VPN's or an administrator's rules decide (ARCHITECTURE.md 8): use no way they do not.
      const std::optional<RouteLookup> chosen = dump_->Lookup(remote, &local);
      if (!chosen || chosen->ifindex != uplink->ifindex) return std::nullopt;
    }
    return std::min(uplink->mtu, best->mtu.value_or(uplink->mtu));
  }

  std::optional<Neighbour> NextHopTo(const IpAddress& local,
                                     const IpAddress& remote) const override {
    const UplinkAddress* const uplink = UplinkOf(local);
    const NextHop* const best = uplink == nullptr ? nullptr : RouteOn(*uplink, remote);
    if (best == nullptr) return std::nullopt;
    return Neighbour{best->ifindex, best->gateway.value_or(remote)};
  }

  std::optional<IpAddress> PreferredSource(const IpAddress& remote) const override {
    const std::optional<RouteLookup> route = dump_->Lookup(remote, nullptr);
    if (!route) return std::nullopt;
    return route->source;
  }

  bool IsLocalAddress(const IpAddress& address) const override {
    return address.IsLoopback() ||
           std::binary_search(now_.local.begin(), now_.local.end(), address);
  }

  bool HasPolicyRouting() const override { return now_.policy_routing; }

 private:
  // Null where it cannot be used.
  const UplinkAddress* UplinkOf(const IpAddress& local) const {
    const auto uplink = std::find_if(now_.addresses.begin(), now_.addresses.end(),
                                     [&](const UplinkAddress& u) { return u.address == local; });
    return uplink == now_.addresses.end() || !uplink->running ? nullptr : &*uplink;
  }

  // The route to `remote` over this uplink; null where there is none, or one that leads nowhere.
  const NextHop* RouteOn(const UplinkAddress& uplink, const IpAddress& remote) const {
    if (uplink.address.family != remote.family) return nullptr;
    const NextHop* best = nullptr;
    for (const NextHop& hop : now_.next_hops) {
      if (hop.ifindex != uplink.ifindex && hop.ifindex != 0) continue;
      if (!PrefixContains(hop.prefix, hop.prefix_length, remote)) continue;
      if (best == nullptr || hop.prefix_length > best->prefix_length ||
          (hop.prefix_length == best->prefix_length && hop.metric < best->metric))
        best = &hop;
    }
    return best == nullptr || best->ifindex == 0 ? nullptr : best;
  }

  // What an event says does not matter, only that there was one: the state is read again, which
  // is right after an overrun too. True when something was there.
  bool Drain() {
    bool any = reread_;
    for (;;) {
      char scratch[16384];
      const ssize_t length = recv(fd(), scratch, sizeof scratch, MSG_DONTWAIT);
      if (length > 0 || (length < 0 && (errno == ENOBUFS || errno == EINTR))) {
        any = true;
        continue;
      }
      return any;
    }
  }

  bool IsUplink(const LinkInfo& link, const std::vector<LinkInfo>& links) const {
    if (!link.up || link.loopback || link.ifindex == options_.exclude_ifindex) return false;
    if (!IsPlainName(link.name)) return false;
    const auto& extra = options_.extra_interfaces;
    if (std::find(extra.begin(), extra.end(), link.name) != extra.end()) return true;
    if (IsContainerBridge(link)) return false;
    // The port of a bridge has no traffic of its own; the bridge takes it before our hook.
    const auto master = std::find_if(links.begin(), links.end(), [&](const LinkInfo& other) {
      return other.ifindex == link.master;
    });
    return master == links.end() || master->kind != "bridge";
  }

  bool Read(Snapshot* snapshot, std::string* error) const {
    std::vector<LinkInfo> links;
    std::vector<AddressInfo> addresses;
    std::vector<NextHop> routes;
    if (!dump_->Links(&links, error) || !dump_->Addresses(&addresses, error) ||
        !dump_->Routes(&routes, error) || !dump_->HasPolicyRules(&snapshot->policy_routing, error))
      return false;
    for (const AddressInfo& address : addresses) {
      snapshot->local.push_back(address.address);
      const auto link = std::find_if(links.begin(), links.end(), [&](const LinkInfo& candidate) {
        return candidate.ifindex == address.ifindex;
      });
      if (link == links.end() || !IsUplink(*link, links) || !address.usable) continue;
      snapshot->addresses.push_back({link->ifindex, link->name, address.address,
                                     address.prefix_length, link->mtu, link->running});
    }
    const auto by_essence = [](const auto& a, const auto& b) { return Essence(a) < Essence(b); };
    std::sort(snapshot->addresses.begin(), snapshot->addresses.end(), by_essence);
    for (NextHop& route : routes) {
      const bool carried = std::any_of(
          snapshot->addresses.begin(), snapshot->addresses.end(), [&](const UplinkAddress& u) {
            return u.ifindex == route.ifindex && u.address.family == route.prefix.family;
          });
      if (carried || route.ifindex == 0) snapshot->next_hops.push_back(route);
    }
    std::sort(snapshot->next_hops.begin(), snapshot->next_hops.end(), by_essence);
    std::sort(snapshot->local.begin(), snapshot->local.end());
    return true;
  }

  Options options_;
  nl_sock* events_ = nullptr;
  std::unique_ptr<RouteDump> dump_;
  Snapshot now_;
  bool reread_ = false;
};

}  // namespace

std::unique_ptr<UplinkMonitor> UplinkMonitor::Open(const Options& options, std::string* error) {
  auto monitor = std::make_unique<NetlinkMonitor>(options);
  if (!monitor->Start(error)) return nullptr;
  return monitor;
}

}  // namespace mptcptls
