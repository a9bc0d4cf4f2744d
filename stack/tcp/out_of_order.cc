#include "stack/tcp/out_of_order.h"

#include <algorithm>

namespace mptcptls {

bool OutOfOrder::Insert(uint64_t begin, ByteSpan payload, size_t max_bytes) {
  const uint64_t end = begin + payload.size();
  bool complete = true, changed = false;
  uint64_t at = begin;
  while (at < end) {
    // Skip what is there already.
    auto next = pieces_.upper_bound(at);
    if (next != pieces_.begin()) {
      const auto before = std::prev(next);
      const uint64_t covered = before->first + before->second.size();
      if (covered > at) {
        at = covered;
        continue;
      }
    }
    const uint64_t stop = next == pieces_.end() ? end : std::min(end, next->first);
    const size_t size = static_cast<size_t>(stop - at);
    if (bytes_ + size > max_bytes || pieces_.size() >= kMaxPieces) {
      complete = false;
      break;
    }
    // A run of packets grows one piece, so that there are about as many pieces as holes.
    const bool grows =
        next != pieces_.begin() && std::prev(next)->first + std::prev(next)->second.size() == at;
    if (budget_ != nullptr && !budget_->Take(size + (grows ? 0 : EarlyBudget::kPerPiece))) {
      complete = false;
      break;
    }
    const ByteSpan fresh = payload.subspan(static_cast<size_t>(at - begin), size);
    if (grows) {
      std::vector<uint8_t>& piece = std::prev(next)->second;
      piece.insert(piece.end(), fresh.begin(), fresh.end());
    } else {
      pieces_.emplace_hint(next, at, std::vector<uint8_t>(fresh.begin(), fresh.end()));
    }
    bytes_ += size;
    changed = true;
    at = stop;
  }
  // RFC 2018 4: the first block is the one with the segment that triggered this acknowledgement.
  if (changed || complete) Remember(begin);
  return complete;
}

std::optional<OutOfOrder::Range> OutOfOrder::Covered(uint64_t begin, uint64_t end) const {
  auto piece = pieces_.upper_bound(begin);
  if (piece != pieces_.begin() &&
      std::prev(piece)->first + std::prev(piece)->second.size() > begin) {
    --piece;
  }
  if (piece == pieces_.end() || piece->first >= end) return std::nullopt;
  return Range{std::max(begin, piece->first), std::min(end, piece->first + piece->second.size())};
}

std::vector<uint8_t> OutOfOrder::Take(uint64_t next) {
  while (!pieces_.empty() && pieces_.begin()->first <= next) {
    auto node = pieces_.extract(pieces_.begin());
    std::vector<uint8_t> bytes = std::move(node.mapped());
    bytes_ -= bytes.size();
    if (budget_ != nullptr) budget_->Return(bytes.size() + EarlyBudget::kPerPiece);
    const uint64_t begin = node.key();
    if (begin + bytes.size() <= next) continue;  // all of it is old
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<long>(next - begin));
    return bytes;
  }
  return {};
}

OutOfOrder::Range OutOfOrder::Around(uint64_t offset) const {
  auto it = pieces_.upper_bound(offset);
  if (it == pieces_.begin()) return {};
  --it;
  if (it->first + it->second.size() <= offset) return {};
  auto first = it;
  while (first != pieces_.begin()) {
    const auto before = std::prev(first);
    if (before->first + before->second.size() != first->first) break;
    first = before;
  }
  uint64_t end = it->first + it->second.size();
  for (auto next = std::next(it); next != pieces_.end() && next->first == end; ++next) {
    end += next->second.size();
  }
  return {first->first, end};
}

void OutOfOrder::Remember(uint64_t offset) {
  const Range range = Around(offset);
  std::erase_if(recent_, [&](uint64_t r) { return r >= range.begin && r < range.end; });
  recent_.insert(recent_.begin(), offset);
  if (recent_.size() > kMaxRecent) recent_.pop_back();
}

size_t OutOfOrder::Blocks(size_t max, std::array<Range, 4>* out) const {
  size_t n = 0;
  for (const uint64_t offset : recent_) {
    if (n == std::min(max, out->size())) break;
    const Range range = Around(offset);
    if (range.end > range.begin) (*out)[n++] = range;
  }
  return n;
}

void OutOfOrder::clear() {
  if (budget_ != nullptr) budget_->Return(bytes_ + pieces_.size() * EarlyBudget::kPerPiece);
  pieces_.clear();
  recent_.clear();
  bytes_ = 0;
}

}  // namespace mptcptls
