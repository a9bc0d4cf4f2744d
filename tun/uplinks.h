// Uplinks of this host, found from its own configuration over netlink (ARCHITECTURE.md 12): an
// uplink is an interface that is up with carrier, not loopback, not our TUN, with a global,
// non-tentative address. Container bridges (docker0, br-*, virbr*, veth ends that are enslaved to a
// bridge) only if configured.
#ifndef MPTCPTLS_TUN_UPLINKS_H_
#define MPTCPTLS_TUN_UPLINKS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stack/types.h"
#include "tun/neighbours.h"

namespace mptcptls {

struct UplinkAddress {
  int ifindex = 0;
  std::string ifname;
  IpAddress address;
  uint8_t prefix_length = 0;
  uint32_t mtu = 1500;
  bool running = true;  // admin up and carrier
};

// One entry of the FIB as the steering table needs it: destination prefix on an uplink and the next
// hop (nullopt: on-link). Most specific prefix and lowest metric win, as in the kernel.
struct NextHop {
  int ifindex = 0;
  IpAddress prefix;
  uint8_t prefix_length = 0;
  std::optional<IpAddress> gateway;
  uint32_t metric = 0;
  std::optional<uint32_t> mtu;  // route's own MTU, where set
};

class UplinkMonitor {
 public:
  struct Options {
    int exclude_ifindex = 0;                    // the TUN device
    std::vector<std::string> extra_interfaces;  // bridges to use all the same
  };
  // Opens netlink sockets (close-on-exec) and reads the present state. Null + error on failure.
  static std::unique_ptr<UplinkMonitor> Open(const Options& options, std::string* error);
  virtual ~UplinkMonitor() = default;

  virtual int fd() const = 0;  // readable when something changed
  // Takes in pending events. True when addresses, links or routes differ from before: the owner
  // then rebuilds steering and tells the stack. Overruns (ENOBUFS) end in a full re-read.
  virtual bool Process() = 0;

  virtual const std::vector<UplinkAddress>& addresses() const = 0;
  virtual const std::vector<NextHop>& next_hops() const = 0;

  // Path MTU of the route from `local` (an uplink address) to `remote` on that uplink, by longest
  // prefix over next_hops() (which the kernel's FIB filled, so no on-link route is invented);
  // nullopt: no route.
  virtual std::optional<uint32_t> RouteMtu(const IpAddress& local,
                                           const IpAddress& remote) const = 0;

  // Whom a packet from `local` to `remote` is handed to on that uplink; nullopt: no route.
  virtual std::optional<Neighbour> NextHopTo(const IpAddress& local,
                                             const IpAddress& remote) const = 0;

  // The local address the kernel itself would use towards `remote` (RTM_GETROUTE with
  // RTM_F_FIB_MATCH, no oif); nullopt when unreachable. Also used when `ip rule` has more than the
  // defaults: an uplink is then used only where this chooses it (ARCHITECTURE.md 8).
  virtual std::optional<IpAddress> PreferredSource(const IpAddress& remote) const = 0;

  virtual bool IsLocalAddress(const IpAddress& address) const = 0;  // any address of this host
  virtual bool HasPolicyRouting() const = 0;  // more ip rules than the defaults
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_UPLINKS_H_
