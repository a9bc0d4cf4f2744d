// Whether a short segment at the end of what was written may leave: Nagle's algorithm (RFC 9293
// 3.7.4) in Minshall's variation, as in Linux: it waits while another *short* segment is
// unacknowledged, so that a full one followed by a short one never does. TCP_CORK, and MSG_MORE for
// the bytes written with it: it waits for more, for 200 ms at most (tcp(7), send(2)).
//
// At the data level, where the order of bytes is: an acknowledgement is the Data ACK's.
#ifndef MPTCPTLS_STACK_MPTCP_NAGLE_H_
#define MPTCPTLS_STACK_MPTCP_NAGLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

class Nagle {
 public:
  static constexpr Duration kCorked = std::chrono::milliseconds(200);

  void Set(bool no_delay, bool cork) {
    no_delay_ = no_delay;
    cork_ = cork;
  }
  // MSG_MORE, of what was written last. The next acknowledgement ends it, as in Linux: only the
  // call itself knows the flag.
  void SetMore(bool more) { more_ = more; }
  bool more() const { return more_; }
  // What was written below `tail` leaves at once, whatever the options say.
  void Flush(uint64_t tail) { flushed_ = std::max(flushed_, tail); }

  enum class Wait : uint8_t { kNo, kForAck, kForMore };
  // About the bytes below `tail`, the end of what was written, where the last ones fill no segment.
  Wait OfShort(uint64_t tail, uint64_t una) const {
    if (tail <= flushed_) return Wait::kNo;
    if (cork_ || more_) return Wait::kForMore;
    return !no_delay_ && short_end_ > una ? Wait::kForAck : Wait::kNo;
  }
  void SentShort(uint64_t end) { short_end_ = std::max(short_end_, end); }

 private:
  bool no_delay_ = false, cork_ = false, more_ = false;
  uint64_t short_end_ = 0;  // of the last short segment sent
  uint64_t flushed_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_NAGLE_H_
