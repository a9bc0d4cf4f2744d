// The kernel's present network configuration, read over rtnetlink: links, addresses, routes, rules
// and single route lookups. Reads only.
#ifndef MPTCPTLS_TUN_ROUTE_DUMP_H_
#define MPTCPTLS_TUN_ROUTE_DUMP_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stack/types.h"
#include "tun/uplinks.h"

struct nl_sock;

namespace mptcptls {

struct LinkInfo {
  int ifindex = 0;
  std::string name;
  std::string kind;  // bridge, veth, tun ...; empty for hardware
  int master = 0;    // interface index of the bridge or bond it belongs to, 0: none
  uint32_t mtu = 0;
  bool up = false;       // by the administrator
  bool running = false;  // up, and with carrier
  bool loopback = false;
};

struct AddressInfo {
  int ifindex = 0;
  IpAddress address;
  uint8_t prefix_length = 0;
  bool usable = false;  // global, past duplicate address detection, not deprecated
};

struct RouteLookup {
  int ifindex = 0;
  std::optional<IpAddress> source;
};

class RouteDump {
 public:
  static std::unique_ptr<RouteDump> Open(std::string* error);
  ~RouteDump();
  RouteDump(const RouteDump&) = delete;
  RouteDump& operator=(const RouteDump&) = delete;

  bool Links(std::vector<LinkInfo>* links, std::string* error);
  bool Addresses(std::vector<AddressInfo>* addresses, std::string* error);
  // Unicast routes of the tables main and default, one entry per interface of a multipath route,
  // and with ifindex 0 the routes that lead nowhere (blackhole, unreachable, prohibit).
  bool Routes(std::vector<NextHop>* routes, std::string* error);
  // Whether `ip rule` holds anything beside the kernel's own rules for local, main and default.
  bool HasPolicyRules(bool* found, std::string* error);
  // What the kernel would do with a packet to `remote` (from `local`, if given), with no interface
  // imposed, so that no on-link route is invented (FACTS.md). nullopt: unreachable.
  std::optional<RouteLookup> Lookup(const IpAddress& remote, const IpAddress* local);

 private:
  explicit RouteDump(nl_sock* socket) : socket_(socket) {}
  nl_sock* socket_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_ROUTE_DUMP_H_
