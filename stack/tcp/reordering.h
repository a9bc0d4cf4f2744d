// How long an overtaken segment is waited for before it counts as lost (RFC 8985 6.2, steps 2 and
// 4). The RFC widens the window by a quarter of min_rtt for each round trip with a DSACK, up to
// srtt. That is too little where packets come later than a whole round trip, so lateness is also
// measured, by what was sent again for nothing: from a segment's transmission to the
// acknowledgement of that one (Eifel's time stamps tell), or, where its copy came first, to the
// DSACK, as far as it is more than the round trip of the packets around it. (Without time stamps
// the DSACK may be the copy's; then it is less late than it seems.)
#ifndef MPTCPTLS_STACK_TCP_REORDERING_H_
#define MPTCPTLS_STACK_TCP_REORDERING_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

class Reordering {
 public:
  // A recovery was for nothing.
  void OnSeen() { seen_ = true; }
  // A segment was delivered after one that was sent later, as much later than that one took.
  void OnOvertaken(Duration late);
  bool seen() const { return seen_; }
  // The most by which one was overtaken since the recovery before the last one began.
  Duration extent() const { return std::max(extent_, extent_before_); }
  // [begin, end) was overtaken and is about to be sent for the second time.
  void OnRetransmit(Seq begin, Seq end, Time first_sent);
  // And another time: of three, a DSACK does not tell which two arrived.
  void OnRetransmitAgain(Seq begin, Seq end);
  // The transmission before the last one of [begin, end) arrived, so much later than others.
  void OnOriginal(Duration late, Seq begin, Seq end);
  // The peer got [begin, end) twice, now, when a round trip takes `rtt`; our snd_una and snd_nxt
  // tell one round trip from the next.
  void OnDuplicate(Time now, Duration rtt, Seq begin, Seq end, Seq snd_una, Seq snd_nxt);
  // The window stays wide for sixteen recoveries after the last DSACK.
  void OnRecovery();
  // Never above `most`, or srtt if that is more: what is lost for good has to be found before the
  // retransmission timer does.
  Duration Window(Duration srtt, Duration min_rtt, Duration most) const;

 private:
  struct Sent {
    Seq begin, end;
    Time first_sent{};
  };
  // What is remembered of [begin, end), once.
  std::optional<Sent> Take(Seq begin, Seq end);

  bool seen_ = false;
  uint32_t multiplier_ = 1;                // of min_rtt / 4
  int persists_ = 0;                       // recoveries for which it does
  Duration extent_{0}, extent_before_{0};  // since the last recovery began, and before it
  Duration latest_{0};  // the most that a segment was late which was taken for lost
  Seq round_end_;
  std::array<Sent, 64> sent_{};  // the last retransmissions, in a ring
  size_t next_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_REORDERING_H_
