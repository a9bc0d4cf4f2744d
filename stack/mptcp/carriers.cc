#include "stack/mptcp/carriers.h"

#include <algorithm>

namespace mptcptls {
namespace {

// The first range that ends beyond `offset`.
auto Covering(std::deque<Carriers::Range>& ranges, uint64_t offset) {
  return std::ranges::upper_bound(ranges, offset, {}, &Carriers::Range::end);
}

}  // namespace

void Carriers::Cut(uint64_t at) {
  const auto it = Covering(ranges_, at);
  if (it == ranges_.end() || it->begin >= at) return;
  const Range before{it->begin, at, it->path};
  it->begin = at;
  ranges_.insert(it, before);
}

// With the one before it.
void Carriers::Merge(size_t index) {
  if (index == 0 || index >= ranges_.size()) return;
  Range& before = ranges_[index - 1];
  const Range& range = ranges_[index];
  if (before.path != range.path || before.end != range.begin) return;
  before.end = range.end;
  ranges_.erase(ranges_.begin() + static_cast<std::ptrdiff_t>(index));
}

void Carriers::Sent(uint64_t begin, uint64_t end, uint32_t path) {
  if (begin >= end) return;
  if (ranges_.empty() || begin >= ranges_.back().end) {
    ranges_.push_back({begin, end, path});
    return Merge(ranges_.size() - 1);
  }
  Cut(begin);
  Cut(end);
  const auto first = Covering(ranges_, begin);
  const auto last = std::ranges::lower_bound(ranges_, end, {}, &Range::begin);
  const auto at = static_cast<size_t>(first - ranges_.begin());
  *first = {begin, end, path};
  ranges_.erase(first + 1, last);
  Merge(at + 1);
  Merge(at);
}

void Carriers::RemoveBelow(uint64_t offset) {
  while (!ranges_.empty() && ranges_.front().end <= offset) ranges_.pop_front();
  if (!ranges_.empty()) ranges_.front().begin = std::max(ranges_.front().begin, offset);
}

std::string Carriers::CheckInvariants(uint64_t begin, uint64_t end) const {
  for (const Range& range : ranges_) {
    if (range.begin != begin || range.end <= range.begin) {
      return "the carriers have a gap before " + std::to_string(range.begin);
    }
    begin = range.end;
  }
  return begin == end ? "" : "the carriers end at " + std::to_string(begin);
}

}  // namespace mptcptls
