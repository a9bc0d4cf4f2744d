// How much a connection may keep for a program that has not read it yet: dynamic right-sizing, as
// Linux's tcp_rcv_space_adjust(). Begins small; what the program reads in a round trip is what
// the peer's window can be no larger than, so twice as much is offered. What waits in reassembly
// does not count, nor what nobody reads. Grows only.
#ifndef MPTCPTLS_STACK_MPTCP_RECEIVE_TUNING_H_
#define MPTCPTLS_STACK_MPTCP_RECEIVE_TUNING_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "stack/types.h"

namespace mptcptls {

class ReceiveTuning {
 public:
  // About what Linux offers first; the field of a SYN, which is not scaled, holds one byte less.
  static constexpr size_t kFirst = 65536;

  explicit ReceiveTuning(size_t most) : most_(most), size_(std::min(kFirst, most)) {}

  size_t size() const { return size_; }
  // The program took `bytes`. `rtt`: the round trip as the receiver sees it; zero: not known.
  // `may_grow`: there is memory.
  void OnRead(Time now, size_t bytes, Duration rtt, bool may_grow);

 private:
  static constexpr size_t kSegment = 1460;

  void Grow(size_t read);

  size_t most_;
  size_t size_;
  Time since_ = kNever;
  size_t read_ = 0;                   // since then
  size_t most_read_ = 10 * kSegment;  // in any round trip: the initial window (RFC 6928)
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_RECEIVE_TUNING_H_
