// Payload that arrived ahead of rcv_nxt, and the SACK blocks that tell of it (RFC 2018 4). Bounded
// in bytes and pieces; offsets are 64-bit positions in the subflow's sequence space, so nothing
// wraps.
#ifndef MPTCPTLS_STACK_TCP_OUT_OF_ORDER_H_
#define MPTCPTLS_STACK_TCP_OUT_OF_ORDER_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "stack/buffer.h"
#include "stack/types.h"

namespace mptcptls {

class OutOfOrder {
 public:
  struct Range {
    uint64_t begin = 0, end = 0;
  };
  static constexpr size_t kMaxPieces = 8192;

  // `budget` (null: unlimited) outlives it.
  explicit OutOfOrder(EarlyBudget* budget = nullptr) : budget_(budget) {}
  ~OutOfOrder() { clear(); }
  OutOfOrder(const OutOfOrder&) = delete;
  OutOfOrder& operator=(const OutOfOrder&) = delete;

  bool empty() const { return pieces_.empty(); }
  size_t bytes() const { return bytes_; }
  // Keeps what is new of `payload` at `begin`. False when a bound kept some of it out.
  bool Insert(uint64_t begin, ByteSpan payload, size_t max_bytes);
  // The first part of [begin, end) that is there already.
  std::optional<Range> Covered(uint64_t begin, uint64_t end) const;
  // The piece at `next`, removed; empty when there is a hole. Bytes below `next` are cut off.
  std::vector<uint8_t> Take(uint64_t next);
  // Blocks to report, the one that changed last first; at most `max`, returned in `out`.
  size_t Blocks(size_t max, std::array<Range, 4>* out) const;
  void clear();

 private:
  static constexpr size_t kMaxRecent = 4;
  Range Around(uint64_t offset) const;  // the contiguous range that holds `offset`
  void Remember(uint64_t offset);

  EarlyBudget* budget_;
  std::map<uint64_t, std::vector<uint8_t>> pieces_;  // disjoint
  std::vector<uint64_t> recent_;                     // an offset in each block, newest first
  size_t bytes_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_OUT_OF_ORDER_H_
