// Received mappings of one subflow (RFC 8684 3.3.1): which stream offset the bytes at a subflow
// sequence number have. The same mapping may come on many segments (a large one that was cut), and
// its bytes in any pieces, but always in subflow order.
#ifndef MPTCPTLS_STACK_MPTCP_MAPPING_QUEUE_H_
#define MPTCPTLS_STACK_MPTCP_MAPPING_QUEUE_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

struct ReceivedMapping {
  Seq ssn;              // relative subflow sequence number of the first byte
  uint16_t length = 0;  // payload bytes
  uint64_t dsn = 0;
  bool data_fin = false;  // one more at the end, in what the checksum covers
  std::optional<uint16_t> checksum;
  std::vector<uint8_t>
      held;  // with checksums: the bytes so far, delivered only when the sum is right
};

class MappingQueue {
 public:
  static constexpr size_t kMaxMappings = 16384;

  enum class Added : uint8_t { kNew, kKnown, kOld, kContradiction, kFull };
  // `next` is the subflow sequence number expected next: mappings wholly before it are old.
  Added Add(ReceivedMapping mapping, Seq next);
  // The mapping that covers `ssn`; drops those wholly before it. Null: none.
  ReceivedMapping* Find(Seq ssn);
  bool empty() const { return mappings_.empty(); }
  // The one whose bytes are held; null: none.
  ReceivedMapping* Held();

 private:
  std::deque<ReceivedMapping> mappings_;  // by ssn, disjoint
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_MAPPING_QUEUE_H_
