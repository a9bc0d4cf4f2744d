// The nftables netdev table that carries packets between the uplinks and the TUN device
// (ARCHITECTURE.md 8): at each uplink's ingress, packets for its address and the engine's ports are
// forwarded into the TUN; at the TUN's ingress, packets that the engine wrote are forwarded to the
// next hop on the uplink whose address they carry. ICMP errors that quote the engine's ports go
// into the TUN too. The table has `flags owner`: it dies with this process, also on kill -9.
#ifndef MPTCPTLS_TUN_STEERING_H_
#define MPTCPTLS_TUN_STEERING_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "stack/types.h"
#include "tun/uplinks.h"

namespace mptcptls {

// Contiguous ports [first, last], both included.
struct PortRange {
  uint16_t first = 0;
  uint16_t last = 0;
  auto operator<=>(const PortRange&) const = default;
};

// A listener as the wire sees it: unspecified address means every uplink address of that family.
struct SteeredListener {
  IpAddress address;
  uint16_t port = 0;
  auto operator<=>(const SteeredListener&) const = default;
};

class Steering {
 public:
  // The table is named "mptcptls_<pid>"; nothing is installed before the first Apply().
  static std::unique_ptr<Steering> Open(int tun_ifindex, const std::string& tun_name,
                                        std::string* error);
  virtual ~Steering() = default;

  // Brings the table to this state in one transaction (all or nothing; the old state stays on
  // failure). Incremental where only ports or listeners changed: sets are updated, rules are not
  // reloaded. Returns false and an error with cause and remedy on failure.
  virtual bool Apply(const std::vector<UplinkAddress>& uplinks,
                     const std::vector<NextHop>& next_hops,
                     const std::vector<PortRange>& source_ports,
                     const std::vector<SteeredListener>& listeners, std::string* error) = 0;

  // From the next Apply() on these are not steered, whatever port is: rules are reloaded when they
  // change.
  virtual void Spare(std::set<FourTuple> connections) = 0;

  // From the next Apply() on these are steered, though their port is not: connections that outlive
  // their listener. Whoever listens there next has all other packets, and all ICMP errors.
  virtual void Take(std::set<FourTuple> connections) = 0;

  // What stands on the host now, one line each, for `mptcptls status`.
  virtual std::vector<std::string> Describe() const = 0;
};

// Whether the namespace's firewall could drop input traffic, so that a captured listener would
// bypass it: an nftables base chain on the input hook (policy drop or any drop/reject verdict), or
// legacy iptables rules. Returns the reason for `status`, empty when there is none.
std::string InputFirewallReason();

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_STEERING_H_
