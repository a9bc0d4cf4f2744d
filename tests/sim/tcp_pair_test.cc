// Two subflows as plain TCP over the simulated network: the carrier alone, before any MPTCP.
#include <gmock/gmock.h>

#include <iostream>

#include "tests/sim/tcp_endpoint.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

class TcpPair : public testing::TestWithParam<Family> {
 protected:
  void Make(const LinkConfig& link, uint64_t seed = 1) {
    const bool v4 = GetParam() == Family::kV4;
    const Endpoint a{*IpAddress::Parse(v4 ? "10.0.0.1" : "fd00::1"), 40000};
    const Endpoint b{*IpAddress::Parse(v4 ? "10.0.0.2" : "fd00::2"), 443};
    sim_ = std::make_unique<Simulator>(seed);
    if (std::getenv("SIM_TRACE") != nullptr) {
      sim_->trace().set_sink([](const std::string& line) { std::cout << line << "\n"; });
    }
    Network* network = sim_->AddNetwork();
    LinkConfig perfect;
    perfect.mtu = link.mtu;
    perfect.offload = true;
    a_ = std::make_unique<TcpEndpoint>(sim_.get(), network, "a", a, b, link, link);
    b_ = std::make_unique<TcpEndpoint>(sim_.get(), network, "b", b, a, perfect, perfect);
  }
  // Both send, both end; returns when both saw the other's FIN.
  void Transfer(uint64_t from_a, uint64_t from_b, Duration budget) {
    a_->Send(from_a);
    b_->Send(from_b);
    a_->Connect();
    sim_->RunUntil([&] { return a_->fin_at != kNever && b_->fin_at != kNever; }, Time(budget));
    EXPECT_NE(a_->fin_at, kNever);
    EXPECT_NE(b_->fin_at, kNever);
    EXPECT_EQ(a_->received, from_b);
    EXPECT_EQ(b_->received, from_a);
    EXPECT_FALSE(a_->wrong);
    EXPECT_FALSE(b_->wrong);
    EXPECT_EQ(a_->bad_packets + b_->bad_packets, 0u);
  }
  void ExpectBothLeave() {
    sim_->RunUntil([&] { return a_->closed && b_->closed; }, sim_->now() + 300s);
    EXPECT_EQ(a_->closed, CloseReason::kClosed);
    EXPECT_EQ(b_->closed, CloseReason::kClosed);
    EXPECT_EQ(a_->NextTimer(), kNever);
    EXPECT_EQ(b_->NextTimer(), kNever);
  }
  uint64_t Timeouts() const { return a_->counters.rto_fired + b_->counters.rto_fired; }
  uint64_t Again() const {
    return a_->counters.bytes_retransmitted + b_->counters.bytes_retransmitted;
  }
  uint64_t Lost() const {
    uint64_t lost = 0;
    for (const auto& u : sim_->uplinks()) {
      lost += u->up().stats().lost_payload_bytes + u->down().stats().lost_payload_bytes;
    }
    return lost;
  }

  std::unique_ptr<Simulator> sim_;
  std::unique_ptr<TcpEndpoint> a_, b_;
};
INSTANTIATE_TEST_SUITE_P(Families, TcpPair, testing::Values(Family::kV4, Family::kV6),
                         [](const auto& i) { return i.param == Family::kV4 ? "v4" : "v6"; });

LinkConfig Dsl() { return {.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000}; }

TEST_P(TcpPair, CleanTransferFillsTheLink) {
  Make(Dsl());
  Transfer(8 * kMiB, 0, 1800ms);  // 1.34 s at the link's rate
  EXPECT_EQ(Timeouts(), 0u);
  ExpectBothLeave();
}

TEST_P(TcpPair, BothWays) {
  Make(Dsl());
  Transfer(4 * kMiB, 4 * kMiB, 1500ms);
  EXPECT_EQ(Timeouts(), 0u);
  ExpectBothLeave();
}

TEST_P(TcpPair, LargeSegmentsGoOutWhole) {
  Make({.delay = 100us, .offload = true, .complete_checksums = false});
  Transfer(64 * kMiB, 0, 1s);
  EXPECT_GT(a_->largest_segment, 60'000u);
  EXPECT_EQ(Again(), 0u);
}

TEST_P(TcpPair, WithoutSegmentationOnePacketASegment) {
  Make(Dsl());
  a_->config.segmentation = b_->config.segmentation = false;
  Transfer(kMiB, 0, 1s);
  EXPECT_LE(a_->largest_segment, 1460u);
}

TEST_P(TcpPair, OnePercentLossIsRepairedThriftily) {
  LinkConfig link = Dsl();
  link.loss = 0.01;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Make(link, seed);
    Transfer(8 * kMiB, 0, 20s);
    EXPECT_GT(Lost(), 0u);
    EXPECT_LT(Again(), 2 * Lost()) << "seed " << seed;
  }
}

TEST_P(TcpPair, SackRepairsHolesWithoutTimeout) {
  for (const std::vector<uint64_t>& holes :
       {std::vector<uint64_t>{100}, {100, 101, 102, 103}, {50, 52, 54, 56, 58}, {12, 13, 20}}) {
    Make(Dsl());
    a_->up().AddLossPattern(LoseNth(IsData, holes));
    Transfer(kMiB, 0, 1s);
    EXPECT_EQ(Timeouts(), 0u);
    EXPECT_LT(Again(), 2 * Lost()) << holes.size();
  }
}

TEST_P(TcpPair, ReorderingAndDuplicatesNeedNoTimeout) {
  LinkConfig link = Dsl();
  link.reorder = 0.05;
  link.reorder_delay = 2ms;
  link.duplicate = 0.05;
  Make(link);
  Transfer(4 * kMiB, 4 * kMiB, 10s);
  EXPECT_EQ(Timeouts(), 0u);
  ExpectBothLeave();
}

TEST_P(TcpPair, PeerWithoutSack) {
  Make(Dsl());
  a_->up().AddMiddlebox(StripSackPermitted());
  a_->up().AddLossPattern(LoseNth(IsData, {100, 150, 160}));
  Transfer(2 * kMiB, 0, 5s);
  EXPECT_EQ(Timeouts(), 0u);
}

TEST_P(TcpPair, HandshakeAndEndSurviveLoss) {
  for (auto which : {IsSyn, IsSynAck, IsFin, IsPureAck}) {
    for (bool from_a : {true, false}) {
      Make(Dsl());
      (from_a ? a_ : b_)->up().AddLossPattern(LoseNth(which, {0}));
      Transfer(1000, 1000, 5s);
      ExpectBothLeave();
    }
  }
}

TEST_P(TcpPair, ClosedWindowIsProbedAndOpensAgain) {
  Make(Dsl());
  b_->reading = false;
  b_->receive_buffer = 100'000;
  a_->Send(kMiB);
  b_->Send(0);
  a_->Connect();
  sim_->RunFor(60s);
  EXPECT_LE(b_->received, 100'000u);
  EXPECT_GT(b_->received, 90'000u);
  EXPECT_FALSE(a_->closed);
  b_->ReadAll();
  sim_->RunUntil([&] { return b_->fin_at != kNever; }, sim_->now() + 2s);
  EXPECT_EQ(b_->received, kMiB);
  EXPECT_FALSE(b_->wrong);
}

TEST_P(TcpPair, NobodyAnswers) {
  Make(Dsl());
  a_->up().set_black_hole(true);
  a_->Connect();
  sim_->RunUntil([&] { return a_->closed.has_value(); }, Time(200s));
  EXPECT_EQ(a_->closed, CloseReason::kTimedOut);
  EXPECT_EQ(a_->NextTimer(), kNever);
}

TEST_P(TcpPair, PathDiesAndComesBack) {
  Make(Dsl());
  sim_->queue().After(300ms, [&] { a_->up().set_black_hole(true); });
  sim_->queue().After(2300ms, [&] { a_->up().set_black_hole(false); });
  Transfer(4 * kMiB, 0, 8s);
  EXPECT_GT(a_->timeouts, 0);
}

TEST_P(TcpPair, AbortResetsThePeer) {
  Make(Dsl());
  a_->Send(64 * kMiB);
  a_->Connect();
  sim_->RunFor(500ms);
  a_->subflow->Abort(sim_->now());
  EXPECT_EQ(a_->closed, CloseReason::kAborted);
  sim_->RunFor(100ms);
  EXPECT_EQ(b_->fin_at, kNever);
}

}  // namespace
}  // namespace mptcptls::sim
