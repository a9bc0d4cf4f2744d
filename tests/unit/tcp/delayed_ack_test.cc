// When a receiver acknowledges.
#include "stack/tcp/delayed_ack.h"

#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
constexpr auto A = Tins::TCP::ACK;
constexpr auto P = Tins::TCP::PSH;
constexpr uint32_t kMss = 1448;

// Takes segments from a peer that sends its stream in order.
struct Stream {
  SubflowRig rig;
  uint32_t seq = 1;

  Stream() {
    rig.Open();
    // The end of quick mode: one ACK for each of the first segments.
    for (int i = 0; i < DelayedAck::kQuick; ++i) {
      Take(kMss);
      Acked();
    }
  }
  void Take(size_t bytes, uint16_t flags = A) {
    rig.Input({.seq = seq, .flags = flags, .payload = std::string(bytes, 'x')});
    seq += static_cast<uint32_t>(bytes);
  }
  void Acked() { rig.ExpectSent(A, 1, seq, 0); }
  // How long after the last segment its acknowledgement leaves.
  Duration Delay() {
    const Time since = rig.now;
    while (rig.sent.empty() && rig.now < since + 1s) rig.Advance(1ms);
    Acked();
    rig.sent.clear();
    return rig.now - since;
  }
};

TEST(DelayedAck, FirstSegmentsAreAcknowledgedOneByOne) {
  Stream s;
  s.rig.ExpectNothing();
}

TEST(DelayedAck, EverySecondFullSegmentAtOnce) {
  Stream s;
  for (int i = 0; i < 10; ++i) {
    s.Take(kMss);
    s.rig.ExpectNothing();
    s.Take(kMss);
    s.Acked();
    s.rig.Advance(1ms);
  }
}

// RFC 9293 3.8.6.3 counts full-sized segments of the peer's size, not of ours.
TEST(DelayedAck, EverySecondSegmentOfAPeerWithSmallOnes) {
  Stream s;
  s.Take(900);
  s.Take(900);
  s.rig.sent.clear();
  s.Take(900);
  s.rig.sent.clear();
  for (int i = 0; i < 10; ++i) {
    s.rig.Advance(50ms);
    s.rig.sent.clear();
    s.Take(900);
    s.rig.ExpectNothing();
    s.Take(900);
    s.Acked();
  }
}

TEST(DelayedAck, OneForSegmentsThatCameJoined) {
  Stream s;
  for (int i = 0; i < 5; ++i) {
    s.Take(10 * kMss);
    s.Acked();
    s.rig.ExpectNothing();
  }
}

TEST(DelayedAck, LoneSegmentWaitsForFortyMilliseconds) {
  Stream s;
  s.Take(100, A | P);
  EXPECT_EQ(s.Delay(), 40ms);
}

TEST(DelayedAck, FollowsThePeersInterval) {
  SubflowRig rig;
  DelayedAck acks(1460);
  Time now{1s};
  acks.OnData(now, 100, true, 1s);
  EXPECT_EQ(acks.Wait(0ms), 40ms);
  // Missed again and again: the peer's interval is longer. Never above 200 ms.
  Duration before = acks.Wait(0ms);
  for (int i = 0; i < 5; ++i) {
    now += 150ms;
    acks.OnTimer(1s);
    acks.OnData(now, 100, true, 1s);
    EXPECT_GE(acks.Wait(0ms), before);
    before = acks.Wait(0ms);
  }
  EXPECT_EQ(acks.Wait(0ms), 200ms);
  EXPECT_EQ(acks.Wait(90ms), 90ms) << "no longer than a round trip";
  EXPECT_EQ(acks.Wait(1ms), 40ms);
  // The peer is fast again.
  for (int i = 0; i < 20; ++i) {
    now += 1ms;
    acks.OnData(now, 100, true, 1s);
  }
  EXPECT_NEAR(static_cast<double>(acks.Wait(0ms) / 1us), 40'000, 10);
}

TEST(DelayedAck, QuickAfterAnIdleTime) {
  Stream s;
  s.Take(kMss);
  s.Take(kMss);
  s.rig.sent.clear();
  s.rig.Advance(5s);
  for (int i = 0; i < 5; ++i) {
    s.Take(kMss);
    s.Acked();
  }
}

// RFC 5681 4.2: at once, and then one by one, as the sender is in recovery.
TEST(DelayedAck, QuickAfterAHole) {
  Stream s;
  const uint32_t hole = s.seq;
  s.rig.Input({.seq = hole + kMss, .flags = A, .payload = std::string(kMss, 'x')});
  ASSERT_EQ(s.rig.sent.size(), 1u);
  EXPECT_EQ(s.rig.sent[0].ack, hole);
  EXPECT_EQ(s.rig.sent[0].sack.size(), 1u);
  s.rig.sent.clear();
  s.Take(kMss);  // fills it
  s.seq += kMss;
  s.Acked();
  for (int i = 0; i < 5; ++i) {
    s.Take(kMss);
    s.Acked();
  }
}

// An answer carries the acknowledgement: none goes alone.
TEST(DelayedAck, ConversationIsNotQuick) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.sent.clear();
  uint32_t seq = 1, ack = 1;
  const auto ask = [&] {
    rig.Input({.seq = seq, .ack = ack, .flags = A | P, .window = 65535, .payload = "question"});
    seq += 8;
  };
  ask();
  rig.sent.clear();
  rig.Send(100);
  rig.sent.clear();
  for (int i = 0; i < 5; ++i) {
    ack += 100;
    ask();
    rig.ExpectNothing();
    rig.Advance(5ms);
    rig.Send(100);
    ASSERT_EQ(rig.sent.size(), 1u);
    rig.ExpectSent(A | P, ack, seq, 100);
  }
}

TEST(DelayedAck, DuplicateIsAcknowledgedAtOnce) {
  Stream s;
  s.rig.Input({.seq = s.seq - kMss, .flags = A, .payload = std::string(kMss, 'x')});
  s.Acked();
}

}  // namespace
}  // namespace mptcptls
