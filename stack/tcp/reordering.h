// How long an overtaken segment is waited for before it counts as lost (RFC 8985 6.2, steps 2 and
// 4). The RFC widens the window by a quarter of min_rtt for each round trip with a DSACK, up to
// srtt. That is too little where packets come later than a whole round trip, so lateness is also
// measured, by what was sent again for nothing: from a segment's first transmission to the
// acknowledgement of that one (Eifel's time stamps tell), or, where its copy came first, to the
// DSACK. (Without time stamps the DSACK may be the copy's; then it is less late than it seems.)
#ifndef MPTCPTLS_STACK_TCP_REORDERING_H_
#define MPTCPTLS_STACK_TCP_REORDERING_H_

#include <array>
#include <cstdint>

#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

class Reordering {
 public:
  // A segment was delivered after one that was sent later, or a recovery was for nothing.
  void OnSeen() { seen_ = true; }
  bool seen() const { return seen_; }
  // [begin, end) was overtaken and is about to be sent for the second time.
  void OnRetransmit(Seq begin, Seq end, Time first_sent);
  // Its first transmission arrived, before the second.
  void OnOriginal(Time now, Seq begin, Seq end);
  // The peer got [begin, end) twice; our snd_una and snd_nxt tell one round trip from the next.
  void OnDuplicate(Time now, Seq begin, Seq end, Seq snd_una, Seq snd_nxt);
  // The window stays wide for sixteen recoveries after the last DSACK.
  void OnRecovery();
  // Never above `most`, or srtt if that is more: what is lost for good has to be found before the
  // retransmission timer does.
  Duration Window(Duration srtt, Duration min_rtt, Duration most) const;

 private:
  bool Measure(Time now, Seq begin, Seq end);

  struct Sent {
    Seq begin, end;
    Time first_sent{};
  };

  bool seen_ = false;
  uint32_t multiplier_ = 1;  // of min_rtt / 4
  int persists_ = 0;         // recoveries for which it does
  Duration latest_{0};       // the longest that a segment took which was taken for lost
  Seq round_end_;
  std::array<Sent, 64> sent_{};  // the last retransmissions, in a ring
  size_t next_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_REORDERING_H_
