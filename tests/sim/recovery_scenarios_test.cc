// Paths that are hard on a sender: what is late is not lost, queues are short, the network marks.
#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

// A download of `bytes` over one path.
Scenario Download(const LinkConfig& link, uint64_t bytes, Duration budget) {
  Scenario s;
  s.paths = {{.up = link, .down = {}}};
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.exchanges[0].server.send_bytes = bytes;
  s.budget = budget;
  return s;
}

struct Result {
  std::vector<std::string> failures;
  std::string summary;
  uint64_t retransmitted = 0, marked = 0, lost = 0, echoes = 0, undone = 0, timeouts_undone = 0;
  Time completed{};
};

Result RunIt(const Scenario& scenario, uint64_t seed = 1) {
  World world(scenario, seed);
  Result r;
  r.failures = world.Run();
  r.summary = Summary(world);
  r.retransmitted = world.Sum(&Counters::bytes_retransmitted);
  r.echoes = world.Sum(&Counters::congestion_echoes);
  r.undone = world.Sum(&Counters::spurious_recoveries);
  r.timeouts_undone = world.Sum(&Counters::spurious_timeouts);
  r.marked = world.down(0).stats().marked;
  r.lost = world.LostPayload();
  r.completed = world.completed();
  return r;
}

// RFC 8985 6.2, RFC 3522, RFC 2883: a fifth of the packets comes 5 ms late. 8 MiB at 50 Mbit/s take
// 1.35 s; the mean of several seeds counts, as slow start may end early in one.
TEST(Recovery, ReorderingCostsLittle) {
  const LinkConfig link{.delay = 10ms,
                        .rate = 50'000'000,
                        .queue_bytes = 250'000,
                        .reorder = 0.2,
                        .reorder_delay = 5ms};
  constexpr uint64_t kSeeds = 8;
  Duration took{0};
  uint64_t undone = 0, retransmitted = 0, lost = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Result r = RunIt(Download(link, 8 * kMiB, 3s), seed);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << "seed " << seed << ": " << r.summary;
    took += r.completed.time_since_epoch();
    undone += r.undone;
    retransmitted += r.retransmitted;
    lost += r.lost;
  }
  EXPECT_LT(took / kSeeds, 2s);
  EXPECT_GE(undone, kSeeds);
  EXPECT_LT(retransmitted, lost + kSeeds * 8 * kMiB / 25);  // 4 % for nothing
}

// RFC 8985 6.2: packets come later than a whole round trip on a path without other troubles. The
// patience for them grows with srtt, which must count what is late. 16 MiB at 100 Mbit/s take 1.35
// s.
TEST(Recovery, ReorderingBeyondTheRoundTripCostsLittle) {
  const LinkConfig link{.delay = 500us,
                        .rate = 100'000'000,
                        .queue_bytes = 250'000,
                        .reorder = 0.25,
                        .reorder_delay = 5ms};
  constexpr uint64_t kSeeds = 8;
  Duration took{0};
  uint64_t retransmitted = 0, lost = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Result r = RunIt(Download(link, 16 * kMiB, 20s), seed);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << "seed " << seed << ": " << r.summary;
    took += r.completed.time_since_epoch();
    retransmitted += r.retransmitted;
    lost += r.lost;
  }
  EXPECT_LT(took / kSeeds, 2s);
  EXPECT_LT(retransmitted, lost + kSeeds * 16 * kMiB / 25);
}

// The first window is small: what is late in it counts as lost, and comes before there is room to
// send it again. That is no congestion, or slow start would be over with ten segments.
TEST(Recovery, ReorderingInTheFirstWindowEndsNoSlowStart) {
  const LinkConfig link{.delay = 50ms,
                        .rate = 100'000'000,
                        .queue_bytes = 1'250'000,
                        .reorder = 0.3,
                        .reorder_delay = 5ms};
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    const Result r = RunIt(Download(link, 16 * kMiB, 5s), seed);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << "seed " << seed << ": " << r.summary;
  }
}

// Every packet overtakes others, and the queue has overflowed: a retransmission must not make the
// peer throw away what it overtook (PAWS), which is a loss again, and so on. 48 MiB at 100 Mbit/s
// take 4.2 s.
TEST(Recovery, RetransmissionsOvertakeWithoutHarm) {
  const LinkConfig link{
      .delay = 50ms, .rate = 100'000'000, .queue_bytes = 1'250'000, .scatter = 5ms};
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    Scenario s = Download(link, 48 * kMiB, 6s);
    s.connect = ConnectAs(AuthPolicy::kTcp, false);
    const Result r = RunIt(s, seed);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << "seed " << seed << ": " << r.summary;
    EXPECT_GT(r.lost, 0u) << "seed " << seed;
    EXPECT_LT(r.retransmitted, r.lost + 64 * 1024) << "seed " << seed;
  }
}

// RFC 5682, RFC 4015: the path is half a second longer for a second. Nothing is lost, so next to
// nothing is sent again.
TEST(Recovery, ADelaySpikeIsNoLoss) {
  Scenario s = Download({.delay = 10ms, .rate = 10'000'000, .queue_bytes = 250'000}, 4 * kMiB, 8s);
  s.client_config.receive_buffer = 131072;  // so that no queue overflows afterwards
  s.events.push_back({500ms, [](World& w) { w.up(0).config().delay = 1500ms; }});
  s.events.push_back({2500ms, [](World& w) { w.up(0).config().delay = 10ms; }});
  const Result r = RunIt(s);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_GE(r.timeouts_undone, 1u) << r.summary;
  EXPECT_LT(r.retransmitted, 64u * 1024) << r.summary;
}

// Pacing: a queue of a fifth of the bandwidth-delay product overflows under bursts of 64 KiB.
TEST(Recovery, PacingSparesAShortQueue) {
  Scenario s = Download({.delay = 30ms, .rate = 40'000'000, .queue_bytes = 60'000}, 16 * kMiB, 20s);
  const Result paced = RunIt(s);
  s.server_config.tcp.pacing = false;
  const Result bursts = RunIt(s);
  EXPECT_THAT(paced.failures, testing::IsEmpty()) << paced.summary;
  const auto took = [](const Result& r) { return r.completed.time_since_epoch(); };
  EXPECT_LT(took(paced) * 5 / 4, took(bursts)) << paced.summary << bursts.summary;
}

// RFC 3168: the network marks, and nothing is lost.
TEST(Recovery, CongestionIsMarkedInsteadOfDropped) {
  for (const Family family : {Family::kV4, Family::kV6}) {
    Scenario s = Download(
        {.delay = 10ms, .rate = 20'000'000, .queue_bytes = 1'000'000, .mark_above = 30'000},
        8 * kMiB, 5s);
    s.family = family;
    s.client_config.tcp.ecn = EcnMode::kAsk;
    const Result r = RunIt(s);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
    EXPECT_GE(r.echoes, 3u) << r.summary;
    EXPECT_GT(r.marked, r.echoes);
    EXPECT_EQ(r.lost, 0u);
    EXPECT_EQ(r.retransmitted, 0u);
  }
}

// RFC 3168 6.1.1: who was not asked does not mark.
TEST(Recovery, WithoutAnAgreementMarksAreNotUsed) {
  Scenario s = Download(
      {.delay = 10ms, .rate = 20'000'000, .queue_bytes = 250'000, .mark_above = 30'000}, kMiB, 2s);
  const Result r = RunIt(s);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_EQ(r.echoes, 0u);
}

// RFC 6582 and RFC 5681 by themselves.
TEST(Recovery, NewRenoRecovers) {
  Scenario s = Download({.delay = 10ms, .rate = 50'000'000, .queue_bytes = 250'000, .loss = 0.005},
                        4 * kMiB, 6s);
  s.server_config.tcp.congestion = CongestionAlgorithm::kNewReno;
  const Result r = RunIt(s);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_LT(r.retransmitted, 2 * r.lost) << r.summary;
}

}  // namespace
}  // namespace mptcptls::sim
