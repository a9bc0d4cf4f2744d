// Sequence numbers: 32-bit of a subflow (RFC 9293 3.4) and 64-bit of the data level (RFC
// 8684 3.3.1). Two types, so that they do not mix.
#ifndef MPTCPTLS_STACK_WIRE_SEQ_H_
#define MPTCPTLS_STACK_WIRE_SEQ_H_

#include <cstdint>

namespace mptcptls {

// Comparison is modulo 2^32: a < b when b lies in the half circle after a.
struct Seq {
  uint32_t value = 0;

  friend bool operator==(Seq a, Seq b) { return a.value == b.value; }
  friend bool operator!=(Seq a, Seq b) { return a.value != b.value; }
  friend bool operator<(Seq a, Seq b) { return static_cast<int32_t>(a.value - b.value) < 0; }
  friend bool operator>(Seq a, Seq b) { return b < a; }
  friend bool operator<=(Seq a, Seq b) { return !(b < a); }
  friend bool operator>=(Seq a, Seq b) { return !(a < b); }
  friend Seq operator+(Seq a, uint32_t bytes) { return {a.value + bytes}; }
  friend Seq operator-(Seq a, uint32_t bytes) { return {a.value - bytes}; }
  // Bytes from b to a; a must not be before b.
  friend uint32_t operator-(Seq a, Seq b) { return a.value - b.value; }
};

inline Seq Max(Seq a, Seq b) { return a < b ? b : a; }
inline Seq Min(Seq a, Seq b) { return b < a ? b : a; }

// A 32-bit DSN or Data ACK stands for the 64-bit number nearest to `reference` (RFC 8684 3.3.1).
inline uint64_t ExpandDsn(uint32_t low, uint64_t reference) {
  const auto difference = static_cast<int32_t>(low - static_cast<uint32_t>(reference));
  return reference + static_cast<uint64_t>(static_cast<int64_t>(difference));
}

// Data sequence numbers wrap too (IDSN is random): a < b modulo 2^64.
inline bool DsnBefore(uint64_t a, uint64_t b) { return static_cast<int64_t>(a - b) < 0; }

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_SEQ_H_
