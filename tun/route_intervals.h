// Routes of one uplink as an nftables interval map takes them: nested prefixes become disjoint
// ranges, each with the next hop that longest-prefix matching would choose.
#ifndef MPTCPTLS_TUN_ROUTE_INTERVALS_H_
#define MPTCPTLS_TUN_ROUTE_INTERVALS_H_

#include <optional>
#include <vector>

#include "stack/types.h"
#include "tun/uplinks.h"

namespace mptcptls {

struct RouteInterval {
  IpAddress first;  // both included
  IpAddress last;
  std::optional<IpAddress> gateway;  // nullopt: on-link
  bool operator==(const RouteInterval&) const = default;
};

// Disjoint, ascending, as few as possible. `routes` may hold any uplink's: those of `ifindex` and
// `family` count, and the routes that lead nowhere (NextHop::ifindex 0), which cut holes.
std::vector<RouteInterval> FlattenRoutes(const std::vector<NextHop>& routes, int ifindex,
                                         Family family);

// Whether `address` lies in `prefix`/`length`; false across families.
bool PrefixContains(const IpAddress& prefix, uint8_t length, const IpAddress& address);

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_ROUTE_INTERVALS_H_
