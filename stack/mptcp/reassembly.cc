#include "stack/mptcp/reassembly.h"

#include <algorithm>
#include <iterator>

namespace mptcptls {

Reassembly::Result Reassembly::Insert(uint64_t offset, ByteSpan bytes, uint64_t limit,
                                      const std::function<void(ByteSpan)>& deliver) {
  Result result;
  if (offset + bytes.size() > limit) {
    const uint64_t keep = limit > offset ? limit - offset : 0;
    result.beyond = bytes.size() - keep;
    bytes = bytes.first(keep);
  }
  if (offset < next_) {
    const size_t old = std::min<uint64_t>(next_ - offset, bytes.size());
    result.duplicate += old;
    bytes = bytes.subspan(old);
    offset += old;
  }
  if (bytes.empty()) return result;
  if (offset > next_) {
    Store(offset, bytes, &result);
    return result;
  }
  next_ += bytes.size();  // nothing is copied
  deliver(bytes);
  Drain(deliver, &result);
  return result;
}

Reassembly::~Reassembly() {
  for (const auto& [offset, bytes] : early_) budget_->Return(bytes.size() + EarlyBudget::kPerPiece);
}

// Keeps the parts of [offset, offset + size) that are not held yet.
void Reassembly::Store(uint64_t offset, ByteSpan bytes, Result* result) {
  auto it = early_.upper_bound(offset);
  if (it != early_.begin()) {
    const auto before = std::prev(it);
    const uint64_t end = before->first + before->second.size();
    if (end > offset) {
      const size_t old = std::min<uint64_t>(end - offset, bytes.size());
      result->duplicate += old;
      bytes = bytes.subspan(old);
      offset += old;
    }
  }
  while (!bytes.empty()) {
    const uint64_t gap =
        it == early_.end() ? bytes.size() : std::min<uint64_t>(it->first - offset, bytes.size());
    if (gap > 0) {
      if (!Keep(it, offset, bytes.first(gap))) {
        result->beyond += bytes.size();
        return;
      }
      bytes = bytes.subspan(gap);
      offset += gap;
    }
    if (bytes.empty()) return;
    const size_t old = std::min(it->second.size(), bytes.size());
    result->duplicate += old;
    bytes = bytes.subspan(old);
    offset += old;
    ++it;
  }
}

// Bytes that nothing overlaps, before `next`; at the end of the piece before them where they follow
// it, as what one path brings while another one is waited for.
bool Reassembly::Keep(Pieces::iterator next, uint64_t offset, ByteSpan bytes) {
  if (next != early_.begin()) {
    auto& [begin, piece] = *std::prev(next);
    if (begin + piece.size() == offset && piece.size() + bytes.size() <= kMaxPiece) {
      if (!budget_->Take(bytes.size())) return false;
      piece.insert(piece.end(), bytes.begin(), bytes.end());
      waiting_ += bytes.size();
      return true;
    }
  }
  if (early_.size() >= kMaxPieces || !budget_->Take(bytes.size() + EarlyBudget::kPerPiece)) {
    return false;
  }
  early_.emplace_hint(next, offset, std::vector<uint8_t>(bytes.begin(), bytes.end()));
  waiting_ += bytes.size();
  return true;
}

// What may be delivered now, without what was delivered already.
void Reassembly::Drain(const std::function<void(ByteSpan)>& deliver, Result* result) {
  while (!early_.empty() && early_.begin()->first <= next_) {
    const auto piece = early_.extract(early_.begin());
    const ByteSpan bytes = piece.mapped();
    waiting_ -= bytes.size();
    budget_->Return(bytes.size() + EarlyBudget::kPerPiece);
    const size_t old = std::min<uint64_t>(next_ - piece.key(), bytes.size());
    result->duplicate += old;
    next_ += bytes.size() - old;
    if (old < bytes.size()) deliver(bytes.subspan(old));
  }
}

}  // namespace mptcptls
