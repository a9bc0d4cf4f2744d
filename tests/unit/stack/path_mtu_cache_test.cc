#include "stack/path_mtu_cache.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr Time kStart{100s};
const IpAddress kLocal = IpAddress::V4(0x0a000001u), kRemote = IpAddress::V4(0x0a000002u);

TEST(PathMtuCache, RemembersByUplinkAndDestinationUntilItExpires) {
  PathMtuCache cache;
  cache.Store(kStart, kLocal, kRemote, {1400, 1407, kStart + 10min});
  ASSERT_TRUE(cache.Find(kStart, kLocal, kRemote));
  EXPECT_EQ(cache.Find(kStart, kLocal, kRemote)->mtu, 1400u);
  EXPECT_EQ(cache.Find(kStart, kLocal, kRemote)->ceiling, 1407u);
  EXPECT_FALSE(cache.Find(kStart, kRemote, kLocal));
  EXPECT_FALSE(cache.Find(kStart + 10min, kLocal, kRemote));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(PathMtuCache, NothingKnownTakesItBack) {
  PathMtuCache cache;
  cache.Store(kStart, kLocal, kRemote, {1400, 1400, kStart + 10min});
  cache.Store(kStart, kLocal, kRemote, {});
  EXPECT_FALSE(cache.Find(kStart, kLocal, kRemote));
}

TEST(PathMtuCache, IsBoundedAndKeepsTheFreshest) {
  PathMtuCache cache;
  for (uint32_t i = 0; i < PathMtuCache::kMaxEntries + 10; ++i) {
    cache.Store(kStart, kLocal, IpAddress::V4(i), {1400, 1400, kStart + 10min + Duration(i)});
  }
  EXPECT_EQ(cache.size(), PathMtuCache::kMaxEntries);
  EXPECT_FALSE(cache.Find(kStart, kLocal, IpAddress::V4(9)));
  EXPECT_TRUE(cache.Find(kStart, kLocal, IpAddress::V4(10)));
}

}  // namespace
}  // namespace mptcptls
