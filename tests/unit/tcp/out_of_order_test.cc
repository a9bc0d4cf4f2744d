// Payload ahead of its turn: bounded for all subflows together.
#include "stack/tcp/out_of_order.h"

#include <gmock/gmock.h>

namespace mptcptls {
namespace {

TEST(OutOfOrder, AllShareOneBudgetAndGiveItBack) {
  EarlyBudget budget(2000 + 2 * EarlyBudget::kPerPiece);
  const std::vector<uint8_t> bytes(1000);
  {
    OutOfOrder one(&budget), other(&budget);
    EXPECT_TRUE(one.Insert(5000, bytes, 1 << 20));
    EXPECT_TRUE(one.Insert(5500, bytes, 1 << 20));  // 500 of them new, and no new piece
    EXPECT_FALSE(other.Insert(5000, bytes, 1 << 20));
    EXPECT_EQ(other.bytes(), 0u);
    EXPECT_EQ(one.Take(5000).size(), 1500u);
    EXPECT_EQ(budget.used(), 0u);
    EXPECT_TRUE(other.Insert(5000, bytes, 1 << 20));
    EXPECT_GT(budget.used(), 0u);
  }
  EXPECT_EQ(budget.used(), 0u);
}

}  // namespace
}  // namespace mptcptls
