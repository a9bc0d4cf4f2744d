// The relay between a program's socket and its connection: bytes in order, and every kind of end.
#include "engine/relay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/unit/engine/relay_rig.h"

namespace mptcptls {
namespace {

std::string RandomBytes(std::mt19937_64* dice, size_t size) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>((*dice)());
  return bytes;
}

class RelayTest : public testing::Test {
 protected:
  RelayRig rig_;
};

// ---- connect()

TEST_F(RelayTest, ConnectIsDecidedByTheHandshake) {
  Initiator one(&rig_);
  one.SendPending();
  EXPECT_TRUE(one.relay->pending());
  EXPECT_EQ(one.Queued(), one.Pending().size()) << "all is still there";
  one.connection.Connect(rig_.now());
  rig_.Settle();
  EXPECT_FALSE(one.relay->pending());
  const size_t all = sizeof(control::PendingRequest) + one.pad;
  EXPECT_EQ(one.Queued(), all - (all - 1) * 18 / 25) << "a byte is held back, and some of the pad";
  EXPECT_TRUE(one.program.Writable());
  EXPECT_EQ(one.program.TakeError(), 0);
  EXPECT_EQ(one.relay->program().uid, 0u);
}

TEST_F(RelayTest, PadTakesTheRoomUntilConnected) {
  Initiator one(&rig_);
  // A program's buffer as the shim fills it: more than a quarter.
  one.pad = 95'001;
  const int size = 190'000;  // which the kernel doubles
  setsockopt(one.program.fd(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  one.SendPending();
  EXPECT_FALSE(one.program.Writable());
  one.connection.Connect(rig_.now());
  rig_.Settle();
  EXPECT_TRUE(one.program.Writable());
}

TEST_F(RelayTest, ConnectedBeforeTheRequestIsComplete) {
  Initiator one(&rig_);
  one.connection.Connect(rig_.now());
  rig_.Settle();
  const std::string bytes = one.Pending();
  for (const char byte : bytes) {
    EXPECT_TRUE(one.relay->pending());
    ASSERT_EQ(one.program.Send(std::string(1, byte)), 1u);
    rig_.Settle();
  }
  EXPECT_FALSE(one.relay->pending());
  const size_t all = sizeof(control::PendingRequest) + one.pad;
  EXPECT_EQ(one.Queued(), all - (all - 1) * 18 / 25);
}

TEST_F(RelayTest, FailedConnectSaysWhyUnderItsId) {
  const struct {
    EndReason end;
    int error;
  } table[] = {{EndReason::kRefused, ECONNREFUSED},     {EndReason::kTimedOut, ETIMEDOUT},
               {EndReason::kUnreachable, EHOSTUNREACH}, {EndReason::kNetUnreachable, ENETUNREACH},
               {EndReason::kNoProtocol, ENOPROTOOPT},   {EndReason::kProhibited, EACCES},
               {EndReason::kReset, ECONNRESET}};
  for (const auto& row : table) {
    Initiator one(&rig_);
    one.SendPending();
    one.connection.End(rig_.now(), row.end);
    rig_.Settle();
    EXPECT_EQ(rig_.relays()->Result(one.id), row.error);
    EXPECT_NE(one.program.Events() & POLLERR, 0) << "connect() is decided";
    EXPECT_EQ(one.program.TakeError(), ECONNRESET) << "which the shim translates";
    EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
  }
}

// A socket that closes before the request is there would leave connect() without its error.
TEST_F(RelayTest, FailureWaitsForTheWholeRequest) {
  Initiator one(&rig_);
  const std::string bytes = one.Pending();
  ASSERT_EQ(one.program.Send(bytes.substr(0, 100)), 100u);
  one.connection.End(rig_.now(), EndReason::kRefused);
  rig_.Settle();
  EXPECT_NE(rig_.relays()->Find(one.id), nullptr);
  ASSERT_EQ(one.program.Send(bytes.substr(100)), bytes.size() - 100);
  rig_.Settle();
  EXPECT_EQ(one.program.TakeError(), ECONNRESET);
  EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
}

TEST_F(RelayTest, HostileRequestsEndTheConnection) {
  using Change = std::function<void(control::PendingRequest*)>;
  const Change changes[] = {
      [](auto* r) { r->id ^= 1; },
      [](auto* r) { r->header.magic ^= 1; },
      [](auto* r) { r->header.version += 1; },
      [](auto* r) { r->header.verb = control::Verb::kConnect; },
      [](auto* r) { r->header.length = 0; },
      [](auto* r) { r->header.length = sizeof *r; },
      [](auto* r) { r->header.length = control::kMaxPending + 1; },
      [](auto* r) { r->header.length = UINT32_MAX; },
  };
  for (const Change& change : changes) {
    Initiator one(&rig_);
    auto request = one.Request();
    change(&request);
    one.program.Send(BytesOf(&request, sizeof request));
    rig_.Settle();
    EXPECT_EQ(one.connection.end(), EndReason::kAborted);
    EXPECT_NE(one.program.Events() & POLLHUP, 0);
    EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
  }
}

TEST_F(RelayTest, ProgramThatGivesUpConnectingIsAborted) {
  for (const bool complete : {false, true}) {
    Initiator one(&rig_, 1234);
    if (complete) one.SendPending();
    one.program.Close();
    rig_.Settle();
    EXPECT_EQ(one.connection.end(), EndReason::kAborted);
    EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
  }
  EXPECT_THAT(rig_.released, testing::ElementsAre(1234, 1234));
}

TEST_F(RelayTest, ConnectThatCouldNotStartGivesItsPortBack) {
  Relay* const relay = rig_.relays()->Make({"program", 1, 0});
  relay->Cancel(4321);
  rig_.Settle();
  EXPECT_EQ(rig_.relays()->size(), 0u);
  EXPECT_THAT(rig_.released, testing::ElementsAre(4321));
}

// ---- Bytes

TEST_F(RelayTest, OneByteIsAlwaysHeldBackAndNeverHeldUp) {
  Initiator one(&rig_);
  one.Open();
  for (int i = 1; i <= 20; ++i) {
    ASSERT_EQ(one.program.Send(std::string(static_cast<size_t>(i), 'x')), static_cast<size_t>(i));
    rig_.Settle();
    EXPECT_EQ(one.connection.sent.size(), static_cast<size_t>(i * (i + 1) / 2));
    EXPECT_EQ(one.Queued(), 1u);
    EXPECT_EQ(one.connection.coming, Coming::kNothing);
  }
}

// MSG_MORE of the program (control.h), for the bytes that were sent with it alone.
TEST_F(RelayTest, MsgMoreIsToldForItsBytesAlone) {
  Initiator one(&rig_);
  one.Open();
  const Descriptor before(open("/", O_PATH | O_CLOEXEC));
  const auto what = [&](const std::string& all) {
    rig_.Settle();
    EXPECT_EQ(one.connection.sent, all);
    EXPECT_EQ(one.Queued(), 1u);
    return one.connection.coming;
  };
  one.program.SendMarked("abc", 3);
  EXPECT_EQ(what("abc"), Coming::kLater);
  one.program.Send("de");
  EXPECT_EQ(what("abcde"), Coming::kNothing);
  one.program.SendMarked("f", 1);
  EXPECT_EQ(what("abcdef"), Coming::kLater);
  one.program.SendMarked("gh", 2);
  EXPECT_EQ(what("abcdefgh"), Coming::kLater);
  one.program.Send("i");
  EXPECT_EQ(what("abcdefghi"), Coming::kNothing);
  // Several at once: the last one decides.
  one.program.SendMarked("12", 2);
  one.program.SendMarked("34", 2);
  one.program.Send("5");
  EXPECT_EQ(what("abcdefghi12345"), Coming::kNothing);
  // What came before without the flag is no part of it.
  one.program.Send("67");
  one.program.SendMarked("8", 1);
  EXPECT_EQ(what("abcdefghi12345678"), Coming::kLater);
  EXPECT_EQ(one.connection.commits.back(), std::pair(size_t{1}, Coming::kLater));
  EXPECT_EQ(one.connection.commits.rbegin()[1], std::pair(size_t{2}, Coming::kNothing));
  // A mark that says too much, and what is none.
  one.program.SendMarked("x", 1u << 20);
  EXPECT_EQ(what("abcdefghi12345678x"), Coming::kNothing);
  one.program.SendMarked("yz", 0);
  EXPECT_EQ(what("abcdefghi12345678xyz"), Coming::kNothing);
  // No descriptor stays.
  const Descriptor after(open("/", O_PATH | O_CLOEXEC));
  EXPECT_EQ(after.get(), before.get() + 1);
}

TEST_F(RelayTest, WhatTheNetworkSentBeforeTheProgramWasReadyIsKept) {
  Initiator one(&rig_);
  one.connection.Connect(rig_.now());
  one.connection.Deliver(rig_.now(), "early");
  EXPECT_EQ(one.connection.kept(), 5u);
  one.SendPending();
  EXPECT_EQ(one.program.Read(), "early");
  EXPECT_EQ(one.connection.kept(), 0u);
}

TEST_F(RelayTest, ProgramThatDoesNotReadHoldsTheNetworkUp) {
  Initiator one(&rig_);
  one.Open();
  std::mt19937_64 dice(1);
  const std::string bytes = RandomBytes(&dice, 4 << 20);
  for (size_t at = 0; at < bytes.size(); at += 50000)
    one.connection.Deliver(rig_.now(), bytes.substr(at, 50000));
  rig_.Settle();
  EXPECT_GT(one.connection.kept(), 1u << 20);
  std::string got;
  while (got.size() < bytes.size()) {
    const std::string more = one.program.Read(100000);
    ASSERT_FALSE(more.empty()) << "it stalls at " << got.size();
    got += more;
    rig_.Settle();
  }
  EXPECT_TRUE(got == bytes);
}

TEST_F(RelayTest, NetworkThatDoesNotSendHoldsTheProgramUp) {
  Initiator one(&rig_);
  one.Open();
  one.connection.stalled = true;
  const std::string bytes(FakeConnection::kRing + 500, 'b');
  ASSERT_EQ(one.program.Send(bytes), bytes.size());
  rig_.Settle();
  EXPECT_EQ(one.connection.coming, Coming::kNow);
  EXPECT_EQ(one.Queued(), 501u) << "the ring is full; one of these was forwarded";
  one.connection.Drain(rig_.now(), 1);
  rig_.Settle();
  EXPECT_EQ(one.Queued(), 500u);
  one.connection.stalled = false;
  one.connection.Drain(rig_.now(), 1 << 20);
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, bytes);
  EXPECT_EQ(one.Queued(), 1u);
}

TEST_F(RelayTest, BytesAreEqualAndInOrderWhateverTheChunks) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 dice(seed);
  Initiator one(&rig_);
  one.Open();
  const std::string up = RandomBytes(&dice, 300000);
  const std::string down = RandomBytes(&dice, 3000000);
  size_t up_at = 0;
  size_t down_at = 0;
  std::string got;
  while (one.connection.sent.size() < up.size() || got.size() < down.size()) {
    one.connection.stalled = dice() % 2 == 0;
    up_at += one.program.Send(up.substr(up_at, 1 + dice() % 3000));
    if (one.connection.kept() < 100000) {
      const std::string chunk = down.substr(down_at, 1 + dice() % 70000);
      one.connection.Deliver(rig_.now(), chunk);
      down_at += chunk.size();
    }
    if (dice() % 3 != 0) rig_.Settle();
    if (dice() % 2 == 0) got += one.program.Read(1 + dice() % 200000);
    one.connection.Drain(rig_.now(), dice() % 2000);
    ASSERT_EQ(one.program.error(), 0);
  }
  EXPECT_TRUE(one.connection.sent == up);
  EXPECT_TRUE(got == down);
}

// ---- Ends that the program makes

TEST_F(RelayTest, HalfCloseComesAfterTheLastByteAndTheOtherHalfGoesOn) {
  Initiator one(&rig_);
  one.Open();
  one.connection.stalled = true;
  const std::string bytes(FakeConnection::kRing * 2, 'h');
  ASSERT_EQ(one.program.Send(bytes), bytes.size());
  shutdown(one.program.fd(), SHUT_WR);
  rig_.Settle();
  EXPECT_FALSE(one.connection.shut_down);
  one.connection.stalled = false;
  one.connection.Drain(rig_.now(), 1 << 20);
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, bytes);
  EXPECT_TRUE(one.connection.shut_down);
  one.connection.Deliver(rig_.now(), "answer");
  rig_.Settle();
  EXPECT_EQ(one.program.Read(), "answer");
  EXPECT_FALSE(one.connection.orphaned);
  one.program.Close();
  rig_.Settle();
  EXPECT_TRUE(one.connection.orphaned);
  EXPECT_EQ(one.connection.end(), EndReason::kNone);
}

TEST_F(RelayTest, CleanCloseOrphansAfterTheLastByte) {
  Initiator one(&rig_, 99);
  one.Open();
  one.connection.stalled = true;
  const std::string bytes(FakeConnection::kRing * 3, 'c');
  ASSERT_EQ(one.program.Send(bytes), bytes.size());
  one.program.Close();
  rig_.Settle();
  EXPECT_FALSE(one.connection.orphaned);
  one.connection.stalled = false;
  one.connection.Drain(rig_.now(), 1 << 20);
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, bytes);
  EXPECT_TRUE(one.connection.orphaned);
  EXPECT_EQ(one.connection.end(), EndReason::kNone);
  EXPECT_NE(rig_.relays()->Find(one.id), nullptr) << "as long as its connection lives";
  EXPECT_TRUE(rig_.released.empty());
  one.connection.End(rig_.now(), EndReason::kClean);
  rig_.Settle();
  EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
  EXPECT_THAT(rig_.released, testing::ElementsAre(99));
}

TEST_F(RelayTest, CloseWithBytesUnreadAborts) {
  Initiator one(&rig_);
  one.Open();
  ASSERT_EQ(one.program.Send("sent before"), 11u);
  one.connection.Deliver(rig_.now(), "unread");
  rig_.Settle();
  one.program.Close();
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, "sent before");
  EXPECT_FALSE(one.connection.orphaned);
  EXPECT_EQ(one.connection.end(), EndReason::kAborted);
  EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
}

TEST_F(RelayTest, CloseBeforeBytesThatStillComeAborts) {
  Initiator one(&rig_);
  one.Open();
  one.connection.stalled = true;  // so that its end is not told at once
  ASSERT_EQ(one.program.Send(std::string(FakeConnection::kRing * 2, 'x')),
            FakeConnection::kRing * 2);
  one.program.Close();
  rig_.Settle();
  one.connection.Deliver(rig_.now(), "too late");
  rig_.Settle();
  EXPECT_EQ(one.connection.kept(), 0u) << "taken and forgotten";
  one.connection.stalled = false;
  one.connection.Drain(rig_.now(), 1 << 20);
  rig_.Settle();
  EXPECT_EQ(one.connection.end(), EndReason::kAborted) << "RFC 2525 2.17";
}

TEST_F(RelayTest, ProgramThatStopsReadingLosesOnlyWhatItWouldNotRead) {
  Initiator one(&rig_);
  one.Open();
  shutdown(one.program.fd(), SHUT_RD);
  one.connection.Deliver(rig_.now(), std::string(5 << 20, 'd'));
  rig_.Settle();
  EXPECT_EQ(one.connection.kept(), 0u);
  ASSERT_EQ(one.program.Send("still here"), 10u);
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, "still here");
  EXPECT_EQ(one.connection.end(), EndReason::kNone);
}

// ---- Ends that the network makes

TEST_F(RelayTest, ResetIsSeenAfterTheBytesBeforeIt) {
  for (const EndReason end : {EndReason::kReset, EndReason::kTimedOut, EndReason::kAborted}) {
    Initiator one(&rig_);
    one.Open();
    ASSERT_EQ(one.program.Send("request"), 7u);
    rig_.Settle();
    one.connection.Deliver(rig_.now(), "half an answer");
    one.connection.End(rig_.now(), end);
    rig_.Settle();
    EXPECT_EQ(one.program.Read(), "half an answer");
    EXPECT_EQ(one.program.error(), ECONNRESET);
    EXPECT_EQ(one.program.Read(), "");
    EXPECT_TRUE(one.program.end()) << "once, as TCP does";
    EXPECT_EQ(one.program.Send("x"), 0u);
    EXPECT_EQ(one.program.error(), EPIPE);
    EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
    // connect() itself did not fail, but SO_ERROR tells of a timeout.
    EXPECT_EQ(rig_.relays()->Result(one.id), end == EndReason::kTimedOut ? ETIMEDOUT : 0);
  }
}

TEST_F(RelayTest, ResetAfterThePeersEndIsAReset) {
  Initiator one(&rig_);
  one.Open();
  one.connection.EndPeer(rig_.now());
  rig_.Settle();
  EXPECT_EQ(one.program.Read(), "");
  EXPECT_TRUE(one.program.end());
  one.connection.End(rig_.now(), EndReason::kReset);
  rig_.Settle();
  EXPECT_EQ(one.program.TakeError(), ECONNRESET);
}

TEST_F(RelayTest, CleanEndIsAnEndAndNeverAReset) {
  Initiator one(&rig_);
  one.Open();
  ASSERT_EQ(one.program.Send("request"), 7u);
  shutdown(one.program.fd(), SHUT_WR);
  rig_.Settle();
  one.connection.Deliver(rig_.now(), "answer");
  one.connection.EndPeer(rig_.now());
  rig_.Settle();
  one.connection.End(rig_.now(), EndReason::kClean);
  rig_.Settle();
  EXPECT_EQ(one.program.Read(), "answer");
  EXPECT_TRUE(one.program.end());
  EXPECT_EQ(one.program.error(), 0);
  EXPECT_EQ(one.program.TakeError(), 0);
  EXPECT_EQ(one.program.Read(), "");
  EXPECT_TRUE(one.program.end());
  EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
}

// The peer's FIN may be the last of everything: both ends are told before the program's socket has
// said a word.
TEST_F(RelayTest, CleanEndTogetherWithThePeersEndIsNoReset) {
  Initiator one(&rig_);
  one.Open();
  ASSERT_EQ(one.program.Send("request"), 7u);
  shutdown(one.program.fd(), SHUT_WR);
  rig_.Settle();
  EXPECT_EQ(one.Queued(), 1u) << "held back, though it was forwarded";
  one.connection.Deliver(rig_.now(), "answer");
  one.connection.EndPeer(rig_.now());
  one.connection.End(rig_.now(), EndReason::kClean);
  rig_.Settle();
  EXPECT_EQ(one.program.Read(), "answer");
  EXPECT_TRUE(one.program.end());
  EXPECT_EQ(one.program.error(), 0);
  EXPECT_EQ(one.program.TakeError(), 0);
  EXPECT_EQ(rig_.relays()->Find(one.id), nullptr);
}

TEST_F(RelayTest, BothHalvesClosedIsNoReset) {
  Initiator one(&rig_);
  one.Open();
  ASSERT_EQ(one.program.Send("request"), 7u);
  shutdown(one.program.fd(), SHUT_RDWR);
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, "request");
  EXPECT_EQ(one.program.Read(), "");
  EXPECT_TRUE(one.program.end());
  EXPECT_EQ(one.program.error(), 0);
}

TEST_F(RelayTest, PeersEndComesAfterTheLastByte) {
  Initiator one(&rig_);
  one.Open();
  const std::string bytes(3 << 20, 'e');
  one.connection.Deliver(rig_.now(), bytes);
  one.connection.EndPeer(rig_.now());
  std::string got;
  while (got.size() < bytes.size()) {
    rig_.Settle();
    const std::string more = one.program.Read(300000);
    ASSERT_FALSE(more.empty());
    got += more;
    ASSERT_EQ(one.program.error(), 0);
  }
  rig_.Settle();
  EXPECT_EQ(one.program.Read(), "");
  EXPECT_TRUE(one.program.end());
  EXPECT_EQ(one.program.error(), 0);
  ASSERT_EQ(one.program.Send("and on"), 6u) << "the program's half is its own";
  rig_.Settle();
  EXPECT_EQ(one.connection.sent, "and on");
}

TEST_F(RelayTest, KilledEngineIsAReset) {
  Initiator quiet(&rig_);
  quiet.Open();
  Initiator busy(&rig_);
  busy.Open();
  busy.connection.Deliver(rig_.now(), "some");
  ASSERT_EQ(busy.program.Send("thing"), 5u);
  rig_.Settle();
  Initiator undecided(&rig_);
  undecided.SendPending();
  rig_.Kill();
  EXPECT_EQ(quiet.program.Read(), "");
  EXPECT_EQ(quiet.program.error(), ECONNRESET);
  EXPECT_EQ(busy.program.Read(), "some");
  EXPECT_EQ(busy.program.error(), ECONNRESET);
  EXPECT_EQ(undecided.program.TakeError(), ECONNRESET);
}

TEST_F(RelayTest, AbortAllIsAResetForEveryProgram) {
  Initiator one(&rig_);
  one.Open();
  Initiator two(&rig_);
  two.SendPending();
  rig_.relays()->AbortAll(rig_.now());
  rig_.Settle();
  EXPECT_EQ(one.program.Read(), "");
  EXPECT_EQ(one.program.error(), ECONNRESET);
  EXPECT_EQ(two.program.TakeError(), ECONNRESET);
  EXPECT_EQ(rig_.relays()->size(), 0u);
}

}  // namespace
}  // namespace mptcptls
