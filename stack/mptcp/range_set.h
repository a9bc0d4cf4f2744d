// A set of disjoint half-open ranges of 64-bit stream offsets, merged where they touch.
#ifndef MPTCPTLS_STACK_MPTCP_RANGE_SET_H_
#define MPTCPTLS_STACK_MPTCP_RANGE_SET_H_

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

namespace mptcptls {

class RangeSet {
 public:
  bool empty() const { return ranges_.empty(); }
  size_t count() const { return ranges_.size(); }
  // The lowest range [first, second).
  std::pair<uint64_t, uint64_t> front() const { return *ranges_.begin(); }

  void Add(uint64_t begin, uint64_t end) {
    if (begin >= end) return;
    auto it = ranges_.upper_bound(begin);
    if (it != ranges_.begin() && std::prev(it)->second >= begin) --it;
    while (it != ranges_.end() && it->first <= end) {
      begin = std::min(begin, it->first);
      end = std::max(end, it->second);
      it = ranges_.erase(it);
    }
    ranges_.emplace(begin, end);
  }

  void RemoveBelow(uint64_t offset) {
    while (!ranges_.empty() && ranges_.begin()->first < offset) {
      const uint64_t end = ranges_.begin()->second;
      ranges_.erase(ranges_.begin());
      if (end > offset) ranges_.emplace(offset, end);
    }
  }

  void clear() { ranges_.clear(); }

 private:
  std::map<uint64_t, uint64_t> ranges_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_RANGE_SET_H_
