// ICMP errors: what they may do to a subflow, and which of them count at all; and closing early.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
using Kind = IcmpError::Kind;

IcmpError Error(const SubflowRig& rig, Kind kind, uint32_t relative_seq, uint32_t mtu = 0) {
  IcmpError error;
  error.kind = kind;
  error.mtu = mtu;
  error.tuple = rig.config.tuple;
  error.seq = Seq{SubflowRig::kOurIsn + relative_seq};
  return error;
}

TEST(Icmp, AHardErrorEndsAConnectionAttempt) {
  SubflowRig rig;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kSoft, 0));
  EXPECT_FALSE(rig.closed);
  rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kHard, 0));
  EXPECT_EQ(rig.closed, CloseReason::kUnreachable);
  EXPECT_EQ(rig.counters.icmp_errors, 2u);
  EXPECT_EQ(rig.subflow->CheckInvariants(), "");
}

// RFC 5461 2: what is established is not for a router to end.
TEST(Icmp, AHardErrorEndsNothingThatIsEstablished) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kHard, 1));
  EXPECT_FALSE(rig.closed);
  EXPECT_EQ(rig.subflow->state(), TcpState::kEstablished);
}

// RFC 5927 4
TEST(Icmp, WhatQuotesNothingInFlightIsIgnored) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.sent.clear();
  for (const uint32_t seq : {0u, 1001u, 0x40000000u}) {
    rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kPacketTooBig, seq, 600));
  }
  EXPECT_EQ(rig.counters.icmp_ignored, 3u);
  EXPECT_EQ(rig.counters.icmp_errors, 0u);
  rig.ExpectNothing();
}

TEST(Icmp, PacketTooBigMakesSegmentsSmallerAndSendsAgain) {
  SubflowRig rig;
  rig.config.segmentation = false;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1400);
  const uint32_t before = rig.subflow->Info().mss;
  rig.sent.clear();
  rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kPacketTooBig, 1, 1000));
  EXPECT_LT(rig.subflow->Info().mss, before - 400);
  ASSERT_FALSE(rig.sent.empty());
  EXPECT_EQ(rig.sent.front().seq, 1u);
  EXPECT_EQ(rig.subflow->CheckInvariants(), "");
  // A larger one afterwards changes nothing, and nobody may push it below what every path takes.
  const uint32_t smaller = rig.subflow->Info().mss;
  rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kPacketTooBig, 1, 1400));
  EXPECT_EQ(rig.subflow->Info().mss, smaller);
  rig.subflow->OnIcmpError(rig.now, Error(rig, Kind::kPacketTooBig, 1, 68));
  EXPECT_GE(rig.subflow->Info().mss, 576u - 80u);
}

TEST(Closing, WhileOpeningIsNoRefusal) {
  SubflowRig rig;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.subflow->Close(rig.now);
  EXPECT_EQ(rig.closed, CloseReason::kAborted);
  EXPECT_EQ(rig.timers.Next(), kNever);
}

}  // namespace
}  // namespace mptcptls
