#include "tests/bench/spread.h"

#include <gtest/gtest.h>

namespace mptcptls::bench {
namespace {

TEST(Spread, OddAndEvenNumbersOfValues) {
  const Spread odd = SpreadOf({9, 1, 4});
  EXPECT_EQ(odd.median, 4);
  EXPECT_EQ(odd.low, 1);
  EXPECT_EQ(odd.high, 9);
  EXPECT_EQ(SpreadOf({1, 2, 4, 9}).median, 3);
  EXPECT_EQ(SpreadOf({7}).median, 7);
  EXPECT_EQ(SpreadOf({}).median, 0);
}

}  // namespace
}  // namespace mptcptls::bench
