// ICMP errors: who may send them, what they end, what they only explain (RFC 5461, RFC 5927, RFC
// 6069).
#include "tests/unit/tcp/subflow_rig.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;
using Kind = IcmpError::Kind;
using Cause = IcmpError::Cause;
constexpr auto A = Tins::TCP::ACK;
constexpr auto S = Tins::TCP::SYN;

IcmpError Error(const SubflowRig& rig, uint32_t seq, Kind kind,
                Cause cause = Cause::kHostUnreachable) {
  IcmpError error;
  error.kind = kind;
  error.cause = cause;
  error.tuple = rig.config.tuple;
  error.seq = Seq{SubflowRig::kOurIsn + seq};
  return error;
}

IcmpError TooBig(const SubflowRig& rig, uint32_t seq, uint32_t mtu) {
  IcmpError error = Error(rig, seq, Kind::kPacketTooBig);
  error.mtu = mtu;
  error.packet = 1500;
  return error;
}

IcmpError NoRoute(const SubflowRig& rig, uint32_t seq) {
  IcmpError error = Error(rig, seq, Kind::kSoft);
  error.no_route = true;
  return error;
}

void Connect(SubflowRig* rig) {
  rig->subflow = std::make_unique<Subflow>(rig->config, rig, rig, &rig->timers, &rig->counters);
  rig->subflow->Connect(rig->now);
  rig->sent.clear();
}

TEST(Icmp, AnyErrorEndsAConnectionAttempt) {
  const std::pair<Cause, CloseReason> table[] = {
      {Cause::kRefused, CloseReason::kRefused},
      {Cause::kHostUnreachable, CloseReason::kUnreachable},
      {Cause::kNetUnreachable, CloseReason::kNetUnreachable},
      {Cause::kNoProtocol, CloseReason::kNoProtocol},
      {Cause::kProhibited, CloseReason::kProhibited},
  };
  for (const Kind kind : {Kind::kHard, Kind::kSoft}) {
    for (const auto& [cause, reason] : table) {
      SubflowRig rig;
      Connect(&rig);
      rig.subflow->OnIcmpError(rig.now, Error(rig, 0, kind, cause));
      EXPECT_EQ(rig.closed, reason);
      EXPECT_EQ(rig.timers.armed(), 0u);
    }
  }
}

TEST(Icmp, NothingEndsAnEstablishedConnection) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  for (const Kind kind : {Kind::kHard, Kind::kSoft}) {
    rig.subflow->OnIcmpError(rig.now, Error(rig, 1, kind, Cause::kRefused));
    EXPECT_FALSE(rig.closed);
  }
  EXPECT_EQ(rig.counters.icmp_errors, 2u);
}

TEST(Icmp, ErrorExplainsTheTimeout) {
  SubflowRig rig;
  rig.config.retries = 3;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.subflow->OnIcmpError(rig.now, Error(rig, 1, Kind::kSoft));
  rig.Advance(10s);
  EXPECT_EQ(rig.closed, CloseReason::kUnreachable);
}

TEST(Icmp, ErrorIsForgottenWhenSomethingArrives) {
  SubflowRig rig;
  rig.config.retries = 3;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.subflow->OnIcmpError(rig.now, Error(rig, 1, Kind::kSoft));
  rig.Input({.ack = 1001, .window = 65535});
  rig.Send(1000);
  rig.Advance(10s);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
}

TEST(Icmp, OnlyWhatIsInFlightCounts) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.Send(1000);
  rig.Input({.ack = 1001, .window = 65535});
  rig.sent.clear();
  for (const uint32_t seq : {0u, 1u, 1000u, 2001u, 0x10000u}) {
    rig.subflow->OnIcmpError(rig.now, TooBig(rig, seq, 600));
  }
  EXPECT_EQ(rig.counters.icmp_ignored, 5u);
  EXPECT_EQ(rig.counters.mtu_reduced, 0u);
  rig.ExpectNothing();
}

// RFC 5927 4: whoever is not on the path has to guess what is in flight.
TEST(Icmp, AForgedErrorEndsNoConnectionAttempt) {
  SubflowRig rig;
  Connect(&rig);
  for (const uint32_t seq : {0xffffffffu, 1u, 0x10000u}) {
    rig.subflow->OnIcmpError(rig.now, Error(rig, seq, Kind::kHard, Cause::kRefused));
    EXPECT_FALSE(rig.closed);
  }
  EXPECT_EQ(rig.counters.icmp_ignored, 3u);
}

TEST(Icmp, AForgedErrorExplainsNoTimeout) {
  SubflowRig rig;
  rig.config.retries = 3;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  for (const uint32_t seq : {0u, 1001u}) {
    rig.subflow->OnIcmpError(rig.now, Error(rig, seq, Kind::kSoft));
  }
  rig.Advance(10s);
  EXPECT_EQ(rig.closed, CloseReason::kTimedOut);
  EXPECT_EQ(rig.counters.icmp_ignored, 2u);
}

TEST(TooBig, WhatWasTooBigIsSentAgainInSmallerPackets) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Advance(10ms);
  rig.Send(600);   // fits
  rig.Send(8000);  // does not
  const SubflowInfo before = rig.subflow->Info();
  rig.sent.clear();
  rig.subflow->OnIcmpError(rig.now, TooBig(rig, 601, 1000));
  rig.Advance(20ms);  // they are paced
  uint32_t next = 601;
  for (const auto& s : rig.sent) {
    EXPECT_EQ(s.seq, next);
    EXPECT_LE((s.gso_size != 0 ? s.gso_size : s.payload) + 20 + 20 + 12, 1000u);
    next += static_cast<uint32_t>(s.payload);
  }
  EXPECT_EQ(next, 8601u);
  // RFC 1191 6.5: no congestion.
  EXPECT_EQ(rig.subflow->Info().cwnd, before.cwnd);
  EXPECT_EQ(rig.subflow->Info().ssthresh, before.ssthresh);
  EXPECT_EQ(rig.counters.fast_recoveries, 0u);
  EXPECT_EQ(rig.counters.mtu_reduced, 1u);
  // The same again, of another packet of the same flight.
  rig.sent.clear();
  rig.subflow->OnIcmpError(rig.now, TooBig(rig, 2049, 1000));
  rig.ExpectNothing();
  rig.Input({.ack = 8601, .window = 65535});
  EXPECT_EQ(rig.counters.fast_recoveries, 0u);
}

TEST(TooBig, WhatArrivedWasNotTooBig) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Advance(10ms);
  rig.Send(1448);
  rig.Send(1448);
  rig.Advance(10ms);
  rig.Input({.window = 65535, .sack = {{1449, 2897}}});
  rig.subflow->OnIcmpError(rig.now, TooBig(rig, 1449, 1000));
  EXPECT_EQ(rig.counters.mtu_reduced, 0u);
  EXPECT_EQ(rig.counters.icmp_ignored, 1u);
}

TEST(BackOff, UnreachableTakesOneStepBack) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  rig.Advance(2s);  // timeouts at about 0.24, 0.7 and 1.7 s
  ASSERT_GE(rig.counters.rto_fired, 2u);
  const auto fired = rig.counters.rto_fired;
  rig.sent.clear();
  // RFC 6069 4.2: only of the first unacknowledged byte.
  rig.subflow->OnIcmpError(rig.now, NoRoute(rig, 500));
  EXPECT_EQ(rig.counters.rto_reverted, 0u);
  for (uint64_t i = 0; i < fired; ++i) rig.subflow->OnIcmpError(rig.now, NoRoute(rig, 1));
  EXPECT_EQ(rig.counters.rto_reverted, fired);
  rig.subflow->OnIcmpError(rig.now, NoRoute(rig, 1));
  EXPECT_EQ(rig.counters.rto_reverted, fired) << "nothing is left to take back";
  rig.ExpectNothing();
  rig.Advance(300ms);  // one timeout without back-off since the last transmission
  ASSERT_FALSE(rig.sent.empty());
  EXPECT_EQ(rig.sent[0].seq, 1u);
}

// It must not end sooner for being retransmitted more often.
TEST(BackOff, RevertedRetransmissionsAreNoAttempts) {
  SubflowRig rig;
  rig.Open();
  rig.Input({.window = 65535});
  rig.Send(1000);
  for (int i = 0; i < 400 && !rig.closed; ++i) {
    rig.Advance(250ms);
    rig.subflow->OnIcmpError(rig.now, NoRoute(rig, 1));
  }
  EXPECT_FALSE(rig.closed);
  EXPECT_GT(rig.counters.rto_fired, 50u);
  // But not for ever.
  for (int i = 0; i < 10'000 && !rig.closed; ++i) {
    rig.Advance(250ms);
    rig.subflow->OnIcmpError(rig.now, NoRoute(rig, 1));
  }
  EXPECT_EQ(rig.closed, CloseReason::kUnreachable);
}

TEST(Icmp, SynIsNotTooBig) {
  SubflowRig rig;
  Connect(&rig);
  rig.subflow->OnIcmpError(rig.now, TooBig(rig, 0, 600));
  EXPECT_EQ(rig.counters.mtu_reduced, 0u);
  EXPECT_FALSE(rig.closed);
  rig.Input({.seq = 0, .ack = 1, .flags = S | A});
  EXPECT_EQ(rig.subflow->state(), TcpState::kEstablished);
}

// A peer that takes packets up to `real`, with one byte too many never arriving.
struct NarrowPath {
  SubflowRig rig;
  uint32_t acked = 1, real;

  explicit NarrowPath(uint32_t size) : real(size) {
    rig.Open();
    rig.Input({.window = 65535});
    rig.Send(8000);
    rig.Advance(2s);  // nothing of it arrives: a black hole is suspected
    EXPECT_EQ(rig.counters.mtu_black_holes, 1u);
    rig.sent.clear();
    Ack(8001);
  }
  void Ack(uint32_t to) {
    acked = to;
    rig.Advance(20ms);
    rig.Input({.ack = to, .window = 65535});
  }
  uint32_t Packet(const SubflowRig::Sent& s) const {
    return static_cast<uint32_t>(s.gso_size != 0 ? s.gso_size : s.payload) + 20 + 20 + 12;
  }
};

TEST(MtuProbe, GoesOutFirstAndTheRestAsBefore) {
  NarrowPath path(1500);
  path.rig.sent.clear();
  for (int i = 0; i < 8; ++i) {  // until the window is large enough
    path.rig.Send(5000);
    path.Ack(path.acked + 5000);
  }
  ASSERT_EQ(path.rig.counters.mtu_probes, 1u);
  const auto probe = std::ranges::find_if(
      path.rig.sent, [&](const auto& s) { return s.gso_size == 0 && path.Packet(s) == 1500; });
  ASSERT_NE(probe, path.rig.sent.end());
  EXPECT_EQ(path.rig.counters.mtu_probes_delivered, 1u);
  path.rig.sent.clear();
  path.rig.Send(5000);
  EXPECT_EQ(path.rig.sent[0].gso_size, 1448) << "the whole MTU again";
}

// RFC 4821 7.6.2: nothing but the probe is lost; it goes out again in two, and the window stays.
TEST(MtuProbe, LossIsNoCongestion) {
  NarrowPath path(1280);
  while (path.rig.counters.mtu_probes == 0) {
    path.rig.sent.clear();
    path.rig.Send(5000);
    if (path.rig.counters.mtu_probes == 0) path.Ack(path.acked + 5000);
  }
  const uint32_t begin = path.acked, probe = 1448;
  const SubflowInfo before = path.rig.subflow->Info();
  path.rig.sent.clear();
  path.rig.Advance(20ms);
  path.rig.Input({.ack = begin, .window = 65535, .sack = {{begin + probe, begin + 5000}}});
  EXPECT_EQ(path.rig.counters.mtu_probes_lost, 1u);
  EXPECT_EQ(path.rig.subflow->Info().ssthresh, before.ssthresh);
  EXPECT_GE(path.rig.subflow->Info().cwnd, before.cwnd);
  EXPECT_EQ(path.rig.counters.fast_recoveries, 0u);
  size_t again = 0;
  for (const auto& s : path.rig.sent) {
    EXPECT_LE(path.Packet(s), 1024u);
    again += s.payload;
  }
  EXPECT_EQ(again, probe);
}

}  // namespace
}  // namespace mptcptls
