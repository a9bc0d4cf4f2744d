// What the subflows of one connection tell one another for coupled congestion control (RFC 6356):
// windows, round trip times, and how far apart losses are. It knows subflows only, no connection.
#ifndef MPTCPTLS_STACK_TCP_CONGESTION_GROUP_H_
#define MPTCPTLS_STACK_TCP_CONGESTION_GROUP_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

// Owned by the connection, which outlives its subflows. Members are visited in the order in which
// they joined, so that sums of floating point numbers are the same in every run.
class CongestionGroup {
 public:
  // One subflow, owned by its congestion control (coupled.h).
  struct Member {
    bool counts = false;  // something arrived since it was last silent
    Time heard{};         // when
    double window = 0;    // bytes; ssthresh while it is reduced packet by packet
    double rtt = 0;       // smoothed, in seconds; > 0 where it counts
    // Bytes that arrived between the last two losses, and since the last one (OLIA's l1 and l2).
    uint64_t between_losses = 0, since_loss = 0;

    double rate() const { return window / rtt; }  // bytes a second
    double loss_distance() const {
      return static_cast<double>(std::max(between_losses, since_loss));
    }
  };

  // `member` stays where it is until it leaves.
  void Join(const Member* member) { members_.push_back(member); }
  void Leave(const Member* member) { std::erase(members_, member); }

  // Those that `self` shares the network with: it itself, and whoever was heard of lately. The
  // window of the others says nothing (RFC 5681 4.1), and to leave room for it would make the
  // connection slower than TCP (RFC 6356 2, goal 1).
  template <typename Visit>
  void ForEach(const Member& self, Visit visit) const {
    for (const Member* m : members_) {
      if (m->counts && m->heard + Patience(*m) >= self.heard) visit(*m);
    }
  }

 private:
  // About the retransmission timeout after which a window is forgotten (RFC 6298 2.4: a second).
  static Duration Patience(const Member& member) {
    const auto rtt =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(member.rtt));
    return std::max<Duration>(std::chrono::seconds(1), 2 * rtt);
  }

  std::vector<const Member*> members_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_CONGESTION_GROUP_H_
