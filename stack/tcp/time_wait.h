// TIME-WAIT (RFC 9293 3.6.1): how many subflows may be in it, and which SYN ends it (RFC 6191).
#ifndef MPTCPTLS_STACK_TCP_TIME_WAIT_H_
#define MPTCPTLS_STACK_TCP_TIME_WAIT_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "stack/wire/segment.h"

namespace mptcptls {

// Shared by all subflows of a host. Beyond the limit a subflow leaves TIME-WAIT at once, as Linux
// does beyond net.ipv4.tcp_max_tw_buckets.
struct TimeWaitBudget {
  size_t limit = 0;
  size_t used = 0;
};

// What the ended connection knows of its peer.
struct TimeWaitPeer {
  Seq rcv_nxt;
  std::optional<uint32_t> ts_recent;  // with timestamps
};

// RFC 6191 2: a later timestamp proves a new connection, or else a sequence number above all that
// were used. Anything else may be an old duplicate.
bool OpensAnew(const TimeWaitPeer& peer, const Segment& syn);

// RFC 9293 3.10.7.4: the new connection begins above the old one's sequence numbers. As Linux: by
// more than a window without scale.
inline Seq IssAfter(Seq snd_nxt) { return snd_nxt + 65535 + 2; }

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_TIME_WAIT_H_
