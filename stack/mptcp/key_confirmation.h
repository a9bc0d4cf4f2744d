// NEW_KEY (PROTOCOL.md 8): a host says that it holds the key, by a tag that only the key makes,
// until it has heard the same from its peer. So the initiator knows when a join will be answered at
// once, and both learn of different keys before any join fails. A peer that does not know the
// option ignores it, and nothing waits for it unless that destination was seen to say it before.
#ifndef MPTCPTLS_STACK_MPTCP_KEY_CONFIRMATION_H_
#define MPTCPTLS_STACK_MPTCP_KEY_CONFIRMATION_H_

#include <cstdint>
#include <optional>

#include "stack/mptcp/connection.h"
#include "stack/types.h"
#include "stack/wire/mptcp_options.h"

namespace mptcptls {

class KeyConfirmation {
 public:
  // Our key is there. `expected`: the peer will say NEW_KEY, so joins wait for it.
  void Begin(Time now, bool expected);
  // It is time to say so.
  bool due(Time now) const { return next_ <= now; }
  Time next() const { return next_; }
  void OnSaid(Time now);
  // There was no room beside the rest.
  void OnNoRoom(Time now);
  // The peer's tag came, and is the one that our key makes, or not. A wrong one counts until a
  // right one comes: anybody on the path can send one.
  void OnHeard(Time now, bool right);
  // The key is none any more: nothing is left to be said.
  void End() { next_ = kNever; }
  PeerKey peer() const { return peer_; }
  // Until when joins wait for the peer's; not at all is the past.
  Time patience() const { return peer_ == PeerKey::kUnknown ? patience_ : Time{}; }

  // The peer's tag, come before our key.
  std::optional<NewKey> early;

 private:
  PeerKey peer_ = PeerKey::kUnknown;
  Time next_ = kNever, patience_{};
  int said_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_KEY_CONFIRMATION_H_
