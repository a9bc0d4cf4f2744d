// Clock, dice, routing and the trace's hash.
#include "tests/sim/simulator.h"

#include <gmock/gmock.h>

#include "tests/sim/packets.h"

namespace mptcptls::sim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class Sink : public Node {
 public:
  explicit Sink(Simulator* sim) : sim_(sim) {}
  void Receive(Packet packet) override { received.emplace_back(sim_->now(), std::move(packet)); }
  std::vector<std::pair<Time, Packet>> received;

 private:
  Simulator* sim_;
};

TEST(EventQueue, RunsInOrderOfTimeThenOfScheduling) {
  EventQueue queue;
  std::vector<int> order;
  queue.After(2ms, [&] { order.push_back(3); });
  queue.After(1ms, [&] { order.push_back(1); });
  queue.After(1ms, [&] {
    order.push_back(2);
    queue.After(0ms, [&] { order.push_back(20); });
  });
  while (!queue.empty()) queue.RunNext();
  EXPECT_THAT(order, ElementsAre(1, 2, 20, 3));
  EXPECT_EQ(queue.now().time_since_epoch(), 2ms);
}

// Pinned, so that a seed printed today means the same run tomorrow and on another machine.
TEST(Rng, IsTheSameEverywhere) {
  Rng rng(42);
  EXPECT_EQ(rng.Next(), 0x15780b2e0c2ec716u);
  EXPECT_EQ(rng.Next(), 0x6104d9866d113a7eu);
  Rng other = Rng(42).Fork(1);
  EXPECT_NE(other.Next(), Rng(42).Fork(2).Next());
}

TEST(Rng, ChanceAndBetweenStayInBounds) {
  Rng rng(1);
  int hits = 0;
  for (int i = 0; i < 100000; ++i) {
    hits += rng.Chance(0.25);
    const int64_t v = rng.Between(-3, 4);
    ASSERT_GE(v, -3);
    ASSERT_LE(v, 4);
  }
  EXPECT_NEAR(hits, 25000, 600);
  EXPECT_FALSE(rng.Chance(0));
  EXPECT_TRUE(rng.Chance(1));
}

class SimulatorTest : public testing::Test {
 protected:
  SimulatorTest() {
    Network* network = sim_.AddNetwork();
    a_up_ = sim_.AddUplink(&a_, network, "a", {*IpAddress::Parse("10.0.0.1")}, {.delay = 3ms},
                           {.delay = 4ms});
    b_up_ = sim_.AddUplink(&b_, network, "b", {*IpAddress::Parse("10.0.0.2")}, {.delay = 5ms},
                           {.delay = 6ms});
    sim_.AddNode(&a_);
    sim_.AddNode(&b_);
  }
  Simulator sim_{1};
  Sink a_{&sim_}, b_{&sim_};
  Uplink* a_up_;
  Uplink* b_up_;
};

TEST_F(SimulatorTest, RoutesByDestinationOverBothLinks) {
  a_up_->up().Send(Build({}));
  sim_.RunFor(1s);
  ASSERT_EQ(b_.received.size(), 1u);
  EXPECT_EQ(b_.received[0].first.time_since_epoch(), 9ms);
  EXPECT_EQ(sim_.now().time_since_epoch(), 1s);
}

TEST_F(SimulatorTest, ABottleneckComesBeforeTheUplinksBehindIt) {
  Sink c(&sim_);
  Uplink* const c_up = sim_.AddUplink(&c, b_up_->network(), "c", {*IpAddress::Parse("10.0.0.3")},
                                      {.delay = 1ms}, {.delay = 2ms});
  // A packet with its headers takes 1 ms of it.
  TcpSpec to_b, to_c;
  to_c.destination = "10.0.0.3";
  const uint64_t rate = Build(to_b).bytes.size() * 8 * 1000;
  const Link* shared = sim_.AddBottleneck("shared", {.delay = 10ms, .rate = rate}, {b_up_, c_up});
  a_up_->up().Send(Build(to_b));
  a_up_->up().Send(Build(to_c));
  sim_.RunFor(1s);
  ASSERT_EQ(b_.received.size(), 1u);
  EXPECT_EQ(b_.received[0].first.time_since_epoch(), 3ms + 1ms + 10ms + 6ms);
  ASSERT_EQ(c.received.size(), 1u);
  EXPECT_EQ(c.received[0].first.time_since_epoch(), 3ms + 2ms + 10ms + 2ms);  // waited for b's
  EXPECT_EQ(shared->stats().packets, 2u);
}

TEST_F(SimulatorTest, NoRouteIsTracedAndDropped) {
  TcpSpec spec;
  spec.destination = "10.9.9.9";
  std::string lines;
  sim_.trace().set_sink([&](const std::string& line) { lines += line + "\n"; });
  a_up_->up().Send(Build(spec));
  sim_.RunFor(1s);
  EXPECT_TRUE(b_.received.empty());
  EXPECT_THAT(lines, testing::HasSubstr("NO ROUTE"));
  EXPECT_THAT(lines, testing::HasSubstr("10.0.0.1:40000 > 10.9.9.9:443 A seq 1000"));
}

TEST_F(SimulatorTest, RunUntilStopsAtTheConditionAndAtTheDeadline) {
  a_up_->up().Send(Build({}));
  EXPECT_TRUE(sim_.RunUntil([&] { return !b_.received.empty(); }, Time(1s)));
  EXPECT_EQ(sim_.now().time_since_epoch(), 9ms);
  EXPECT_FALSE(sim_.RunUntil([&] { return b_.received.size() > 1; }, Time(1s)));
  EXPECT_EQ(sim_.now().time_since_epoch(), 1s);
  EXPECT_FALSE(sim_.RunUntil([] { return false; }, kNever)) << "nothing left to do";
}

class StuckNode : public Node {
 public:
  void Receive(Packet) override {}
  Time NextTimer() const override { return Time(1ms); }
};

TEST_F(SimulatorTest, ATimerThatNeverMovesIsNoticed) {
  StuckNode stuck;
  sim_.AddNode(&stuck);
  EXPECT_FALSE(sim_.RunUntil([] { return false; }, Time(1s)));
  EXPECT_THAT(sim_.stuck(), testing::HasSubstr("live lock"));
}

TEST(Trace, HashSeesTimeLinkEventAndEveryByte) {
  const Packet packet = Build({});
  const auto hash = [](Time t, const char* link, TraceEvent event, const Packet& p) {
    Trace trace;
    trace.Record(t, link, event, p.bytes);
    return trace.hash();
  };
  const uint64_t base = hash(Time(1ms), "a", TraceEvent::kSent, packet);
  EXPECT_EQ(base, hash(Time(1ms), "a", TraceEvent::kSent, packet));
  EXPECT_NE(base, hash(Time(2ms), "a", TraceEvent::kSent, packet));
  EXPECT_NE(base, hash(Time(1ms), "b", TraceEvent::kSent, packet));
  EXPECT_NE(base, hash(Time(1ms), "a", TraceEvent::kLost, packet));
  for (size_t i = 0; i < packet.bytes.size(); ++i) {
    Packet other = packet;
    other.bytes[i] ^= 1;
    EXPECT_NE(base, hash(Time(1ms), "a", TraceEvent::kSent, other)) << i;
  }
}

}  // namespace
}  // namespace mptcptls::sim
