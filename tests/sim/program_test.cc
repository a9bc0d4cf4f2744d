// The programs' pattern: it must notice every way in which a stream can go wrong.
#include "tests/sim/program.h"

#include <gmock/gmock.h>

namespace mptcptls::sim {
namespace {

std::vector<uint8_t> Pattern(uint64_t seed, uint64_t offset, size_t size) {
  std::vector<uint8_t> out(size);
  FillPattern(seed, offset, out);
  return out;
}

TEST(Pattern, IsTheSameInAnyPieces) {
  const std::vector<uint8_t> whole = Pattern(7, 0, 10'000);
  for (size_t at : {0u, 1u, 7u, 8u, 9u, 4095u, 4096u, 9'999u}) {
    const std::vector<uint8_t> rest = Pattern(7, at, 10'000 - at);
    EXPECT_TRUE(std::equal(rest.begin(), rest.end(), whole.begin() + static_cast<long>(at))) << at;
    EXPECT_EQ(CheckPattern(7, at, rest), std::nullopt);
  }
}

TEST(Pattern, NoticesTheFirstWrongByte) {
  for (size_t at : {0u, 5u, 4095u, 4096u, 9'999u}) {
    std::vector<uint8_t> bytes = Pattern(7, 3, 10'000);
    bytes[at] ^= 0x10;
    EXPECT_EQ(CheckPattern(7, 3, bytes), at);
  }
}

TEST(Pattern, NoticesShiftsRepetitionsAndForeignStreams) {
  EXPECT_NE(CheckPattern(7, 1, Pattern(7, 0, 100)), std::nullopt);
  EXPECT_NE(CheckPattern(7, 8, Pattern(7, 0, 100)), std::nullopt);
  EXPECT_NE(CheckPattern(7, 65536, Pattern(7, 0, 100)), std::nullopt);
  EXPECT_NE(CheckPattern(8, 0, Pattern(7, 0, 100)), std::nullopt);
}

}  // namespace
}  // namespace mptcptls::sim
