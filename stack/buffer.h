// Stream bytes held by the stack: 64 KiB blocks from a pool, reference-counted, so that the send
// queue of the connection and the retransmission queues of several subflows share one copy, and a
// dead subflow pins only the blocks it really needs. Single-threaded: counts are plain integers. No
// allocation once the pool is warm.
#ifndef MPTCPTLS_STACK_BUFFER_H_
#define MPTCPTLS_STACK_BUFFER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

inline constexpr size_t kBlockSize = 65536;

class BlockPool;

struct Block {
  uint32_t references = 0;
  BlockPool* pool = nullptr;
  std::array<uint8_t, kBlockSize> bytes;
};

class BlockRef {
 public:
  BlockRef() = default;
  explicit BlockRef(Block* block);
  BlockRef(const BlockRef& other);
  BlockRef(BlockRef&& other) noexcept : block_(other.block_) { other.block_ = nullptr; }
  BlockRef& operator=(BlockRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~BlockRef();
  Block* get() const { return block_; }
  explicit operator bool() const { return block_ != nullptr; }

 private:
  Block* block_ = nullptr;
};

// Bounded supply of blocks. Take() returns an empty reference when `max_blocks` are out.
//
// What is sent can wait, what was received cannot: an eighth is only for receiving. And when half
// is out (many peers that do not read), whoever wants to send is held to a fair share, so that a
// few hundred cannot starve the rest.
class BlockPool {
 public:
  explicit BlockPool(size_t max_blocks) : max_blocks_(max_blocks) {}
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  BlockRef Take();
  size_t in_use() const { return in_use_; }
  bool tight() const { return in_use_ > max_blocks_ / 2; }
  bool scarce() const { return in_use_ >= max_blocks_ - max_blocks_ / 16; }
  // Whether one more block may be taken for sending, by whoever holds `held` of them.
  bool MaySend(size_t held) const {
    return in_use_ < max_blocks_ - max_blocks_ / 8 && (held < kFairShare || !tight());
  }

 private:
  friend class BlockRef;
  static constexpr size_t kFairShare = 2;
  void Return(Block* block);
  size_t max_blocks_;
  size_t in_use_ = 0;
  std::vector<std::unique_ptr<Block>> free_;
};

// Memory for what arrived ahead of its turn, of all connections together: a peer that leaves holes
// on purpose makes us keep it. Each piece costs more than its bytes.
class EarlyBudget {
 public:
  static constexpr size_t kPerPiece = 128;
  explicit EarlyBudget(size_t limit) : limit_(limit) {}
  bool Take(size_t cost) {
    if (cost > limit_ - used_) return false;
    used_ += cost;
    return true;
  }
  void Return(size_t cost) { used_ -= cost; }
  size_t used() const { return used_; }

 private:
  size_t limit_;
  size_t used_ = 0;
};

// A range of stream bytes, at most one block's size long, so at most two pieces.
class Payload {
 public:
  Payload() = default;
  size_t size() const { return first_size_ + second_size_; }
  bool empty() const { return size() == 0; }
  int pieces() const { return second_size_ > 0 ? 2 : first_size_ > 0 ? 1 : 0; }
  ByteSpan piece(int index) const;
  // The sub-range [offset, offset + length); offset + length <= size().
  Payload Slice(size_t offset, size_t length) const;

 private:
  friend class SendBuffer;
  BlockRef first_, second_;
  uint32_t first_offset_ = 0, first_size_ = 0,
           second_size_ = 0;  // the second begins at its block's start
};

// The connection's send queue: bytes [head(), tail()) of the stream, addressed by 64-bit stream
// offset (0 = first byte).
class SendBuffer {
 public:
  SendBuffer(BlockPool* pool, size_t limit) : pool_(pool), limit_(limit) {}

  uint64_t head() const { return head_; }
  uint64_t tail() const { return tail_; }
  // What is in it may be more than a limit that was lowered.
  size_t space() const {
    const auto used = static_cast<size_t>(tail_ - head_);
    return limit_ > used ? limit_ - used : 0;
  }
  void set_limit(size_t limit) { limit_ = limit; }

  // Room to write into: at most two spans; the caller fills them in order (recv into them) and
  // calls Commit(). Empty when full or when the pool is exhausted.
  size_t Regions(std::array<std::span<uint8_t>, 2>* regions);
  void Commit(size_t bytes);
  size_t Append(ByteSpan bytes);  // copies; returns how much fitted

  Payload Get(uint64_t offset, size_t length)
      const;  // [offset, offset+length) within [head, tail), length <= kBlockSize
  void Release(uint64_t offset);  // bytes below `offset` are no longer needed

 private:
  BlockPool* pool_;
  size_t limit_;
  uint64_t head_ = 0, tail_ = 0;
  uint64_t base_ = 0;  // stream offset of blocks_.front()'s first byte, a multiple of kBlockSize
  std::deque<BlockRef> blocks_;
};

// Bytes in order that wait for the program to read them: a byte FIFO over blocks.
class ReceiveBuffer {
 public:
  explicit ReceiveBuffer(BlockPool* pool) : pool_(pool) {}
  size_t size() const { return size_; }
  bool Append(ByteSpan bytes);  // false (and nothing appended) when the pool is exhausted
  // The first bytes, contiguous; empty when there are none.
  ByteSpan Front() const;
  void Consume(size_t bytes);

 private:
  BlockPool* pool_;
  std::deque<BlockRef> blocks_;
  size_t front_offset_ = 0, size_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_BUFFER_H_
