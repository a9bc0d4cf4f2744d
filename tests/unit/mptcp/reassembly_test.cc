// The data level's receive queue: each byte once and in order, and a peer that leaves holes on
// purpose gets no more memory than there is for that.
#include "stack/mptcp/reassembly.h"

#include <gmock/gmock.h>

#include <memory>
#include <numeric>

namespace mptcptls {
namespace {

constexpr uint64_t kNoLimit = 1 << 30;

class ReassemblyTest : public testing::Test {
 protected:
  ReassemblyTest() : stream_(100'000) { std::iota(stream_.begin(), stream_.end(), uint8_t{0}); }

  Reassembly::Result Insert(uint64_t offset, size_t size, uint64_t limit = kNoLimit) {
    return reassembly_->Insert(offset, ByteSpan(stream_).subspan(offset, size), limit,
                               [this](ByteSpan bytes) {
                                 delivered_.insert(delivered_.end(), bytes.begin(), bytes.end());
                               });
  }
  bool IsPrefix(size_t size) const {
    return delivered_.size() == size &&
           std::equal(delivered_.begin(), delivered_.end(), stream_.begin());
  }

  EarlyBudget budget_{1 << 20};
  std::unique_ptr<Reassembly> reassembly_ = std::make_unique<Reassembly>(&budget_);
  std::vector<uint8_t> stream_, delivered_;
};

TEST_F(ReassemblyTest, EachByteIsDeliveredOnceWhateverTheOverlaps) {
  EXPECT_EQ(Insert(100, 100).duplicate, 0u);
  EXPECT_EQ(Insert(300, 50).duplicate, 0u);
  EXPECT_EQ(Insert(150, 170).duplicate, 70u);  // 150-200 and 300-320 are there
  EXPECT_EQ(reassembly_->waiting(), 250u);
  EXPECT_TRUE(delivered_.empty());
  EXPECT_EQ(Insert(0, 120).duplicate, 20u);
  EXPECT_TRUE(IsPrefix(350));
  EXPECT_EQ(Insert(10, 400).duplicate, 340u);
  EXPECT_TRUE(IsPrefix(410));
  EXPECT_EQ(reassembly_->waiting(), 0u);
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(ReassemblyTest, WhatIsInOrderCoversWhatCameEarly) {
  Insert(10, 5);
  Insert(20, 5);
  EXPECT_EQ(Insert(0, 40).duplicate, 10u);
  EXPECT_TRUE(IsPrefix(40));
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(ReassemblyTest, BeyondTheLimitIsRefused) {
  EXPECT_EQ(Insert(0, 100, 60).beyond, 40u);
  EXPECT_TRUE(IsPrefix(60));
  EXPECT_EQ(Insert(80, 10, 60).beyond, 10u);
  EXPECT_EQ(reassembly_->waiting(), 0u);
}

TEST_F(ReassemblyTest, HolesOnPurposeAreBounded) {
  size_t refused = 0;
  for (uint64_t at = 1; at + 1 < stream_.size(); at += 2) refused += Insert(at, 1).beyond;
  EXPECT_LE(reassembly_->waiting(), Reassembly::kMaxPieces);
  EXPECT_GT(refused, 0u);
  // The stream goes on all the same: what was refused comes again.
  EXPECT_EQ(Insert(0, stream_.size()).beyond, 0u);
  EXPECT_TRUE(IsPrefix(stream_.size()));
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(ReassemblyTest, WhatFollowsIsKeptInOnePiece) {
  for (uint64_t at = 100; at < 200; at += 10) EXPECT_EQ(Insert(at, 10).beyond, 0u);
  EXPECT_EQ(budget_.used(), 100 + EarlyBudget::kPerPiece);
  EXPECT_EQ(Insert(150, 100).duplicate, 50u);
  EXPECT_EQ(reassembly_->waiting(), 150u);
  Insert(0, 100);
  EXPECT_TRUE(IsPrefix(250));
  EXPECT_EQ(budget_.used(), 0u);
}

TEST_F(ReassemblyTest, OnePieceIsBounded) {
  const std::vector<uint8_t> bytes(1 << 10);
  for (uint64_t i = 0; i < 2 * Reassembly::kMaxPiece / bytes.size(); ++i) {
    ASSERT_EQ(reassembly_->Insert(1 + i * bytes.size(), bytes, kNoLimit, nullptr).beyond, 0u);
  }
  EXPECT_EQ(budget_.used(), 2 * (Reassembly::kMaxPiece + EarlyBudget::kPerPiece));
}

TEST_F(ReassemblyTest, AllShareOneBudget) {
  Reassembly other(&budget_);
  const std::vector<uint8_t> large((1 << 20) - 2 * EarlyBudget::kPerPiece);
  EXPECT_EQ(other.Insert(1, large, kNoLimit, nullptr).beyond, 0u);
  EXPECT_EQ(Insert(10, 1).beyond, 1u);
  EXPECT_EQ(Insert(0, 10).beyond, 0u);  // in order: never refused
  EXPECT_TRUE(IsPrefix(10));
}

TEST_F(ReassemblyTest, ItsMemoryGoesBackWithIt) {
  Insert(10, 100);
  EXPECT_GT(budget_.used(), 0u);
  reassembly_.reset();
  EXPECT_EQ(budget_.used(), 0u);
}

}  // namespace
}  // namespace mptcptls
