#include "stack/buffer.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace mptcptls {

BlockRef::BlockRef(Block* block) : block_(block) {
  if (block_ != nullptr) ++block_->references;
}

BlockRef::BlockRef(const BlockRef& other) : BlockRef(other.block_) {}

BlockRef::~BlockRef() {
  if (block_ != nullptr && --block_->references == 0) block_->pool->Return(block_);
}

BlockPool::~BlockPool() { assert(in_use_ == 0); }

BlockRef BlockPool::Take() {
  if (in_use_ >= max_blocks_) return {};
  ++in_use_;
  if (free_.empty()) {
    Block* block = new Block;  // bytes stay as they are: whoever takes a block writes it first
    block->pool = this;
    return BlockRef(block);
  }
  Block* block = free_.back().release();
  free_.pop_back();
  return BlockRef(block);
}

void BlockPool::Return(Block* block) {
  // A burst's memory is given back once it is over; what an ordinary load needs stays warm.
  constexpr size_t kWarm = 256;
  --in_use_;
  if (free_.size() >= kWarm) {
    delete block;
  } else {
    free_.emplace_back(block);
  }
}

ByteSpan Payload::piece(int index) const {
  if (index == 0) return {first_.get()->bytes.data() + first_offset_, first_size_};
  return {second_.get()->bytes.data(), second_size_};
}

Payload Payload::Slice(size_t offset, size_t length) const {
  assert(offset + length <= size());
  Payload out;
  if (length == 0) return out;
  if (offset < first_size_) {
    out.first_ = first_;
    out.first_offset_ = first_offset_ + static_cast<uint32_t>(offset);
    out.first_size_ = static_cast<uint32_t>(std::min<size_t>(length, first_size_ - offset));
    out.second_size_ = static_cast<uint32_t>(length - out.first_size_);
    if (out.second_size_ > 0) out.second_ = second_;
  } else {
    out.first_ = second_;
    out.first_offset_ = static_cast<uint32_t>(offset - first_size_);
    out.first_size_ = static_cast<uint32_t>(length);
  }
  return out;
}

size_t SendBuffer::Regions(std::array<std::span<uint8_t>, 2>* regions) {
  *regions = {};
  const size_t room = space();
  size_t total = 0;
  for (std::span<uint8_t>& region : *regions) {
    if (total == room) break;
    const size_t at = static_cast<size_t>(tail_ - base_) + total;
    if (at / kBlockSize == blocks_.size()) {
      if (!pool_->MaySend(blocks_.size())) break;
      BlockRef block = pool_->Take();
      if (!block) break;
      blocks_.push_back(std::move(block));
    }
    const size_t begin = at % kBlockSize;
    region = std::span(blocks_[at / kBlockSize].get()->bytes)
                 .subspan(begin, std::min(room - total, kBlockSize - begin));
    total += region.size();
  }
  return total;
}

void SendBuffer::Commit(size_t bytes) {
  tail_ += bytes;
  assert(tail_ <= base_ + blocks_.size() * kBlockSize);
}

size_t SendBuffer::Append(ByteSpan bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    std::array<std::span<uint8_t>, 2> regions;
    if (Regions(&regions) == 0) break;
    for (const std::span<uint8_t>& region : regions) {
      const size_t n = std::min(region.size(), bytes.size() - done);
      if (n == 0) break;
      std::memcpy(region.data(), bytes.data() + done, n);
      Commit(n);
      done += n;
    }
  }
  return done;
}

Payload SendBuffer::Get(uint64_t offset, size_t length) const {
  assert(offset >= head_ && offset + length <= tail_ && length <= kBlockSize);
  Payload out;
  if (length == 0) return out;
  const size_t at = static_cast<size_t>(offset - base_);
  const size_t index = at / kBlockSize, begin = at % kBlockSize;
  out.first_ = blocks_[index];
  out.first_offset_ = static_cast<uint32_t>(begin);
  out.first_size_ = static_cast<uint32_t>(std::min(length, kBlockSize - begin));
  out.second_size_ = static_cast<uint32_t>(length - out.first_size_);
  if (out.second_size_ > 0) out.second_ = blocks_[index + 1];
  return out;
}

void SendBuffer::Release(uint64_t offset) {
  assert(offset <= tail_);
  head_ = std::max(head_, offset);
  while (!blocks_.empty() && base_ + kBlockSize <= head_) {
    blocks_.pop_front();
    base_ += kBlockSize;
  }
  // Everything is acknowledged: an idle connection pins no block. Writing goes on in the middle of
  // a fresh one.
  if (head_ == tail_) blocks_.clear();
}

bool ReceiveBuffer::Append(ByteSpan bytes) {
  // All or nothing: first the blocks, then the bytes.
  const size_t end = front_offset_ + size_;
  std::vector<BlockRef> fresh;
  while ((blocks_.size() + fresh.size()) * kBlockSize < end + bytes.size()) {
    BlockRef block = pool_->Take();
    if (!block) return false;
    fresh.push_back(std::move(block));
  }
  for (BlockRef& block : fresh) blocks_.push_back(std::move(block));
  for (size_t done = 0; done < bytes.size();) {
    const size_t at = end + done;
    const size_t n = std::min(bytes.size() - done, kBlockSize - at % kBlockSize);
    std::memcpy(blocks_[at / kBlockSize].get()->bytes.data() + at % kBlockSize, bytes.data() + done,
                n);
    done += n;
  }
  size_ += bytes.size();
  return true;
}

ByteSpan ReceiveBuffer::Front() const {
  if (size_ == 0) return {};
  return {blocks_.front().get()->bytes.data() + front_offset_,
          std::min(size_, kBlockSize - front_offset_)};
}

void ReceiveBuffer::Consume(size_t bytes) {
  assert(bytes <= size_);
  size_ -= bytes;
  front_offset_ += bytes;
  while (front_offset_ >= kBlockSize) {
    blocks_.pop_front();
    front_offset_ -= kBlockSize;
  }
  if (size_ == 0) {
    blocks_.clear();
    front_offset_ = 0;
  }
}

}  // namespace mptcptls
