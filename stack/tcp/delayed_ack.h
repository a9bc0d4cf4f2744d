// When to acknowledge (RFC 9293 3.8.6.3, RFC 5681 4.2), as Linux does it: every second full segment
// at once; every one while the peer's window is small or something was lost or out of order (quick
// mode); else after a while that follows the intervals at which segments come, so that a short
// pause of the peer is not an ACK each. A conversation, where an answer will carry the ACK, is not
// quick.
#ifndef MPTCPTLS_STACK_TCP_DELAYED_ACK_H_
#define MPTCPTLS_STACK_TCP_DELAYED_ACK_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

class DelayedAck {
 public:
  static constexpr int kQuick = 16;                                  // TCP_MAX_QUICKACKS
  static constexpr Duration kLeast = std::chrono::milliseconds(40);  // TCP_DELACK_MIN, TCP_ATO_MIN
  static constexpr Duration kMost = std::chrono::milliseconds(200);  // TCP_DELACK_MAX
  static constexpr uint32_t kSmallestMss = 536;                      // RFC 9293 3.7.1

  // `most`: payload of the largest packet that the peer may send us.
  explicit DelayedAck(uint32_t most) : most_(most) {}

  // A segment with `bytes` of payload arrived, in order or not.
  void OnData(Time now, size_t bytes, bool push, Duration rto);
  // It was out of order, or nothing new: RFC 5681 4.2, and quick mode for what follows.
  void OnDisorder() {
    quick_ = kQuick;
    conversation_ = false;
    timeout_ = kLeast;
  }
  void OnDataSent(Time now) {
    if (last_ != kNever && now - last_ < timeout_) conversation_ = true;
  }
  void OnAckSent() { quick_ = std::max(quick_ - 1, 0); }
  // The delay ran out with nothing to send: it will be longer, or was no conversation.
  void OnTimer(Duration rto);

  // Whether `unacked` bytes in order are to be acknowledged now.
  bool AtOnce(uint32_t unacked) const {
    return unacked > segment_ || (quick_ > 0 && !conversation_ && unacked > 0);
  }
  // Else after this long. RFC 9293 3.8.6.3 allows half a second.
  Duration Wait(Duration srtt) const;
  // What a full segment of the peer's carries, as far as was seen.
  uint32_t segment() const { return segment_; }

 private:
  uint32_t most_;
  uint32_t segment_ = kSmallestMss;
  uint32_t last_size_ = 0;
  int quick_ = kQuick;
  bool conversation_ = false;
  Duration timeout_{0};
  Time last_ = kNever;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_DELAYED_ACK_H_
