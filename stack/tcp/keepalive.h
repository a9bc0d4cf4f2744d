// How long a silent peer is borne: keepalive (RFC 9293 3.8.4) and the user timeout (RFC 5482), as
// the program's socket options ask. The rules are Linux's, which programs are written for:
// - A probe leaves when nothing was heard for `idle`, then one each `interval`. After `probes` of
//   them without an answer the subflow is over; with a user timeout, when that has passed instead.
// - The user timeout bounds how long data (or a SYN) stays unacknowledged, and for how long a
//   closed window is probed, also when the peer answers the probes. It then replaces the count of
//   retransmissions.
// The user timeout is this side's alone: the UTO option of RFC 5482 3 is neither sent nor obeyed
// (the RFC leaves both to the user; no kernel does it).
#ifndef MPTCPTLS_STACK_TCP_KEEPALIVE_H_
#define MPTCPTLS_STACK_TCP_KEEPALIVE_H_

#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

struct Patience {
  bool keepalive = false;                        // SO_KEEPALIVE
  Duration idle = std::chrono::hours(2);         // TCP_KEEPIDLE; RFC 9293 3.8.4: at least this
  Duration interval = std::chrono::seconds(75);  // TCP_KEEPINTVL
  int probes = 9;                                // TCP_KEEPCNT
  Duration user_timeout{0};                      // TCP_USER_TIMEOUT; 0: none
  bool operator==(const Patience&) const = default;
};

class Keepalive {
 public:
  struct Step {
    bool probe = false, give_up = false;
    Time next = kNever;  // when to look again
  };
  // `heard`: when the peer last said something; `outstanding`: something of ours is unacknowledged,
  // so that its retransmissions find out.
  Step Look(Time now, const Patience& patience, Time heard, bool outstanding);

 private:
  Time probed_{};
  int unanswered_ = 0;
};

// Since when the same byte is unacknowledged. Told whenever the retransmission timer is armed.
class UserTimeout {
 public:
  void OnArmed(Time now, Seq una) {
    if (waits_ && una == una_) return;
    waits_ = true;
    una_ = una;
    since_ = now;
  }
  // While `una` is outstanding; kNever without a user timeout.
  Time Deadline(Seq una, const Patience& patience) const {
    if (!waits_ || una != una_ || patience.user_timeout <= Duration::zero()) return kNever;
    return since_ + patience.user_timeout;
  }

 private:
  bool waits_ = false;
  Seq una_;
  Time since_{};
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_KEEPALIVE_H_
