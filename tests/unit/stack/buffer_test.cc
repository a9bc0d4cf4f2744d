// Blocks, send queue and receive queue: the same bytes out as in, whatever the pieces, and no block
// kept that is not needed.
#include "stack/buffer.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <numeric>

namespace mptcptls {
namespace {

std::vector<uint8_t> Bytes(size_t n) {
  std::vector<uint8_t> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint8_t>(i * 31 + i / 251);
  return out;
}

std::vector<uint8_t> Flat(const Payload& payload) {
  std::vector<uint8_t> out;
  for (int i = 0; i < payload.pieces(); ++i) {
    out.insert(out.end(), payload.piece(i).begin(), payload.piece(i).end());
  }
  return out;
}

TEST(SendBuffer, GetReturnsWhatWasAppendedAcrossBlocks) {
  BlockPool pool(16);
  SendBuffer buffer(&pool, 1 << 20);
  const std::vector<uint8_t> bytes = Bytes(300'000);
  EXPECT_EQ(buffer.Append(bytes), bytes.size());
  for (uint64_t at : {0u, 1u, 65535u, 65536u, 65537u, 100'000u, 200'000u}) {
    for (size_t n : {1u, 100u, 65535u, 65536u}) {
      const std::vector<uint8_t> got = Flat(buffer.Get(at, n));
      ASSERT_EQ(got.size(), n);
      EXPECT_TRUE(std::equal(got.begin(), got.end(), bytes.begin() + static_cast<long>(at)));
    }
  }
}

TEST(SendBuffer, SlicesOfAPayload) {
  BlockPool pool(16);
  SendBuffer buffer(&pool, 1 << 20);
  const std::vector<uint8_t> bytes = Bytes(120'000);
  buffer.Append(bytes);
  const Payload whole = buffer.Get(40'000, 60'000);
  for (size_t at : {0u, 25'535u, 25'536u, 25'537u, 59'999u}) {
    const size_t n = std::min<size_t>(30'000, whole.size() - at);
    const std::vector<uint8_t> got = Flat(whole.Slice(at, n));
    EXPECT_TRUE(std::equal(got.begin(), got.end(), bytes.begin() + 40'000 + static_cast<long>(at)));
    EXPECT_EQ(got.size(), n);
  }
}

TEST(SendBuffer, ReleasedBlocksGoBackAndWritingGoesOn) {
  BlockPool pool(4);
  SendBuffer buffer(&pool, 1 << 20);
  const std::vector<uint8_t> bytes = Bytes(100'000);
  uint64_t stream = 0;
  for (int round = 0; round < 10; ++round) {
    ASSERT_EQ(buffer.Append(bytes), bytes.size());
    EXPECT_EQ(Flat(buffer.Get(stream + 50'000, 50'000)),
              std::vector<uint8_t>(bytes.begin() + 50'000, bytes.end()));
    stream += bytes.size();
    buffer.Release(stream);
    EXPECT_EQ(pool.in_use(), 0u);
  }
}

TEST(SendBuffer, APayloadOutlivesItsRelease) {
  BlockPool pool(4);
  SendBuffer buffer(&pool, 1 << 20);
  buffer.Append(Bytes(1000));
  const Payload kept = buffer.Get(0, 1000);
  buffer.Release(1000);
  EXPECT_EQ(pool.in_use(), 1u);
  EXPECT_EQ(Flat(kept), Bytes(1000));
}

TEST(SendBuffer, LimitAndPoolBoundIt) {
  BlockPool pool(2);
  SendBuffer small(&pool, 1000);
  EXPECT_EQ(small.Append(Bytes(5000)), 1000u);
  EXPECT_EQ(small.space(), 0u);
  SendBuffer large(&pool, 1 << 20);
  EXPECT_EQ(large.Append(Bytes(100'000)), kBlockSize);
  std::array<std::span<uint8_t>, 2> regions;
  EXPECT_EQ(large.Regions(&regions), 0u);
}

TEST(SendBuffer, RegionsAreWhereTheBytesGo) {
  BlockPool pool(8);
  SendBuffer buffer(&pool, 1 << 20);
  buffer.Append(Bytes(65'000));
  std::array<std::span<uint8_t>, 2> regions;
  EXPECT_EQ(buffer.Regions(&regions), 536u + kBlockSize);
  std::ranges::fill(regions[0], uint8_t{1});
  std::ranges::fill(regions[1], uint8_t{2});
  buffer.Commit(1000);
  const std::vector<uint8_t> got = Flat(buffer.Get(65'000, 1000));
  EXPECT_EQ(std::ranges::count(got, 1), 536);
  EXPECT_EQ(std::ranges::count(got, 2), 464);
}

TEST(ReceiveBuffer, IsAFifo) {
  BlockPool pool(16);
  ReceiveBuffer buffer(&pool);
  const std::vector<uint8_t> bytes = Bytes(200'000);
  size_t in = 0, out = 0;
  while (out < bytes.size()) {
    const size_t n = std::min<size_t>(7777, bytes.size() - in);
    ASSERT_TRUE(buffer.Append(std::span(bytes).subspan(in, n)));
    in += n;
    const ByteSpan front = buffer.Front();
    const size_t take = std::min<size_t>(front.size(), 7000);
    ASSERT_TRUE(std::equal(front.begin(), front.begin() + static_cast<long>(take),
                           bytes.begin() + static_cast<long>(out)));
    buffer.Consume(take);
    out += take;
  }
  EXPECT_EQ(buffer.size(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(ReceiveBuffer, TakesAllOrNothing) {
  BlockPool pool(1);
  ReceiveBuffer buffer(&pool);
  EXPECT_FALSE(buffer.Append(Bytes(kBlockSize + 1)));
  EXPECT_EQ(buffer.size(), 0u);
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_TRUE(buffer.Append(Bytes(kBlockSize)));
}

TEST(SendBuffer, WhenMemoryIsShortEachHasAFairShare) {
  BlockPool pool(32);
  const std::vector<uint8_t> bytes = Bytes(20 * kBlockSize);
  SendBuffer greedy(&pool, 4 << 20), modest(&pool, 4 << 20);
  // Half of all, and no more.
  EXPECT_EQ(greedy.Append(bytes), 17 * kBlockSize);
  EXPECT_EQ(modest.Append(bytes), 2 * kBlockSize);
  modest.Release(2 * kBlockSize);
  EXPECT_EQ(modest.Append(bytes), 2 * kBlockSize);
  // An eighth is left to receivers, whoever sends.
  std::vector<SendBuffer> others;
  for (int i = 0; i < 10; ++i) others.emplace_back(&pool, 4 << 20).Append(bytes);
  EXPECT_EQ(pool.in_use(), 28u);
  ReceiveBuffer receive(&pool);
  EXPECT_TRUE(receive.Append(ByteSpan(bytes).first(4 * kBlockSize)));
  EXPECT_FALSE(receive.Append(ByteSpan(bytes).first(1)));
}

}  // namespace
}  // namespace mptcptls
