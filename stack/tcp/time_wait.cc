#include "stack/tcp/time_wait.h"

namespace mptcptls {

bool OpensAnew(const TimeWaitPeer& peer, const Segment& syn) {
  if (!syn.syn || syn.has_ack || syn.rst) return false;
  const bool above = syn.seq > peer.rcv_nxt;
  if (!peer.ts_recent || !syn.options.timestamps) return above;
  // Timestamps compare modulo 2^32 (RFC 7323 5.2).
  const auto later = static_cast<int32_t>(syn.options.timestamps->value - *peer.ts_recent);
  return later > 0 || (later == 0 && above);
}

}  // namespace mptcptls
