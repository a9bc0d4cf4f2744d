// Which neighbours on a link the kernel found not to answer. Asking for them (ARP, neighbour
// discovery) is its affair also for the packets that the engine sends (steering.h), but no ICMP
// error about those comes back to us: the packets are no socket's (rtnetlink(7), RTNLGRP_NEIGH).
#ifndef MPTCPTLS_TUN_NEIGHBOURS_H_
#define MPTCPTLS_TUN_NEIGHBOURS_H_

#include <memory>
#include <string>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

struct Neighbour {
  int ifindex = 0;
  IpAddress address;
  auto operator<=>(const Neighbour&) const = default;
};

class NeighbourMonitor {
 public:
  // Watches this network namespace. Null and an error where the kernel does not tell.
  static std::unique_ptr<NeighbourMonitor> Open(std::string* error);
  ~NeighbourMonitor();
  NeighbourMonitor(const NeighbourMonitor&) = delete;
  NeighbourMonitor& operator=(const NeighbourMonitor&) = delete;

  int fd() const { return fd_; }  // close-on-exec; readable when something happened
  // Those that were given up since the last call, the next few of them; after a flood of events
  // some are missing.
  std::vector<Neighbour> TakeFailed() const;

 private:
  explicit NeighbourMonitor(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_NEIGHBOURS_H_
