// Each property of a link, alone, with the exact time or count that it must have.
#include "tests/sim/link.h"

#include <gmock/gmock.h>

#include "tests/sim/packets.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

struct Arrival {
  Time time;
  Packet packet;
};

class LinkTest : public testing::Test {
 protected:
  Link& Make(const LinkConfig& config, uint64_t seed = 1) {
    link_ = std::make_unique<Link>("l", config, &queue_, Rng(seed), &trace_, [this](Packet p) {
      arrivals_.push_back({queue_.now(), std::move(p)});
    });
    return *link_;
  }
  void Run() {
    while (!queue_.empty()) queue_.RunNext();
  }
  std::vector<Duration> Times() const {
    std::vector<Duration> out;
    for (const Arrival& a : arrivals_) out.push_back(a.time.time_since_epoch());
    return out;
  }
  static Packet Data(size_t payload, uint32_t seq = 1000) {
    TcpSpec spec;
    spec.seq = seq;
    spec.payload = Bytes(payload);
    return Build(spec);
  }
  std::vector<uint32_t> Sequence() {
    std::vector<uint32_t> out;
    for (Arrival& a : arrivals_) out.push_back(TcpView::Of(a.packet.bytes)->seq());
    return out;
  }

  EventQueue queue_;
  Trace trace_;
  std::unique_ptr<Link> link_;
  std::vector<Arrival> arrivals_;
};

TEST_F(LinkTest, DelayIsExact) {
  Make({.delay = 10ms}).Send(Data(100));
  Run();
  EXPECT_THAT(Times(), ElementsAre(10ms));
}

TEST_F(LinkTest, RateSpacesPackets) {
  Link& link = Make({.delay = 1ms, .rate = 8'000'000});  // 1 byte per microsecond
  link.Send(Data(960));                                  // 1,000 bytes with headers
  link.Send(Data(960));
  Run();
  EXPECT_THAT(Times(), ElementsAre(2ms, 3ms));
}

TEST_F(LinkTest, FullQueueDropsTheTail) {
  Link& link = Make({.rate = 8'000'000, .queue_bytes = 2500});
  for (uint32_t i = 0; i < 4; ++i) link.Send(Data(960, i));
  Run();
  EXPECT_THAT(Sequence(), ElementsAre(0, 1));
  EXPECT_EQ(link.stats().queue_drops, 2u);
  EXPECT_EQ(link.stats().lost_payload_bytes, 1920u);
}

TEST_F(LinkTest, CutsLargePacketsAndCompletesChecksums) {
  Link& link = Make({});
  Packet packet = Data(4000);
  packet.gso_size = 1400;
  packet.partial_checksum = true;
  Seal(&packet);
  link.Send(packet);
  Run();
  ASSERT_EQ(arrivals_.size(), 3u);
  for (Arrival& a : arrivals_) {
    EXPECT_FALSE(a.packet.partial_checksum);
    EXPECT_EQ(TcpView::Of(a.packet.bytes)->checksum(), TinsChecksum(a.packet));
  }
}

TEST_F(LinkTest, OffloadLetsThemCrossWhole) {
  Link& link = Make({.offload = true, .complete_checksums = false});
  Packet packet = Data(4000);
  packet.gso_size = 1400;
  packet.partial_checksum = true;
  link.Send(packet);
  Run();
  ASSERT_EQ(arrivals_.size(), 1u);
  EXPECT_EQ(arrivals_[0].packet.gso_size, 1400);
  EXPECT_TRUE(arrivals_[0].packet.partial_checksum);
}

TEST_F(LinkTest, AboveTheMtuNothingArrives) {
  Link& link = Make({.mtu = 1400});
  link.Send(Data(1361));
  Packet gso = Data(4000);
  gso.gso_size = 1361;
  link.Send(gso);
  link.Send(Data(1360));
  Run();
  EXPECT_EQ(arrivals_.size(), 1u);
  EXPECT_EQ(link.stats().oversize_drops, 2u);
}

TEST_F(LinkTest, LossHasItsProbability) {
  Link& link = Make({.loss = 0.1});
  for (int i = 0; i < 10000; ++i) link.Send(Data(10));
  Run();
  EXPECT_NEAR(static_cast<double>(arrivals_.size()), 9000, 150);
  EXPECT_EQ(arrivals_.size() + link.stats().lost_packets, 10000u);
}

TEST_F(LinkTest, LossPatternHitsExactlyThosePackets) {
  Link& link = Make({});
  link.AddLossPattern(LoseNth(IsData, {1, 3}));
  for (uint32_t i = 0; i < 5; ++i) link.Send(Data(10, i));
  Run();
  EXPECT_THAT(Sequence(), ElementsAre(0, 2, 4));
}

TEST_F(LinkTest, DuplicatesArriveTwice) {
  Link& link = Make({.duplicate = 1});
  link.Send(Data(10));
  Run();
  EXPECT_EQ(arrivals_.size(), 2u);
}

TEST_F(LinkTest, ReorderHoldsSomeBack) {
  Link& link = Make({.delay = 1ms, .reorder = 0.2, .reorder_delay = 500us});
  for (uint32_t i = 0; i < 100; ++i) {
    link.Send(Data(10, i));
    queue_.AdvanceTo(queue_.now() + 10us);
  }
  Run();
  const auto order = Sequence();
  EXPECT_EQ(order.size(), 100u);
  EXPECT_FALSE(std::ranges::is_sorted(order));
  EXPECT_GT(link.stats().reordered, 5u);
}

TEST_F(LinkTest, JitterKeepsTheOrder) {
  Link& link = Make({.delay = 1ms, .jitter = 5ms});
  for (uint32_t i = 0; i < 100; ++i) link.Send(Data(10, i));
  Run();
  EXPECT_TRUE(std::ranges::is_sorted(Sequence()));
  EXPECT_GT(arrivals_.back().time.time_since_epoch(), 3ms);
}

TEST_F(LinkTest, ScatteredPacketsOvertakeOneAnother) {
  Link& link = Make({.delay = 1ms, .scatter = 5ms});
  for (uint32_t i = 0; i < 100; ++i) link.Send(Data(10, i));
  Run();
  EXPECT_FALSE(std::ranges::is_sorted(Sequence()));
  EXPECT_GT(link.stats().reordered, 50u);
  EXPECT_GE(arrivals_.front().time.time_since_epoch(), 1ms);
  EXPECT_LE(arrivals_.back().time.time_since_epoch(), 6ms);
}

TEST_F(LinkTest, BlackHoleSwallowsAlsoWhatIsOnItsWay) {
  Link& link = Make({.delay = 10ms});
  link.Send(Data(10, 1));
  queue_.After(5ms, [&] { link.set_black_hole(true); });
  queue_.After(6ms, [&] { link.Send(Data(10, 2)); });
  queue_.After(20ms, [&] { link.set_black_hole(false); });
  queue_.After(21ms, [&] { link.Send(Data(10, 3)); });
  Run();
  EXPECT_THAT(Sequence(), ElementsAre(3));
  EXPECT_EQ(link.stats().down_drops, 2u);
}

TEST_F(LinkTest, GroJoinsWhatComesTogether) {
  Link& link = Make({.gro = 50us});
  Packet packet = Data(4000);
  packet.gso_size = 1400;
  link.Send(packet);
  Run();
  ASSERT_EQ(arrivals_.size(), 1u);
  EXPECT_EQ(TcpView::Of(arrivals_[0].packet.bytes)->payload().size(), 4000u);
  // Shorter than a full one: no waiting for more.
  EXPECT_THAT(Times(), ElementsAre(0ms));
}

TEST_F(LinkTest, GroLetsGoAfterItsTime) {
  Make({.gro = 50us}).Send(Data(100));
  Run();
  EXPECT_THAT(Times(), ElementsAre(50us));
}

TEST_F(LinkTest, TheSameSeedDrawsTheSame) {
  const LinkConfig config{.delay = 1ms, .loss = 0.3, .duplicate = 0.1, .jitter = 2ms};
  std::vector<Duration> first;
  for (int run = 0; run < 2; ++run) {
    EventQueue fresh;
    std::vector<Duration> times;
    Link link("l", config, &fresh, Rng(7), &trace_,
              [&](const Packet&) { times.push_back(fresh.now().time_since_epoch()); });
    for (int i = 0; i < 200; ++i) link.Send(Data(10));
    while (!fresh.empty()) fresh.RunNext();
    if (run == 0) {
      first = times;
    } else {
      EXPECT_EQ(times, first);
    }
  }
}

}  // namespace
}  // namespace mptcptls::sim
