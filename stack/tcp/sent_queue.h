// What was sent and is not acknowledged: ranges in sequence order, each as it was mapped, with what
// is known of its fate (RFC 2018 scoreboard, RFC 8985 times). Ranges are split where the peer's
// acknowledgements or a retransmission cut them.
#ifndef MPTCPTLS_STACK_TCP_SENT_QUEUE_H_
#define MPTCPTLS_STACK_TCP_SENT_QUEUE_H_

#include <cstdint>
#include <deque>

#include "stack/buffer.h"
#include "stack/tcp/subflow.h"
#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

struct SentRange {
  enum class Fate : uint8_t { kInFlight, kSacked, kLost };

  Seq begin;
  Payload payload;
  bool fin = false;  // the FIN: no payload, one sequence number
  bool push = false;
  Mapping mapping;  // of the whole segment that the bytes were first sent in
  Fate fate = Fate::kInFlight;
  Time sent_at{};            // of the last transmission
  uint32_t stamp = 0;        // its TSval (RFC 7323 3.2)
  uint32_t first_stamp = 0;  // of the first one
  int transmissions = 1;
  uint32_t packet = 0;     // size of the largest IP packet that its bytes were last sent in
  bool mtu_probe = false;  // that packet tries a larger path MTU (RFC 4821 7)

  uint32_t length() const { return static_cast<uint32_t>(payload.size()) + (fin ? 1 : 0); }
  Seq end() const { return begin + length(); }
};

class SentQueue {
 public:
  bool empty() const { return ranges_.empty(); }
  std::deque<SentRange>& ranges() { return ranges_; }
  const std::deque<SentRange>& ranges() const { return ranges_; }
  // Sequence numbers in the network: neither SACKed nor given up as lost.
  uint32_t in_flight() const { return in_flight_; }
  uint32_t lost() const { return lost_; }
  uint32_t sacked() const { return sacked_; }

  void Push(SentRange range);
  // Index of the range that begins at `seq`, split off where needed; size() when all lie before.
  size_t SplitAt(Seq seq);
  void SetFate(SentRange* range, SentRange::Fate fate);
  void PopFront();
  void clear();
  // The first lost range, null when there is none.
  SentRange* FirstLost();

 private:
  uint32_t* CountOf(SentRange::Fate fate);

  std::deque<SentRange> ranges_;
  uint32_t in_flight_ = 0, lost_ = 0, sacked_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_SENT_QUEUE_H_
