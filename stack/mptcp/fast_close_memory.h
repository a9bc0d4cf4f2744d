// What the subflows of connections that this host broke off said last (RFC 8684 3.5). A RST that
// comes before data which was lost is not in sequence: the peer asks by a challenge ACK (RFC 5961
// 3.2), and must be told MP_FASTCLOSE again. A plain RST would end that subflow alone, and leave
// its connection open until a timeout. Bounded, each with its expiry: the oldest goes first, and
// its key or tag is wiped.
#ifndef MPTCPTLS_STACK_MPTCP_FAST_CLOSE_MEMORY_H_
#define MPTCPTLS_STACK_MPTCP_FAST_CLOSE_MEMORY_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "stack/mptcp/crypto.h"
#include "stack/timer.h"
#include "stack/types.h"
#include "stack/wire/mptcp_options.h"

namespace mptcptls {

class FastCloseMemory {
 public:
  static constexpr size_t kMaxEntries = 1024;
  // Longer than a challenge ACK takes; data that was under way asks again within an RTO.
  static constexpr Duration kLifetime = std::chrono::seconds(10);

  explicit FastCloseMemory(TimerQueue* timers);

  void Remember(Time now, const FourTuple& tuple, const FastClose& option);
  // nullopt: nothing, or not any more.
  std::optional<FastClose> Find(const FourTuple& tuple) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Key key;  // or tag; a Key because that is wiped when it goes
    Time expires = kNever;
  };

  void ForgetOldest();
  void Expire(Time now);

  absl::flat_hash_map<FourTuple, Entry> entries_;  // looked up, never walked
  // In order of expiry. One whose tuple has been told again is no entry any more.
  std::deque<std::pair<Time, FourTuple>> order_;
  Timer timer_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_FAST_CLOSE_MEMORY_H_
