// What each policy decides, from plain numbers.
#include "stack/mptcp/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>
#include <vector>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

constexpr uint32_t kMss = 1000;

// A view that a test changes a little. Path 0 takes 20 ms and has used its window up, path 1 takes
// `slow` and has room.
struct Scene {
  explicit Scene(Duration slow = 200ms) {
    paths = {{.id = 1,
              .srtt = 20ms,
              .rttvar = 2ms,
              .cwnd = 20 * kMss,
              .in_flight = 20 * kMss,
              .room = 0,
              .mss = kMss,
              .unacked = 20 * kMss},
             {.id = 2,
              .srtt = slow,
              .rttvar = 10ms,
              .cwnd = 20 * kMss,
              .in_flight = 0,
              .room = 20 * kMss,
              .mss = kMss}};
    Written(10'000'000);
    view.send_window = 20'000'000;
  }
  Scene& Written(uint64_t bytes) {
    view.backlog = view.window = bytes;
    return *this;
  }
  Scene& WithRoomOnBoth() {
    paths[0].in_flight = 0;
    paths[0].room = paths[0].cwnd;
    return *this;
  }
  const SendView& Seen() {
    view.paths = paths;
    view.carriers = &carriers;
    return view;
  }

  std::vector<PathView> paths;
  Carriers carriers;
  SendView view;
};

std::optional<size_t> PickOf(SchedulerKind kind, Scene scene) {
  return Scheduler::Create(kind)->Pick(scene.Seen());
}

constexpr SchedulerKind kAll[] = {SchedulerKind::kLowestRtt, SchedulerKind::kBlest,
                                  SchedulerKind::kEcf,       SchedulerKind::kRoundRobin,
                                  SchedulerKind::kRedundant, SchedulerKind::kLatency};

// ---- Common to all

TEST(Scheduler, EachHasItsName) {
  for (const auto& [name, kind] : kSchedulerNames) {
    EXPECT_EQ(SchedulerName(kind), name);
    EXPECT_EQ(Scheduler::Create(kind)->kind(), kind);
  }
}

TEST(Scheduler, BackupsAndSilentPathsAreUsedLast) {
  for (const SchedulerKind kind : kAll) {
    SCOPED_TRACE(SchedulerName(kind));
    Scene scene;
    scene.WithRoomOnBoth().paths[0].backup = true;
    EXPECT_THAT(PickOf(kind, scene), Optional(1));
    scene.paths[1].room = 0;
    EXPECT_THAT(PickOf(kind, scene), Eq(std::nullopt)) << "the other one only has no room";
    scene.paths[1].stale = true;
    EXPECT_THAT(PickOf(kind, scene), Optional(0)) << "a backup before one that does not answer";
    scene.paths[0].stale = true;
    scene.paths[1].room = 1;
    EXPECT_THAT(PickOf(kind, scene), Optional(1)) << "of two silent ones the regular one";
  }
}

TEST(Scheduler, NothingWithoutPathsOrRoom) {
  for (const SchedulerKind kind : kAll) {
    SCOPED_TRACE(SchedulerName(kind));
    Scene scene;
    scene.paths[1].room = 0;
    EXPECT_THAT(PickOf(kind, scene), Eq(std::nullopt));
    scene.paths.clear();
    EXPECT_THAT(PickOf(kind, scene), Eq(std::nullopt));
    EXPECT_FALSE(Scheduler::Create(kind)->Again(scene.Seen()).has_value());
  }
}

// ---- Opportunistic reinjection

// Bytes at the beginning are on the slow path, the next ones on the fast one, and the window is
// used up.
Scene Blocked(Duration slow = 200ms) {
  Scene scene(slow);
  scene.WithRoomOnBoth();
  scene.carriers.Sent(1000, 3000, 2);
  scene.carriers.Sent(3000, 9000, 1);
  scene.carriers.Sent(9000, 10000, 2);
  scene.view.una = 1000;
  scene.view.next = 10000;
  scene.view.window = 0;
  scene.view.blocked = true;
  return scene;
}

TEST(OpportunisticReinjection, WhatBlocksGoesAgainOnTheFastPath) {
  Scene scene = Blocked();
  const auto scheduler = Scheduler::Create(SchedulerKind::kLowestRtt);
  std::optional<Repeat> repeat = scheduler->Again(scene.Seen());
  ASSERT_TRUE(repeat);
  EXPECT_EQ(repeat->path, 0u);
  EXPECT_EQ(repeat->begin, 1000u);
  EXPECT_EQ(repeat->end, 3000u);
  EXPECT_THAT(repeat->penalised, Optional(1));
  // It is there now, so the next hole is looked after.
  scene.carriers.Sent(1000, 3000, 1);
  repeat = scheduler->Again(scene.Seen());
  ASSERT_TRUE(repeat);
  EXPECT_EQ(repeat->begin, 9000u);
  scene.carriers.Sent(9000, 10000, 1);
  EXPECT_FALSE(scheduler->Again(scene.Seen()));
}

TEST(OpportunisticReinjection, OnlyWhereItHelps) {
  const auto scheduler = Scheduler::Create(SchedulerKind::kLowestRtt);
  Scene scene = Blocked();
  scene.view.blocked = false;
  EXPECT_FALSE(scheduler->Again(scene.Seen())) << "nothing waits";
  scene = Blocked();
  scene.paths[0].room = 0;
  EXPECT_FALSE(scheduler->Again(scene.Seen())) << "the fast path is full, and the other has them";
  scene = Blocked(30ms);
  EXPECT_FALSE(scheduler->Again(scene.Seen())) << "they are about to arrive";
}

TEST(OpportunisticReinjection, RoundRobinPenalisesNobody) {
  const std::optional<Repeat> repeat =
      Scheduler::Create(SchedulerKind::kRoundRobin)->Again(Blocked().Seen());
  ASSERT_TRUE(repeat);
  EXPECT_FALSE(repeat->penalised);
}

// ---- Lowest RTT

TEST(LowestRtt, TheFastestWithRoom) {
  EXPECT_THAT(PickOf(SchedulerKind::kLowestRtt, Scene().WithRoomOnBoth()), Optional(0));
  EXPECT_THAT(PickOf(SchedulerKind::kLowestRtt, Scene()), Optional(1));
}

TEST(LowestRtt, WaitsWhereTheFastPathIsDoneEarlierAlone) {
  // In flight and to come: ten windows, and one round more for the last to arrive.
  EXPECT_THAT(PickOf(SchedulerKind::kLowestRtt, Scene(221ms).Written(180'000)), Eq(std::nullopt));
  EXPECT_THAT(PickOf(SchedulerKind::kLowestRtt, Scene(219ms).Written(180'000)), Optional(1));
}

// ---- BLEST

TEST(Blest, WaitsWhereTheSlowPathWouldBlockTheWindow) {
  // In ten round trips the fast path sends (20 + 4.5) * 10 segments, and by 1.19 more (lambda).
  constexpr uint64_t kSent = 245 * kMss * 119 / 100;
  Scene scene;
  scene.paths[1].unacked = 5 * kMss;
  scene.view.send_window = kSent + 6 * kMss;
  EXPECT_THAT(PickOf(SchedulerKind::kBlest, scene), Optional(1));
  scene.view.send_window -= 1;
  EXPECT_THAT(PickOf(SchedulerKind::kBlest, scene), Eq(std::nullopt));
  EXPECT_THAT(PickOf(SchedulerKind::kBlest, scene.WithRoomOnBoth()), Optional(0));
}

TEST(Blest, LearnsFromBlocking) {
  const auto scheduler = Scheduler::Create(SchedulerKind::kBlest);
  // The least window with which the slow path gets a segment, after a round trip.
  const auto least = [&](Time now) {
    Scene scene;
    scene.view.now = now;
    for (scene.view.send_window = 200 * kMss; !scheduler->Pick(scene.Seen());
         scene.view.send_window += 100) {
    }
    return scene.view.send_window;
  };
  Time now(1s);
  uint64_t before = least(now);
  for (int i = 0; i < 30; ++i) {
    const uint64_t after = least(now += 20ms);
    EXPECT_LE(after, before);
    before = after;
  }
  EXPECT_EQ(before, 246 * kMss) << "lambda is 1 after a while without blocking";
  ASSERT_TRUE(scheduler->Again(Blocked().Seen()));
  const uint64_t careful = least(now += 20ms);
  EXPECT_GT(careful, before + 9 * kMss);
  EXPECT_EQ(least(now + 10ms), careful) << "once a round trip";
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(scheduler->Again(Blocked().Seen()));
    least(now += 20ms);
  }
  EXPECT_NEAR(static_cast<double>(least(now)), 245 * kMss * 1.3 + kMss, 200) << "it has a bound";
}

// ---- ECF

TEST(Ecf, WaitsWhereTheFastPathCompletesEarlier) {
  // n RTT_f < RTT_s + delta: (1 + k / 20) * 20 ms < 210 ms, for k below 190 segments.
  EXPECT_THAT(PickOf(SchedulerKind::kEcf, Scene().Written(189 * kMss)), Eq(std::nullopt));
  EXPECT_THAT(PickOf(SchedulerKind::kEcf, Scene().Written(191 * kMss)), Optional(1));
  EXPECT_THAT(PickOf(SchedulerKind::kEcf, Scene().Written(1)), Eq(std::nullopt)) << "the tail";
  // Nor is it waited for where the slow one is done in two of its round trips (and delta): 50 ms.
  EXPECT_THAT(PickOf(SchedulerKind::kEcf, Scene(40ms).Written(24 * kMss)), Optional(1));
  EXPECT_THAT(PickOf(SchedulerKind::kEcf, Scene(40ms).Written(26 * kMss)), Eq(std::nullopt));
  EXPECT_THAT(PickOf(SchedulerKind::kEcf, Scene().WithRoomOnBoth()), Optional(0));
}

TEST(Ecf, WhoWaitsHasPatience) {
  const auto scheduler = Scheduler::Create(SchedulerKind::kEcf);
  const auto pick = [&](uint64_t segments) {
    return scheduler->Pick(Scene().Written(segments * kMss).Seen());
  };
  EXPECT_THAT(pick(200), Optional(1));
  EXPECT_THAT(pick(180), Eq(std::nullopt));
  EXPECT_THAT(pick(200), Eq(std::nullopt)) << "beta: a quarter more";
  EXPECT_THAT(pick(242), Eq(std::nullopt));
  EXPECT_THAT(pick(243), Optional(1));
  EXPECT_THAT(pick(200), Optional(1)) << "it waits no longer";
}

// ---- Round robin

TEST(RoundRobin, TheLeastServedIsNext) {
  const auto scheduler = Scheduler::Create(SchedulerKind::kRoundRobin);
  Scene scene;
  scene.WithRoomOnBoth();
  scene.paths.push_back(scene.paths[1]);
  scene.paths[2].id = 7;
  const auto send = [&](size_t bytes) {
    const size_t pick = scheduler->Pick(scene.Seen()).value();
    scheduler->OnSent(scene.paths[pick], bytes);
    return pick;
  };
  std::vector<size_t> turns;
  for (int i = 0; i < 7; ++i) turns.push_back(send(kMss));
  EXPECT_THAT(turns, ElementsAre(0, 1, 2, 0, 1, 2, 0));
  EXPECT_EQ(send(50 * kMss), 1u);
  // What was served more has to wait.
  for (int i = 0; i < 50; ++i) EXPECT_NE(send(2 * kMss), 1u);
  // One that had no room for a long time is made up to, but not for all of it.
  scene.paths[0].room = 0;
  for (int i = 0; i < 1000; ++i) send(2 * kMss);
  scene.paths[0].room = 10 * kMss;
  size_t made_up = 0;
  while (send(kMss) == 0) made_up += kMss;
  EXPECT_NEAR(static_cast<double>(made_up), 262'144, 2 * kMss);
  // One that is gone is not missed, a new one begins where the others are.
  scene.paths[0].id = 8;
  send(kMss);
  const size_t first = send(kMss);
  EXPECT_NE(send(kMss), first);
}

// ---- Redundant

TEST(Redundant, EachPathSendsEverything) {
  const auto scheduler = Scheduler::Create(SchedulerKind::kRedundant);
  EXPECT_TRUE(scheduler->sends_everywhere());
  Scene scene;
  scene.WithRoomOnBoth();
  scene.view.una = 1000;
  scene.view.next = 10000;
  scene.paths[0].sent_to = 10000;
  scene.paths[1].sent_to = 500;  // a part of what it did not send is acknowledged
  EXPECT_THAT(scheduler->Pick(scene.Seen()), Optional(0)) << "new bytes go first on the fastest";
  std::optional<Repeat> repeat = scheduler->Again(scene.Seen());
  ASSERT_TRUE(repeat);
  EXPECT_EQ(repeat->path, 1u);
  EXPECT_EQ(repeat->begin, 1000u);
  EXPECT_EQ(repeat->end, 10000u);
  EXPECT_FALSE(repeat->penalised);
  // The fast path is full, or dead and not known to be: the other one goes on without it.
  scene.paths[0].room = 0;
  EXPECT_THAT(scheduler->Pick(scene.Seen()), Eq(std::nullopt));
  scene.paths[1].sent_to = 10000;
  EXPECT_THAT(scheduler->Pick(scene.Seen()), Optional(1));
  EXPECT_FALSE(scheduler->Again(scene.Seen()));
  // Then the fast one has to catch up, in order.
  scene.paths[0].room = 5000;
  scene.paths[0].sent_to = 9000;
  EXPECT_THAT(scheduler->Pick(scene.Seen()), Eq(std::nullopt));
  repeat = scheduler->Again(scene.Seen());
  ASSERT_TRUE(repeat);
  EXPECT_EQ(repeat->path, 0u);
  EXPECT_EQ(repeat->begin, 9000u);
}

// ---- Latency

TEST(Latency, WhatIsSmallWaitsForTheFastPath) {
  for (const Duration slow : {21ms, 200ms}) {
    EXPECT_THAT(PickOf(SchedulerKind::kLatency, Scene(slow).Written(10 * kMss)), Eq(std::nullopt));
    EXPECT_THAT(PickOf(SchedulerKind::kLatency, Scene(slow).Written(10 * kMss).WithRoomOnBoth()),
                Optional(0));
  }
  EXPECT_THAT(PickOf(SchedulerKind::kLatency, Scene(30ms).Written(11 * kMss)), Optional(1));
  EXPECT_THAT(PickOf(SchedulerKind::kLatency, Scene(200ms).Written(11 * kMss)), Eq(std::nullopt))
      << "as the default";
}

TEST(Latency, TheTailGoesAgainOnTheFastPath) {
  const auto scheduler = Scheduler::Create(SchedulerKind::kLatency);
  Scene scene = Blocked();
  scene.view.blocked = false;
  scene.view.backlog = 0;
  const std::optional<Repeat> repeat = scheduler->Again(scene.Seen());
  ASSERT_TRUE(repeat);
  EXPECT_EQ(repeat->begin, 1000u);
  EXPECT_EQ(repeat->end, 3000u);
  EXPECT_FALSE(repeat->penalised) << "it has blocked nobody";
  scene.view.backlog = 1;
  EXPECT_FALSE(scheduler->Again(scene.Seen())) << "more is to come";
  scene.view.backlog = 0;
  scene.carriers.Sent(10000, 12000, 1);
  scene.view.next = 12000;
  EXPECT_FALSE(scheduler->Again(scene.Seen())) << "it is no small tail";
}

}  // namespace
}  // namespace mptcptls
