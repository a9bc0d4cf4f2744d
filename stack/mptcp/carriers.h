// Which path carries which of the bytes that have no Data ACK: the one that they were last sent on.
#ifndef MPTCPTLS_STACK_MPTCP_CARRIERS_H_
#define MPTCPTLS_STACK_MPTCP_CARRIERS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace mptcptls {

class Carriers {
 public:
  struct Range {
    uint64_t begin = 0, end = 0;  // stream offsets
    uint32_t path = 0;            // PathView::id
  };

  bool empty() const { return ranges_.empty(); }
  // In order, without gap or overlap; neighbours are on different paths.
  const std::deque<Range>& ranges() const { return ranges_; }

  // [begin, end) went out on `path`: new bytes, which begin where the last ones end, or some again.
  void Sent(uint64_t begin, uint64_t end, uint32_t path);
  void RemoveBelow(uint64_t offset);
  // That they are exactly [begin, end); empty is right.
  std::string CheckInvariants(uint64_t begin, uint64_t end) const;

 private:
  void Cut(uint64_t at);  // so that a range begins there, if one covers it
  void Merge(size_t index);

  std::deque<Range> ranges_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_CARRIERS_H_
