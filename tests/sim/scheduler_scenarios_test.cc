// What the schedulers are for: unlike paths that are never slower than the better one, a stream
// that does not stand still because of a path, small things that stay on the fast path, even
// shares.
#include <algorithm>
#include <memory>

#include "tests/sim/scenario_test.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kMiB = 1u << 20;

LinkConfig Wire(Duration delay, uint64_t rate = 50'000'000) {
  return {.delay = delay, .rate = rate, .queue_bytes = 250'000};
}

// A download of `bytes`, by the server's scheduler `kind`.
Scenario Download(const std::vector<LinkConfig>& links, SchedulerKind kind, uint64_t bytes) {
  Scenario s;
  s.paths.clear();
  for (const LinkConfig& link : links) s.paths.push_back({.up = link, .down = {}});
  s.exchanges[0].client.send_bytes = 200;
  s.exchanges[0].client.ending = Ending::kShutdownAfterPeer;
  s.exchanges[0].server.send_bytes = bytes;
  s.server_config.scheduler = kind;
  s.expect.mode = Mode::kTlsAuth;
  return s;
}

struct Result {
  std::vector<std::string> failures;
  std::string summary;
  Duration took{0};
  std::vector<uint64_t> payload;  // on each path
  Duration longest_stall{0};      // without a new byte for the client, since `watched_from`
  uint64_t penalised = 0, stalls_ended = 0, reinjected = 0;
};

Result RunIt(Scenario s, Duration watched_from = 0s, uint64_t seed = 1) {
  struct Watch {
    uint64_t received = 0;
    Duration since{0}, longest{0};
  } watch;
  constexpr Duration kStep = 5ms;
  for (Duration at = watched_from; at < s.budget; at += kStep) {
    s.events.push_back({at, [&watch, at](World& w) {
                          const SimProgram& client = *w.pair(0).client;
                          if (client.peer_closed() || client.received() == watch.received) {
                            if (!client.peer_closed()) {
                              watch.longest = std::max(watch.longest, at - watch.since);
                            }
                            return;
                          }
                          watch.received = client.received();
                          watch.since = at;
                        }});
  }
  watch.since = watched_from;
  World world(s, seed);
  Result r;
  r.failures = world.Run();
  r.summary = Summary(world);
  r.took = world.completed().time_since_epoch();
  for (size_t i = 0; i < s.paths.size(); ++i) r.payload.push_back(world.PayloadOn(i));
  r.longest_stall = watch.longest;
  r.penalised = world.Sum(&Counters::subflows_penalised);
  r.stalls_ended = world.Sum(&Counters::stalls_ended);
  r.reinjected = world.Sum(&Counters::bytes_reinjected);
  return r;
}

double Share(const Result& r, size_t path) {
  uint64_t total = 0;
  for (const uint64_t payload : r.payload) total += payload;
  return static_cast<double>(r.payload[path]) / static_cast<double>(total);
}

class Schedulers : public testing::TestWithParam<SchedulerKind> {};
std::string NameOf(const testing::TestParamInfo<SchedulerKind>& info) {
  std::string name(SchedulerName(info.param));
  std::ranges::replace(name, '-', '_');
  return name;
}

// ---- All of them

TEST_P(Schedulers, DeliverOverUnlikePathsWithLoss) {
  Scenario s =
      Download({Wire(10ms), Wire(40ms, 10'000'000), Wire(5ms, 20'000'000)}, GetParam(), 2 * kMiB);
  s.exchanges[0].client.send_bytes = kMiB;
  s.client_config.scheduler = GetParam();
  s.paths[0].up.loss = 0.01;
  s.paths[1].up.loss = 0.02;
  s.budget = 20s;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Result r = RunIt(s, 0s, seed);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << "seed " << seed << ": " << r.summary;
  }
}

TEST_P(Schedulers, OutliveEveryPathInTurn) {
  Scenario s = Download({Wire(10ms), Wire(15ms)}, GetParam(), 24 * kMiB);
  for (size_t path : {0u, 1u}) {
    const auto hole = [path](bool on) {
      return [path, on](World& w) { w.client().uplink(path).set_black_hole(on); };
    };
    s.events.push_back({(path == 0 ? 500ms : 4s), hole(true)});
    s.events.push_back({(path == 0 ? 2500ms : 6s), hole(false)});
  }
  s.budget = 30s;
  const Result r = RunIt(s);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
}

// No head-of-line stall longer than one RTO of the best path (60 ms with the queue, 200 more, and
// the time until the bytes are there), when a path dies silently that carries a part of the stream.
// Its own RTO is 600 ms and more.
TEST_P(Schedulers, EndAStallWithinAnRtoOfTheBestPath) {
  Scenario s = Download({Wire(10ms), Wire(200ms)}, GetParam(), 32 * kMiB);
  s.events = {{3s, [](World& w) { w.client().uplink(1).set_black_hole(true); }}};
  s.budget = 30s;
  const Result r = RunIt(s, 2900ms);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_LE(r.longest_stall, 320ms) << r.summary;
}

// One that only is slower than that RTO holds the stream up as well, again and again. It gets
// nothing new until it is heard of, or more than twice as much would go twice.
TEST(Stalls, APathThatHoldsTheStreamUpGetsNoMore) {
  Scenario s = Download({Wire(10ms), Wire(400ms)}, SchedulerKind::kRoundRobin, 6'000'000);
  s.exchanges[0].server.write_chunk = 60'000;
  s.exchanges[0].server.write_interval = 100ms;
  s.budget = 30s;
  const Result r = RunIt(s);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_GT(r.stalls_ended, 1u) << r.summary;
  EXPECT_LE(r.reinjected, 150'000u) << r.summary;
}

// A slow path that loses packets, but delivers what follows them, needs help with the losses only.
TEST(Stalls, LossesOfASlowPathGoAgainAndNothingElse) {
  Scenario s = Download({Wire(15ms, 10'000'000), Wire(150ms, 10'000'000)},
                        SchedulerKind::kLowestRtt, 16 * kMiB);
  s.budget = 30s;
  auto lost = std::make_shared<int>(0);
  s.prepare = [lost](World& w) {
    w.down(1).AddLossPattern([&w, lost](const TcpView& p, uint64_t) {
      const bool lose = IsData(p) && w.simulator().now() > Time(5s) && *lost < 3;
      *lost += lose ? 1 : 0;
      return lose;
    });
  };
  const Result r = RunIt(s, 4900ms);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_GT(r.stalls_ended, 0u) << r.summary;
  EXPECT_LE(r.reinjected, 250'000u) << r.summary;  // a queue overflows, too
}

INSTANTIATE_TEST_SUITE_P(Each, Schedulers,
                         testing::Values(SchedulerKind::kLowestRtt, SchedulerKind::kBlest,
                                         SchedulerKind::kEcf, SchedulerKind::kRoundRobin,
                                         SchedulerKind::kRedundant, SchedulerKind::kLatency),
                         NameOf);

// ---- Unlike paths

class UnlikePaths : public testing::TestWithParam<SchedulerKind> {};

// The fast path is often full, and the peer's window so small that what is put on the slow one
// meanwhile would stop both.
TEST_P(UnlikePaths, AreAsFastAsTheBetterOneAlone) {
  for (const size_t buffer : {128 * 1024, 512 * 1024}) {
    Scenario alone = Download({Wire(10ms, 20'000'000)}, GetParam(), 8 * kMiB);
    alone.paths[0].up.queue_bytes = 40'000;
    alone.client_config.receive_buffer = buffer;
    for (const bool slow_first : {false, true}) {
      Scenario both = alone;
      both.paths.insert(slow_first ? both.paths.begin() : both.paths.end(),
                        {.up = Wire(300ms), .down = {}});
      const Result one = RunIt(alone), two = RunIt(both);
      EXPECT_THAT(two.failures, testing::IsEmpty()) << two.summary;
      // Over the slow path the handshake alone takes so much longer.
      const Duration handshake = slow_first ? 3s : 0s;
      // Until the other path is there, and no more.
      EXPECT_LE(two.payload[slow_first ? 0 : 1], slow_first ? 30'000u : 0u) << two.summary;
      EXPECT_LE(two.took, one.took * 102 / 100 + handshake) << buffer << " bytes of window:\n"
                                                            << one.summary << two.summary;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Each, UnlikePaths,
                         testing::Values(SchedulerKind::kLowestRtt, SchedulerKind::kBlest,
                                         SchedulerKind::kEcf, SchedulerKind::kLatency),
                         NameOf);

// ---- Opportunistic reinjection

// Half of what the window takes is put on the slow path, whose bytes need 300 ms. They go again on
// the other one as soon as it has nothing else to do.
TEST(OpportunisticReinjection, ASlowPathDoesNotBlockTheWindow) {
  Scenario s = Download({Wire(10ms), Wire(300ms)}, SchedulerKind::kRoundRobin, 32 * kMiB);
  s.client_config.receive_buffer = 128 * 1024;
  s.budget = 20s;
  const Result r = RunIt(s, 2s);
  EXPECT_GT(r.took, 4s) << "it was over before it was looked at";
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_LE(r.longest_stall, 100ms) << r.summary;
}

// A path with a long queue of its own making: what is on it holds the window up, so its own is made
// smaller, and the queue with it.
TEST(OpportunisticReinjection, APathThatBlocksIsPenalised) {
  Scenario alone = Download({Wire(10ms)}, SchedulerKind::kLowestRtt, 24 * kMiB);
  alone.client_config.receive_buffer = 512 * 1024;
  alone.budget = 20s;
  Scenario both = alone;
  both.paths.push_back({.up = Wire(20ms, 1'000'000), .down = {}});
  const Result one = RunIt(alone), two = RunIt(both);
  EXPECT_THAT(two.failures, testing::IsEmpty()) << two.summary;
  EXPECT_LE(two.took, one.took * 102 / 100) << one.summary << two.summary;
  EXPECT_GT(two.penalised, 0u) << two.summary;
}

// ---- Round robin

TEST(RoundRobin, SharesEvenly) {
  Scenario s = Download({Wire(5ms), Wire(30ms), Wire(60ms)}, SchedulerKind::kRoundRobin, 8 * kMiB);
  // A tenth of what the paths take, so that their windows decide nothing.
  s.exchanges[0].server.write_chunk = 20'000;
  s.exchanges[0].server.write_interval = 10ms;
  s.server_config.tcp.pacing = false;  // a path whose time has not come has no room
  s.budget = 10s;
  const Result r = RunIt(s);
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  for (size_t path = 0; path < 3; ++path) EXPECT_NEAR(Share(r, path), 1.0 / 3, 0.03) << r.summary;
}

// ---- Redundant

TEST(Redundant, ASilentDeathIsNotNoticed) {
  for (const size_t dies : {0u, 1u}) {
    Scenario s = Download({Wire(10ms), Wire(12ms)}, SchedulerKind::kRedundant, 8 * kMiB);
    s.events = {{800ms, [dies](World& w) { w.client().uplink(dies).set_black_hole(true); }}};
    s.budget = 10s;
    const Result r = RunIt(s, 700ms);
    EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
    EXPECT_LE(r.longest_stall, 30ms) << "path " << dies << "\n" << r.summary;
  }
}

// What goes twice costs the fast path nothing.
TEST(Redundant, IsAsFastAsTheBetterPathAlone) {
  const Result one = RunIt(Download({Wire(10ms)}, SchedulerKind::kRedundant, 8 * kMiB));
  const Result two =
      RunIt(Download({Wire(10ms), Wire(100ms)}, SchedulerKind::kRedundant, 8 * kMiB));
  EXPECT_THAT(two.failures, testing::IsEmpty()) << two.summary;
  EXPECT_LE(two.took, one.took * 102 / 100) << one.summary << two.summary;
  EXPECT_GE(two.payload[0], 8 * kMiB) << two.summary;
  EXPECT_GE(two.payload[1], kMiB / 2) << two.summary;
}

// ---- Latency first

// A few segments each, faster one after the other than the fast path's first windows take.
Scenario SmallAnswers(SchedulerKind kind) {
  Scenario s = Download({Wire(10ms), Wire(14ms)}, kind, 400'000);
  s.exchanges[0].server.write_chunk = 8'000;
  s.exchanges[0].server.write_interval = 5ms;
  s.budget = 10s;
  return s;
}

TEST(LatencyFirst, KeepsWhatIsSmallOnTheFastPath) {
  const Result spread = RunIt(SmallAnswers(SchedulerKind::kLowestRtt));
  EXPECT_GT(spread.payload[1], 10'000u) << "the scenario tests nothing\n" << spread.summary;
  const Result r = RunIt(SmallAnswers(SchedulerKind::kLatency));
  EXPECT_THAT(r.failures, testing::IsEmpty()) << r.summary;
  EXPECT_EQ(r.payload[1], 0u) << r.summary;
}

TEST(LatencyFirst, SpreadsWhatIsLarge) {
  const Result one = RunIt(Download({Wire(10ms)}, SchedulerKind::kLatency, 16 * kMiB));
  const Result two = RunIt(Download({Wire(10ms), Wire(14ms)}, SchedulerKind::kLatency, 16 * kMiB));
  EXPECT_THAT(two.failures, testing::IsEmpty()) << two.summary;
  EXPECT_LE(two.took, one.took * 6 / 10) << one.summary << two.summary;
}

}  // namespace
}  // namespace mptcptls::sim
