#include "stack/tcp/reordering.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

constexpr Time kStart{100s};
constexpr Duration kSrtt = 12ms, kMin = 8ms, kMost = 170ms;

// A DSACK of something that was not retransmitted, in a round trip of its own.
void Duplicate(Reordering* r, uint32_t round) {
  r->OnDuplicate(kStart, kMin, Seq{7}, Seq{8}, Seq{1000 * round}, Seq{1000 * round + 1000});
}

TEST(Reordering, AQuarterOfTheRoundTripUnlessToldOtherwise) {
  EXPECT_EQ(Reordering().Window(kSrtt, kMin, kMost), 2ms);
}

TEST(Reordering, GrowsOncePerRoundTripUpToSrtt) {
  Reordering r;
  Duplicate(&r, 1);
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 4ms);
  Duplicate(&r, 1);  // the same round trip
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 4ms);
  for (uint32_t round = 2; round < 20; ++round) Duplicate(&r, round);
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), kSrtt);
}

TEST(Reordering, MeasuresHowLateASegmentWas) {
  Reordering r;
  r.OnRetransmit(Seq{100}, Seq{300}, kStart);
  r.OnDuplicate(kStart + 30ms, kMin, Seq{100}, Seq{200}, Seq{300}, Seq{400});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 22ms);
  // The same retransmission again says nothing new; neither does one that was not made.
  r.OnDuplicate(kStart + 40ms, kMin, Seq{200}, Seq{300}, Seq{300}, Seq{400});
  r.OnDuplicate(kStart + 40ms, kMin, Seq{300}, Seq{400}, Seq{300}, Seq{400});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 22ms);
}

// The DSACK that follows is of the needless copy.
TEST(Reordering, TheFirstTransmissionTellsBetterThanTheDsack) {
  Reordering r;
  r.OnRetransmit(Seq{100}, Seq{300}, kStart);
  r.OnOriginal(7ms, Seq{100}, Seq{300});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 7ms);
  r.OnDuplicate(kStart + 30ms, kMin, Seq{100}, Seq{300}, Seq{300}, Seq{400});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 7ms);
}

// The first one may have been lost, and the two copies have arrived.
TEST(Reordering, WhatWasSentThreeTimesTellsNothing) {
  Reordering r;
  r.OnRetransmit(Seq{100}, Seq{300}, kStart);
  r.OnRetransmitAgain(Seq{100}, Seq{300});
  r.OnDuplicate(kStart + 90ms, kMin, Seq{100}, Seq{300}, Seq{300}, Seq{400});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 4ms);  // as for any other
}

TEST(Reordering, ExtentIsOfTheLastTwoRecoveries) {
  Reordering r;
  EXPECT_FALSE(r.seen());
  EXPECT_EQ(r.extent(), 0ms);
  r.OnOvertaken(5ms);
  r.OnOvertaken(3ms);
  EXPECT_TRUE(r.seen());
  EXPECT_EQ(r.extent(), 5ms);
  r.OnRecovery();
  EXPECT_EQ(r.extent(), 5ms);
  r.OnOvertaken(2ms);
  r.OnRecovery();
  EXPECT_EQ(r.extent(), 2ms);
}

TEST(Reordering, StaysWellBelowTheRetransmissionTimer) {
  Reordering r;
  r.OnRetransmit(Seq{100}, Seq{300}, kStart);
  r.OnDuplicate(kStart + 10s, kMin, Seq{100}, Seq{200}, Seq{300}, Seq{400});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 4 * kSrtt);
  EXPECT_EQ(r.Window(kSrtt, kMin, 40ms), 40ms);
  EXPECT_EQ(r.Window(kSrtt, kMin, -5ms), 4ms);  // the RFC's
}

TEST(Reordering, ForgetsAfterSixteenRecoveries) {
  Reordering r;
  r.OnRetransmit(Seq{100}, Seq{300}, kStart);
  r.OnDuplicate(kStart + 30ms, kMin, Seq{100}, Seq{200}, Seq{300}, Seq{400});
  for (int i = 0; i < 15; ++i) r.OnRecovery();
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 22ms);
  r.OnRecovery();
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 2ms);
}

TEST(Reordering, RemembersTheLastRetransmissions) {
  Reordering r;
  for (uint32_t i = 0; i < 65; ++i) r.OnRetransmit(Seq{10 * i}, Seq{10 * i + 10}, kStart);
  r.OnDuplicate(kStart + 30ms, kMin, Seq{0}, Seq{10}, Seq{1000}, Seq{2000});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 4ms);  // the oldest is forgotten
  r.OnDuplicate(kStart + 30ms, kMin, Seq{10}, Seq{20}, Seq{1000}, Seq{2000});
  EXPECT_EQ(r.Window(kSrtt, kMin, kMost), 22ms);
}

}  // namespace
}  // namespace mptcptls
