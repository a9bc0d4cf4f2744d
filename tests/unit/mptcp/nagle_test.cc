// When a short segment waits (RFC 9293 3.7.4 with Minshall's variation, TCP_CORK).
#include "stack/mptcp/nagle.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using Wait = Nagle::Wait;

TEST(Nagle, ShortOneWaitsForAShortOneOnly) {
  Nagle nagle;
  EXPECT_EQ(nagle.OfShort(100, 0), Wait::kNo);  // nothing is on its way
  nagle.SentShort(100);
  EXPECT_EQ(nagle.OfShort(200, 0), Wait::kForAck);
  EXPECT_EQ(nagle.OfShort(200, 99), Wait::kForAck);
  // Full segments after it do not matter, as long as it is acknowledged itself.
  EXPECT_EQ(nagle.OfShort(5000, 100), Wait::kNo);
}

TEST(Nagle, NoDelayNeverWaits) {
  Nagle nagle;
  nagle.Set(true, false);
  nagle.SentShort(100);
  EXPECT_EQ(nagle.OfShort(200, 0), Wait::kNo);
}

TEST(Nagle, CorkWaitsForMoreWhateverIsOnItsWay) {
  Nagle nagle;
  for (const bool no_delay : {false, true}) {
    nagle.Set(no_delay, true);
    EXPECT_EQ(nagle.OfShort(100, 0), Wait::kForMore);
  }
}

TEST(Nagle, MoreIsACorkForOneWrite) {
  Nagle nagle;
  nagle.Set(true, false);
  nagle.SetMore(true);
  EXPECT_EQ(nagle.OfShort(100, 0), Wait::kForMore);
  nagle.SetMore(false);
  EXPECT_EQ(nagle.OfShort(100, 0), Wait::kNo);
}

TEST(Nagle, FlushedBytesLeave) {
  Nagle nagle;
  nagle.Set(false, true);
  nagle.SentShort(50);
  nagle.Flush(100);
  EXPECT_EQ(nagle.OfShort(100, 0), Wait::kNo);
  EXPECT_EQ(nagle.OfShort(101, 0), Wait::kForMore);
  nagle.Set(false, false);
  EXPECT_EQ(nagle.OfShort(101, 0), Wait::kForAck);
}

}  // namespace
}  // namespace mptcptls
