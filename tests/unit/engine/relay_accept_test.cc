// The relay of an accepted connection: from the engine's connect() to a program's listener, to the
// byte that says who took it.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <random>

#include "engine/relay.h"
#include "engine/socket_options.h"
#include "tests/unit/engine/relay_rig.h"

namespace mptcptls {
namespace {

// A program's listener, and connections that come to it.
class Accepting : public testing::Test {
 protected:
  Accepting() {
    name_.role = control::Role::kListener;
    name_.id = std::random_device{}() + (uint64_t{1} << 63);
    Listen(8);
  }
  void Listen(int backlog) {
    sockaddr_un address;
    const socklen_t length = control::EncodeName(name_, &address);
    listener_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(listen(listener_.get(), backlog), 0);
  }
  Relay* Deliver(FakeConnection* connection) {
    Relay* const relay = rig_.relays()->Make({"server", 1, 0});
    connection->Observe(relay);
    relay->Attach(connection);
    relay->DeliverTo(name_, nullptr);
    return relay;
  }
  ProgramEnd Accept() { return ProgramEnd(accept(listener_.get(), nullptr, nullptr)); }
  static void Take(ProgramEnd* program, uid_t uid) {
    const ucred as{getpid(), uid, 0};
    const std::string mark(std::begin(control::kAcceptMark), std::end(control::kAcceptMark));
    ASSERT_EQ(program->Send(mark, &as), mark.size());
  }

  RelayRig rig_;
  control::Name name_;
  Descriptor listener_;
  FakeConnection connection_;
};

TEST_F(Accepting, ConnectionHasTheListenersOptions) {
  const Descriptor kernel(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ASSERT_EQ(setsockopt(kernel.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
  ASSERT_EQ(setsockopt(kernel.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on), 0);
  Relay* const relay = rig_.relays()->Make({"server", 1, 0});
  connection_.Observe(relay);
  relay->Attach(&connection_);
  relay->DeliverTo(name_, std::make_shared<std::vector<SavedOption>>(ReadOptions(kernel.get())));
  ASSERT_TRUE(connection_.options);
  EXPECT_TRUE(connection_.options->no_delay);
  EXPECT_TRUE(connection_.options->patience.keepalive);
  EXPECT_FALSE(connection_.options->cork);
}

TEST_F(Accepting, MarkSaysWhoseItIs) {
  Relay* const relay = Deliver(&connection_);
  rig_.Settle();
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 1u);
  EXPECT_TRUE(relay->waiting());
  connection_.Deliver(rig_.now(), "hello");
  ProgramEnd program = Accept();
  sockaddr_un address{};
  socklen_t length = sizeof address;
  control::Name name;
  ASSERT_EQ(getpeername(program.fd(), reinterpret_cast<sockaddr*>(&address), &length), 0);
  ASSERT_TRUE(control::DecodeName(address, length, &name));
  EXPECT_EQ(name.role, control::Role::kResponder);
  EXPECT_EQ(name.id, relay->id());
  EXPECT_EQ(name.remote.port, connection_.remote().port);
  Take(&program, 33);
  rig_.Settle();
  EXPECT_FALSE(relay->waiting());
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 0u);
  EXPECT_EQ(relay->program().uid, 33u);
  EXPECT_EQ(program.Read(), "hello");
  ASSERT_EQ(program.Send("answer"), 6u);
  rig_.Settle();
  EXPECT_EQ(connection_.sent, "answer") << "and not the mark";
}

// io_uring's accept(), or a process without the library.
TEST_F(Accepting, WhoAcceptsPastTheHookIsServedAllTheSame) {
  const std::string begin(std::begin(control::kAcceptMark), std::end(control::kAcceptMark) - 1);
  for (const std::string& first : {std::string("GET /"), std::string("\xa5"), begin}) {
    FakeConnection connection;
    Relay* const relay = Deliver(&connection);
    rig_.Settle();
    connection.Deliver(rig_.now(), "hello");
    ProgramEnd program = Accept();
    EXPECT_EQ(program.Read(), "hello");
    EXPECT_TRUE(relay->waiting());
    ASSERT_EQ(program.Send(first), first.size());
    rig_.Settle();
    EXPECT_EQ(connection.sent, first);
    EXPECT_FALSE(relay->waiting());
    EXPECT_EQ(relay->program().uid, getuid());
    EXPECT_EQ(relay->program().pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(rig_.relays()->Waiting(name_.id), 0u);
    ASSERT_EQ(program.Send("more"), 4u);
    rig_.Settle();
    EXPECT_EQ(connection.sent, first + "more");
    // From its first byte on, a reset is one.
    connection.End(rig_.now(), EndReason::kReset);
    rig_.Settle();
    EXPECT_EQ(program.Read(), "");
    EXPECT_EQ(program.error(), ECONNRESET);
  }
}

// TCP_DEFER_ACCEPT.
TEST_F(Accepting, WhoIsSilentWaitsForHisFirstBytesOrHisTime) {
  const auto waits = [&] { return Accept().fd() < 0; };
  const auto deliver = [&](FakeConnection* connection) {
    Relay* const relay = rig_.relays()->Make({"server", 1, 0});
    connection->Observe(relay);
    relay->Attach(connection);
    relay->DeliverTo(name_, nullptr, std::chrono::milliseconds(50));
    rig_.Settle();
  };
  FakeConnection speaks, ends, fails, silent;
  deliver(&speaks);
  ASSERT_TRUE(waits());
  speaks.Deliver(rig_.now(), "hello");
  rig_.Settle();
  EXPECT_EQ(Accept().Read(), "hello");
  rig_.Settle();

  deliver(&ends);
  ASSERT_TRUE(waits());
  ends.EndPeer(rig_.now());
  rig_.Settle();
  EXPECT_FALSE(waits());
  rig_.Settle();

  deliver(&fails);
  fails.End(rig_.now(), EndReason::kReset);
  rig_.Settle();
  EXPECT_TRUE(waits()) << "nobody hears of it, as the kernel has it";

  deliver(&silent);
  ASSERT_TRUE(waits());
  bool accepted = false;
  EXPECT_TRUE(rig_.Await([&] { return accepted = accepted || !waits(); }));
  rig_.Settle();
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 0u);
}

TEST_F(Accepting, ResetBeforeAcceptIsStillAReset) {
  const uint64_t id = Deliver(&connection_)->id();
  rig_.Settle();
  connection_.Deliver(rig_.now(), "part");
  connection_.End(rig_.now(), EndReason::kReset);
  rig_.Settle();
  ProgramEnd program = Accept();
  Take(&program, 0);
  rig_.Settle();
  EXPECT_EQ(program.Read(), "part");
  EXPECT_EQ(program.error(), ECONNRESET);
  EXPECT_EQ(rig_.relays()->Find(id), nullptr);
}

TEST_F(Accepting, ListenerThatClosesAbortsWhatWaits) {
  const uint64_t id = Deliver(&connection_)->id();
  rig_.Settle();
  listener_.Reset();
  rig_.Settle();
  EXPECT_EQ(connection_.end(), EndReason::kAborted);
  EXPECT_EQ(rig_.relays()->Find(id), nullptr);
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 0u);
}

TEST_F(Accepting, NoListenerAborts) {
  listener_.Reset();
  const uint64_t id = Deliver(&connection_)->id();
  rig_.Settle();
  EXPECT_EQ(connection_.end(), EndReason::kAborted);
  EXPECT_EQ(rig_.relays()->Find(id), nullptr);
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 0u);
}

TEST_F(Accepting, FullBacklogIsTriedAgain) {
  listener_.Reset();
  Listen(0);  // the kernel holds one
  FakeConnection second;
  Deliver(&connection_);
  Relay* const waits = Deliver(&second);
  rig_.Settle();
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 2u);
  second.Deliver(rig_.now(), "second");
  EXPECT_EQ(second.kept(), 6u) << "nowhere to put it yet";
  ProgramEnd first = Accept();
  Take(&first, 0);
  EXPECT_TRUE(rig_.Await([&] { return second.kept() == 0; }));
  ProgramEnd program = Accept();
  Take(&program, 0);
  rig_.Settle();
  EXPECT_FALSE(waits->waiting());
  EXPECT_EQ(program.Read(), "second");
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 0u);
}

TEST_F(Accepting, ResetWhileTheBacklogIsFullLeavesNothing) {
  listener_.Reset();
  Listen(0);
  FakeConnection second;
  Deliver(&connection_);
  const uint64_t id = Deliver(&second)->id();
  rig_.Settle();
  second.End(rig_.now(), EndReason::kReset);
  rig_.Settle();
  EXPECT_EQ(rig_.relays()->Find(id), nullptr);
  EXPECT_EQ(rig_.relays()->Waiting(name_.id), 1u);
}

}  // namespace
}  // namespace mptcptls
