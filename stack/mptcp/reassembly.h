// The data level's receive queue: bytes that arrived ahead of the stream's next offset, over all
// subflows (RFC 8684 3.3.1). Bounded by what the owner advertised, in pieces, and by the memory for
// all connections; overlaps are cut, so every byte is delivered once. What is in order is never
// refused.
#ifndef MPTCPTLS_STACK_MPTCP_REASSEMBLY_H_
#define MPTCPTLS_STACK_MPTCP_REASSEMBLY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "stack/buffer.h"
#include "stack/types.h"

namespace mptcptls {

class Reassembly {
 public:
  static constexpr size_t kMaxPieces = 8192;
  static constexpr size_t kMaxPiece = 16 << 10;  // bytes, of what came bit by bit

  // `budget` outlives it.
  explicit Reassembly(EarlyBudget* budget) : budget_(budget) {}
  ~Reassembly();
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;

  uint64_t next() const { return next_; }
  size_t waiting() const { return waiting_; }

  struct Result {
    size_t duplicate = 0;  // bytes seen before
    size_t beyond = 0;     // bytes refused: past `limit`, or no memory
  };
  // Takes bytes of the stream at `offset`; those past `limit` (an offset) are refused. Whatever is
  // in order now goes to `deliver`, piece by piece, straight from `bytes` where possible.
  Result Insert(uint64_t offset, ByteSpan bytes, uint64_t limit,
                const std::function<void(ByteSpan)>& deliver);

 private:
  using Pieces = std::map<uint64_t, std::vector<uint8_t>>;

  void Store(uint64_t offset, ByteSpan bytes, Result* result);
  bool Keep(Pieces::iterator next, uint64_t offset, ByteSpan bytes);
  void Drain(const std::function<void(ByteSpan)>& deliver, Result* result);

  EarlyBudget* budget_;
  uint64_t next_ = 0;
  size_t waiting_ = 0;
  Pieces early_;  // disjoint, by offset
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_REASSEMBLY_H_
