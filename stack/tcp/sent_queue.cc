#include "stack/tcp/sent_queue.h"

#include <algorithm>

namespace mptcptls {

uint32_t* SentQueue::CountOf(SentRange::Fate fate) {
  switch (fate) {
    case SentRange::Fate::kSacked:
      return &sacked_;
    case SentRange::Fate::kLost:
      return &lost_;
    default:
      return &in_flight_;
  }
}

void SentQueue::Push(SentRange range) {
  *CountOf(range.fate) += range.length();
  ranges_.push_back(std::move(range));
}

size_t SentQueue::SplitAt(Seq seq) {
  const auto found = std::partition_point(ranges_.begin(), ranges_.end(),
                                          [seq](const SentRange& r) { return r.end() <= seq; });
  const auto index = static_cast<size_t>(found - ranges_.begin());
  if (found == ranges_.end() || found->begin >= seq) return index;
  SentRange tail = *found;
  const uint32_t cut = seq - found->begin;
  tail.begin = seq;
  tail.payload = found->payload.Slice(cut, found->payload.size() - cut);
  found->payload = found->payload.Slice(0, cut);
  found->push = false;
  ranges_.insert(found + 1, std::move(tail));
  return index + 1;
}

void SentQueue::SetFate(SentRange* range, SentRange::Fate fate) {
  *CountOf(range->fate) -= range->length();
  *CountOf(fate) += range->length();
  range->fate = fate;
}

void SentQueue::PopFront() {
  *CountOf(ranges_.front().fate) -= ranges_.front().length();
  ranges_.pop_front();
}

void SentQueue::clear() {
  ranges_.clear();
  in_flight_ = lost_ = sacked_ = 0;
}

SentRange* SentQueue::FirstLost() {
  if (lost_ == 0) return nullptr;
  const auto found = std::ranges::find(ranges_, SentRange::Fate::kLost, &SentRange::fate);
  return found == ranges_.end() ? nullptr : &*found;
}

}  // namespace mptcptls
