// Explicit congestion notification (RFC 3168) on the wire.
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr uint16_t A = Tins::TCP::ACK, P = Tins::TCP::PSH, S = Tins::TCP::SYN;
constexpr uint16_t E = Tins::TCP::ECE, C = Tins::TCP::CWR;
constexpr uint8_t kEct0 = 2, kCe = 3;

// An initiator that asked, and whose peer agreed.
void OpenWithEcn(SubflowRig* rig) {
  rig->config.policy.ecn = EcnMode::kAsk;
  rig->Open(E);
  rig->Input({.window = 65535});
}

TEST(Ecn, IsAskedForInTheSyn) {  // 6.1.1
  SubflowRig rig;
  OpenWithEcn(&rig);
  EXPECT_EQ(rig.handshake[0].flags, S | E | C);
  EXPECT_EQ(rig.handshake[0].ecn, 0);
  rig.Send(1000);
  EXPECT_EQ(rig.sent[0].ecn, kEct0);
}

TEST(TrafficClass, IsOnEveryPacketAndLeavesEcnAlone) {  // RFC 2474 3
  SubflowRig rig;
  rig.config.traffic_class = 0xff;
  OpenWithEcn(&rig);
  EXPECT_EQ(rig.handshake[0].traffic_class, 0xfc);
  EXPECT_EQ(rig.handshake[0].ecn, 0);
  rig.Send(1000);
  EXPECT_EQ(rig.sent[0].traffic_class, 0xfc);
  EXPECT_EQ(rig.sent[0].ecn, kEct0);
  rig.subflow->SetTrafficClass(0x20);
  rig.Send(1000);
  EXPECT_EQ(rig.sent[1].traffic_class, 0x20);
  EXPECT_EQ(rig.sent[1].ecn, kEct0);
}

TEST(Ecn, IsNotAskedForByDefault) {
  SubflowRig rig;
  rig.Open(E);
  EXPECT_EQ(rig.handshake[0].flags, S);
  rig.Send(1000);
  EXPECT_EQ(rig.sent[0].ecn, 0);
}

TEST(Ecn, ASynThatWasLostIsRepeatedWithout) {  // 6.1.1.1
  SubflowRig rig;
  rig.config.policy.ecn = EcnMode::kAsk;
  rig.subflow = std::make_unique<Subflow>(rig.config, &rig, &rig, &rig.timers, &rig.counters);
  rig.subflow->Connect(rig.now);
  rig.Advance(1100ms);
  ASSERT_EQ(rig.sent.size(), 2u);
  EXPECT_EQ(rig.sent[0].flags, S | E | C);
  EXPECT_EQ(rig.sent[1].flags, S);
}

TEST(Ecn, IsAgreedToAsAServer) {
  for (const EcnMode mode : {EcnMode::kAnswer, EcnMode::kOff}) {
    SubflowRig rig;
    rig.config.policy.ecn = mode;
    rig.Accept(E | C);
    EXPECT_EQ(rig.handshake[0].flags, mode == EcnMode::kOff ? S | A : S | A | E);
    rig.Send(1000);
    EXPECT_EQ(rig.sent[0].ecn, mode == EcnMode::kOff ? 0 : kEct0);
  }
}

TEST(Ecn, AServerIsNotMadeToByASynWithOneFlag) {
  SubflowRig rig;
  rig.Accept(E);
  EXPECT_EQ(rig.handshake[0].flags, S | A);
}

TEST(Ecn, AMarkIsEchoedUntilThePeerReduced) {  // 6.1.3
  SubflowRig rig;
  OpenWithEcn(&rig);
  rig.Input({.seq = 1, .window = 65535, .payload = std::string(1000, 'a'), .ecn = kCe});
  rig.ExpectSent(A | E, 1, 1001, 0);
  rig.Input({.seq = 1001, .window = 65535, .payload = std::string(1000, 'b'), .ecn = kEct0});
  rig.ExpectSent(A | E, 1, 2001, 0);
  rig.Input({.seq = 2001,
             .flags = static_cast<uint16_t>(A | C),
             .window = 65535,
             .payload = std::string(1000, 'c'),
             .ecn = kEct0});
  rig.ExpectSent(A, 1, 3001, 0);
}

TEST(Ecn, AMarkWithoutAnAgreementIsNothing) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.payload = "x", .ecn = kCe});
  rig.ExpectSent(A, 1, 2, 0);
}

TEST(Ecn, AnEchoReducesTheWindowOnceARoundTripAndIsAnswered) {  // 6.1.2
  SubflowRig rig;
  OpenWithEcn(&rig);
  for (int i = 0; i < 10; ++i) rig.Send(1000);
  rig.sent.clear();
  rig.Advance(20ms);
  rig.Input({.ack = 1001, .flags = static_cast<uint16_t>(A | E), .window = 65535});
  const uint32_t ssthresh = rig.subflow->Info().ssthresh;
  EXPECT_LT(ssthresh, 10u * 1448);
  rig.Input({.ack = 2001, .flags = static_cast<uint16_t>(A | E), .window = 65535});
  EXPECT_EQ(rig.subflow->Info().ssthresh, ssthresh);
  EXPECT_EQ(rig.counters.congestion_echoes, 1u);
  EXPECT_EQ(rig.counters.segments_retransmitted, 0u);
  rig.Send(1000);
  rig.Send(1000);
  ASSERT_EQ(rig.sent.size(), 2u);
  EXPECT_EQ(rig.sent[0].flags, A | P | C);
  EXPECT_EQ(rig.sent[1].flags, A | P);
  rig.Input({.ack = 10001, .window = 65535});
  EXPECT_LT(rig.subflow->Info().cwnd, 9u * 1448);  // the reduction is complete
  EXPECT_GE(rig.subflow->Info().cwnd, ssthresh);
}

TEST(Ecn, TheFlagIsNeverOnASegmentThatTheDeviceCuts) {
  SubflowRig rig;
  OpenWithEcn(&rig);
  for (int i = 0; i < 10; ++i) rig.Send(1000);
  rig.Advance(20ms);
  const size_t before = rig.subflow->MaxSegment();
  rig.Input({.ack = 1001, .flags = static_cast<uint16_t>(A | E), .window = 65535});
  EXPECT_GT(before, 1448u);
  EXPECT_LE(rig.subflow->MaxSegment(), 1448u);
}

TEST(Ecn, RetransmissionsAreNotMarked) {  // 6.1.5
  SubflowRig rig;
  OpenWithEcn(&rig);
  rig.Send(1000);
  rig.sent.clear();
  rig.Advance(2s);
  ASSERT_FALSE(rig.sent.empty());
  for (const auto& s : rig.sent) EXPECT_EQ(s.ecn, 0);
}

}  // namespace
}  // namespace mptcptls
