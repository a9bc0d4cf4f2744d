// Which neighbours on a link the kernel found not to answer. Asking for them (ARP, neighbour
// discovery) is its affair also for the packets that the engine sends (steering.h), but no ICMP
// error about those comes back to us: the packets are no socket's (rtnetlink(7), RTNLGRP_NEIGH).
// Not those that were known and are no longer (gone from a cable, or deleted): the kernel tells its
// own sockets nothing of these, asks anew, and may find them elsewhere.
#ifndef MPTCPTLS_TUN_NEIGHBOURS_H_
#define MPTCPTLS_TUN_NEIGHBOURS_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "stack/types.h"

struct nlmsghdr;

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
  // Those that were asked for and given up since the last call, the next few of them; after a flood
  // of events some are missing.
  std::vector<Neighbour> TakeFailed();

 private:
  explicit NeighbourMonitor(int fd) : fd_(fd) {}
  void Read(const nlmsghdr* message, std::vector<Neighbour>* failed);

  int fd_;
  std::set<Neighbour> known_;  // as many as the kernel's table has (gc_thresh3)
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_NEIGHBOURS_H_
