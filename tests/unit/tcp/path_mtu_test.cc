// What is believed of a path, from ICMP, timeouts and probes.
#include "stack/tcp/path_mtu.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr Time kStart{100s};

TEST(PathMtu, NothingIsProbedAtTheLimit) {
  PathMtu mtu(Family::kV4, 1500);
  EXPECT_EQ(mtu.mtu(), 1500u);
  EXPECT_EQ(mtu.NextProbe(kStart + 1h), 0u);
  EXPECT_EQ(mtu.known(kStart).mtu, 0u);
}

TEST(PathMtu, IcmpLowersAndIsForgottenAfterTenMinutes) {
  PathMtu mtu(Family::kV6, 1500);
  EXPECT_TRUE(mtu.OnTooBig(1400, 1500, kStart));
  EXPECT_EQ(mtu.mtu(), 1400u);
  EXPECT_EQ(mtu.known(kStart).expires, kStart + 10min);
  EXPECT_EQ(mtu.NextProbe(kStart + 10min - 1ns), 0u);
  EXPECT_EQ(mtu.NextProbe(kStart + 10min), 1500u);
  mtu.OnProbeDelivered(1500, kStart + 11min);
  EXPECT_EQ(mtu.mtu(), 1500u);
  EXPECT_EQ(mtu.known(kStart).mtu, 0u);
}

TEST(PathMtu, ImplausibleIcmpIsIgnored) {
  PathMtu four(Family::kV4, 1500), six(Family::kV6, 1500);
  EXPECT_FALSE(four.OnTooBig(1500, 1500, kStart)) << "it would have fitted";
  EXPECT_FALSE(four.OnTooBig(9000, 1500, kStart));
  EXPECT_FALSE(four.OnTooBig(600, 500, kStart)) << "it was smaller";
  EXPECT_FALSE(six.OnTooBig(1279, 1500, kStart)) << "RFC 8201 4";
  EXPECT_FALSE(six.OnTooBig(0, 1500, kStart));
  EXPECT_EQ(four.mtu(), 1500u);
  EXPECT_EQ(six.mtu(), 1500u);
}

TEST(PathMtu, FloorsAreThoseOfTheFamily) {
  PathMtu four(Family::kV4, 1500), six(Family::kV6, 1500);
  EXPECT_TRUE(four.OnTooBig(68, 1500, kStart));
  EXPECT_EQ(four.mtu(), 552u);
  EXPECT_TRUE(six.OnTooBig(1280, 1500, kStart));
  EXPECT_EQ(six.mtu(), 1280u);
}

TEST(PathMtu, WithoutAValueThePlateausDecide) {
  PathMtu mtu(Family::kV4, 9000);
  uint32_t packet = 9000;
  for (const uint32_t plateau : {8166u, 4352u, 2002u, 1492u, 1006u, 552u}) {
    EXPECT_TRUE(mtu.OnTooBig(0, packet, kStart));
    EXPECT_EQ(mtu.mtu(), plateau);
    packet = plateau;
  }
  EXPECT_FALSE(mtu.OnTooBig(0, packet, kStart));
}

TEST(PathMtu, SeveralTimeoutsOfLargePacketsAreABlackHole) {
  PathMtu four(Family::kV4, 1500), six(Family::kV6, 1500);
  EXPECT_FALSE(four.OnTimeout(1500));
  EXPECT_TRUE(four.OnTimeout(1500));
  EXPECT_EQ(four.mtu(), 1024u);
  EXPECT_EQ(four.known(kStart).mtu, 0u) << "nothing is proven yet";
  EXPECT_FALSE(four.OnTimeout(1024));
  EXPECT_TRUE(four.OnTimeout(1024));
  EXPECT_EQ(four.mtu(), 552u);
  EXPECT_FALSE(six.OnTimeout(1500));
  EXPECT_TRUE(six.OnTimeout(1500));
  EXPECT_EQ(six.mtu(), 1280u);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(six.OnTimeout(1280));
}

TEST(PathMtu, SmallPacketsAndLargeOnesThatArriveAreNone) {
  PathMtu mtu(Family::kV4, 1500);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(mtu.OnTimeout(500));
  for (int i = 0; i < 5; ++i) {
    EXPECT_FALSE(mtu.OnTimeout(1500));
    mtu.OnDelivered(1500, kStart);
  }
  EXPECT_EQ(mtu.mtu(), 1500u);
}

TEST(PathMtu, WhatWasSentBeforeProvesTheGuessWrong) {
  PathMtu mtu(Family::kV4, 1500);
  mtu.OnTimeout(1500);
  mtu.OnTimeout(1500);
  EXPECT_TRUE(mtu.OnDelivered(1500, kStart));
  EXPECT_EQ(mtu.mtu(), 1500u);
}

// Sends what it is asked for until the search is over; packets up to `real` arrive.
int Search(PathMtu* mtu, uint32_t real, Time now) {
  int probes = 0;
  while (const uint32_t size = mtu->NextProbe(now)) {
    mtu->OnProbeSent();
    EXPECT_EQ(mtu->NextProbe(now), 0u) << "one at a time";
    if (size <= real) {
      mtu->OnProbeDelivered(size, now);
    } else {
      mtu->OnProbeLost(size, now);
    }
    if (++probes > 100) break;
  }
  return probes;
}

TEST(PathMtu, BlackHoleIsSearchedUpwards) {
  for (const uint32_t real : {1024u, 1100u, 1280u, 1400u, 1492u, 1499u, 1500u}) {
    PathMtu mtu(Family::kV4, 1500);
    mtu.OnTimeout(1500);
    mtu.OnTimeout(1500);
    EXPECT_EQ(mtu.NextProbe(kStart), 0u) << "small ones have to get through first";
    EXPECT_TRUE(mtu.OnDelivered(1000, kStart));
    EXPECT_LE(Search(&mtu, real, kStart), 3 * 7);
    EXPECT_LE(mtu.mtu(), real);
    EXPECT_GT(mtu.mtu() + PathMtu::kGranularity, real);
    // Ten minutes later it may be better.
    Search(&mtu, 1500, kStart + 10min);
    EXPECT_EQ(mtu.mtu(), 1500u);
  }
}

TEST(PathMtu, OneLostProbeIsNotEnough) {
  PathMtu mtu(Family::kV4, 1500);
  mtu.OnTimeout(1500);
  mtu.OnTimeout(1500);
  mtu.OnDelivered(1000, kStart);
  for (int i = 0; i + 1 < PathMtu::kMaxProbes; ++i) {
    ASSERT_EQ(mtu.NextProbe(kStart), 1500u);
    mtu.OnProbeSent();
    mtu.OnProbeLost(1500, kStart);
  }
  EXPECT_EQ(Search(&mtu, 1500, kStart), 1);
  EXPECT_EQ(mtu.mtu(), 1500u);
}

TEST(PathMtu, IcmpAboutAProbeSpeedsTheSearch) {
  PathMtu mtu(Family::kV4, 1500);
  mtu.OnTimeout(1500);
  mtu.OnTimeout(1500);
  mtu.OnDelivered(1000, kStart);
  ASSERT_EQ(mtu.NextProbe(kStart), 1500u);
  mtu.OnProbeSent();
  EXPECT_FALSE(mtu.OnTooBig(1444, 1500, kStart));
  mtu.OnProbeLost(1500, kStart);
  EXPECT_EQ(mtu.NextProbe(kStart), 1444u);
}

TEST(PathMtu, NextConnectionBeginsWithWhatIsKnown) {
  PathMtu first(Family::kV4, 1500);
  first.OnTooBig(1400, 1500, kStart);
  PathMtu second(Family::kV4, 1500);
  second.Begin(first.known(kStart));
  EXPECT_EQ(second.mtu(), 1400u);
  EXPECT_EQ(second.NextProbe(kStart + 9min), 0u);
  EXPECT_EQ(second.NextProbe(kStart + 10min), 1500u);
  PathMtu narrow(Family::kV4, 1300);
  narrow.Begin(first.known(kStart));
  EXPECT_EQ(narrow.mtu(), 1300u) << "never above the interface's";
}

}  // namespace
}  // namespace mptcptls
