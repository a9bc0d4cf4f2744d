// What is looked up among relays, and how much of it is remembered; socket options.
#include "engine/relays.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#include "engine/socket_options.h"
#include "engine/tcp_info.h"
#include "tests/unit/engine/relay_rig.h"

namespace mptcptls {
namespace {

constexpr uid_t kRoot = 0;
constexpr uid_t kAlice = 1000;
constexpr uid_t kBob = 1001;

ClientRandom RandomOf(uint8_t number) {
  ClientRandom random;
  random.fill(number);
  return random;
}

std::string Hello(uint8_t number) {
  std::string bytes("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  bytes.append(32, static_cast<char>(number));
  return bytes + std::string(100, 'x');
}

class RelaysTest : public testing::Test {
 protected:
  Relay* Find(uint8_t number, uid_t uid, control::TlsEnd end = control::TlsEnd::kUnknown) {
    return rig_.relays()->FindByRandom(RandomOf(number), uid, end);
  }
  RelayRig rig_;
};

TEST_F(RelaysTest, RandomIsFoundInEitherDirection) {
  Initiator client(&rig_);
  client.Open(kAlice);
  client.program.Send(Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), client.relay);
  Initiator server(&rig_);
  server.Open(kAlice);
  server.connection.Deliver(rig_.now(), "220 ready\r\n" + Hello(2));
  rig_.Settle();
  EXPECT_EQ(Find(2, kAlice), server.relay);
  EXPECT_EQ(Find(3, kAlice), nullptr);
}

// Both ends of a session in one engine: MPTCPTLS_CAPTURE=all.
TEST_F(RelaysTest, EachEndOfASessionIsFoundByItsOwn) {
  Initiator client(&rig_), server(&rig_);
  client.Open(kAlice);
  server.Open(kAlice);
  client.program.Send(Hello(1));
  rig_.Settle();
  server.connection.Deliver(rig_.now(), Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), nullptr) << "which one?";
  EXPECT_EQ(Find(1, kAlice, control::TlsEnd::kClient), client.relay);
  EXPECT_EQ(Find(1, kAlice, control::TlsEnd::kServer), server.relay);
  // An echo makes no second end of it.
  server.program.Send(Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice, control::TlsEnd::kClient), client.relay);
}

TEST_F(RelaysTest, KeyOfASessionWithinTheConnectionsOwnIsNone) {
  Initiator one(&rig_);
  one.Open(kAlice);
  EXPECT_TRUE(rig_.relays()->MayBeOf(one.id, RandomOf(1))) << "no ClientHello was seen yet";
  one.program.Send(Hello(1));
  rig_.Settle();
  EXPECT_TRUE(rig_.relays()->MayBeOf(one.id, RandomOf(1)));
  EXPECT_FALSE(rig_.relays()->MayBeOf(one.id, RandomOf(2)));
  EXPECT_FALSE(rig_.relays()->MayBeOf(one.id + 1, RandomOf(1)));
}

TEST_F(RelaysTest, KeyIsTakenFromTheOwnerAndFromRootAlone) {
  Initiator one(&rig_);
  one.Open(kAlice);
  one.program.Send(Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), one.relay);
  EXPECT_EQ(Find(1, kRoot), one.relay);
  EXPECT_EQ(Find(1, kBob), nullptr);
  EXPECT_EQ(Find(1, static_cast<uid_t>(-1)), nullptr);
}

TEST_F(RelaysTest, OwnerIsWhoSentTheRequestAndNobodyBefore) {
  Initiator one(&rig_);
  rig_.relays()->RememberRandom(RandomOf(1), one.id, control::TlsEnd::kClient);
  EXPECT_EQ(Find(1, kAlice), nullptr);
  one.SendPending(kAlice);
  EXPECT_EQ(Find(1, kAlice), one.relay);
}

control::SecretMessage Secret(control::SecretKind kind) {
  auto message = control::Make<control::SecretMessage>(control::Verb::kSecret);
  message.kind = kind;
  message.size = 48;
  return message;
}

TEST_F(RelaysTest, SecretGivesTheKeyWhenTheHandshakeIsOver) {
  Initiator one(&rig_);
  one.Open(kAlice);
  one.program.Send(Hello(1));
  rig_.Settle();
  one.connection.Deliver(rig_.now(), "no TLS 1.2");
  ASSERT_TRUE(Find(1, kAlice)->TakeSecret(Secret(control::SecretKind::kExporter)));
  rig_.Settle();
  EXPECT_EQ(one.connection.keys_set, 0u);
  one.program.Send("Finished");
  rig_.Settle();
  EXPECT_EQ(one.connection.keys_set, 1u);
  EXPECT_TRUE(one.connection.sent.ends_with("Finished")) << "it leaves before joins do";
  // It is given once.
  ASSERT_TRUE(one.relay->TakeSecret(Secret(control::SecretKind::kExporter)));
  one.connection.Deliver(rig_.now(), "more");
  rig_.Settle();
  EXPECT_EQ(one.connection.keys_set, 1u);
}

TEST_F(RelaysTest, SecretThatComesLateGivesTheKeyAtOnce) {
  Initiator one(&rig_);
  one.Open(kAlice);
  one.program.Send(Hello(1));
  rig_.Settle();
  one.connection.Deliver(rig_.now(), "hello");
  one.program.Send("Finished");
  rig_.Settle();
  EXPECT_FALSE(one.relay->TakeSecret({}));
  EXPECT_TRUE(one.relay->TakeSecret(Secret(control::SecretKind::kExporter)));
  rig_.Settle();
  EXPECT_EQ(one.connection.keys_set, 1u);
}

TEST_F(RelaysTest, SecretWithoutAServerHelloGivesAReason) {
  Initiator one(&rig_);
  one.Open(kAlice);
  one.program.Send(Hello(1));
  rig_.Settle();
  ASSERT_TRUE(one.relay->TakeSecret(Secret(control::SecretKind::kMaster)));
  for (int i = 0; i < 2; ++i) {
    one.connection.Deliver(rig_.now(), "no TLS");
    one.program.Send("nor this");
    rig_.Settle();
  }
  EXPECT_EQ(one.connection.keys_set, 0u);
  EXPECT_NE(one.connection.refused, "");
}

TEST_F(RelaysTest, AmbiguousRandomGivesNone) {
  Initiator one(&rig_);
  one.Open(kAlice);
  Initiator two(&rig_);
  two.Open(kAlice);
  one.program.Send(Hello(1));
  two.connection.Deliver(rig_.now(), Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), nullptr);
  EXPECT_EQ(Find(1, kRoot), nullptr);
  // Once the other is gone it is one again.
  two.connection.End(rig_.now(), EndReason::kReset);
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), one.relay);
}

TEST_F(RelaysTest, AnotherUsersCopyIsNotInTheWay) {
  Initiator one(&rig_);
  one.Open(kAlice);
  Initiator copy(&rig_);
  copy.Open(kBob);
  one.program.Send(Hello(1));
  copy.program.Send(Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), one.relay);
  EXPECT_EQ(Find(1, kBob), copy.relay);
  EXPECT_EQ(Find(1, kRoot), nullptr);
}

TEST_F(RelaysTest, EchoIsNotAmbiguousWithItself) {
  Initiator one(&rig_);
  one.Open(kAlice);
  one.program.Send(Hello(1));
  rig_.Settle();
  one.connection.Deliver(rig_.now(), Hello(1));
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), one.relay);
}

TEST_F(RelaysTest, ConnectionThatIsOverHasNoKey) {
  Initiator one(&rig_);
  one.Open(kAlice);
  one.program.Send(Hello(1));
  rig_.Settle();
  one.connection.End(rig_.now(), EndReason::kReset);
  EXPECT_EQ(Find(1, kAlice), nullptr);
  rig_.Settle();
  EXPECT_EQ(Find(1, kAlice), nullptr);
}

TEST_F(RelaysTest, ResultsAreBounded) {
  Relays* const relays = rig_.relays();
  for (uint64_t id = 1; id <= 3 * Relays::kMaxResults; ++id)
    relays->RememberResult(id, ECONNREFUSED);
  EXPECT_EQ(relays->Result(2 * Relays::kMaxResults), 0);
  for (uint64_t id = 2 * Relays::kMaxResults + 1; id <= 3 * Relays::kMaxResults; ++id)
    ASSERT_EQ(relays->Result(id), ECONNREFUSED);
  relays->RememberResult(3 * Relays::kMaxResults, ETIMEDOUT);
  EXPECT_EQ(relays->Result(3 * Relays::kMaxResults), ECONNREFUSED) << "the first word counts";
  EXPECT_EQ(relays->Result(0), 0);
}

TEST_F(RelaysTest, ClosedConnectionsAreBoundedAndInOrder) {
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < Relays::kMaxClosed + 10; ++i) {
    Initiator one(&rig_);
    one.Open();
    ids.push_back(one.id);
    one.connection.End(rig_.now(), EndReason::kReset);
    rig_.Settle();
  }
  const auto& closed = rig_.relays()->closed();
  ASSERT_EQ(closed.size(), Relays::kMaxClosed);
  for (size_t i = 0; i < closed.size(); ++i) EXPECT_EQ(closed[i].id, ids[i + 10]);
  EXPECT_EQ(closed.back().info.end, EndReason::kReset);
  EXPECT_EQ(rig_.relays()->size(), 0u);
}

TEST_F(RelaysTest, OpenOnesAreToldInOrderOfCreation) {
  Initiator one(&rig_);
  Initiator two(&rig_);
  Initiator three(&rig_);
  const auto open = rig_.relays()->Open();
  ASSERT_EQ(open.size(), 3u);
  EXPECT_EQ(open[0].id, one.id);
  EXPECT_EQ(open[1].id, two.id);
  EXPECT_EQ(open[2].id, three.id);
}

// ---- Socket options

class SocketOptions : public testing::Test {
 protected:
  static control::OptionRequest Request(int level, int name, const std::string& value) {
    auto request = control::Make<control::OptionRequest>(control::Verb::kSetOption);
    request.level = level;
    request.name = name;
    request.value_length = static_cast<uint32_t>(value.size());
    memcpy(request.value, value.data(), std::min(value.size(), sizeof request.value));
    return request;
  }
  static std::string Int(int value) { return BytesOf(&value, sizeof value); }
  int Set(int level, int name, const std::string& value) const {
    return SetSocketOption(socket_.get(), Request(level, name, value)).error;
  }
  control::OptionReply Get(int level, int name, uint32_t room) const {
    auto request = Request(level, name, "");
    request.value_length = room;
    return GetSocketOption(socket_.get(), request);
  }
  int GetInt(int level, int name) const {
    const auto reply = Get(level, name, sizeof(int));
    EXPECT_EQ(reply.error, 0);
    int value = 0;
    memcpy(&value, reply.value, sizeof value);
    return value;
  }
  Descriptor socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

TEST_F(SocketOptions, KnownOnesAreTheKernels) {
  EXPECT_EQ(Set(IPPROTO_TCP, TCP_KEEPIDLE, Int(77)), 0);
  EXPECT_EQ(GetInt(IPPROTO_TCP, TCP_KEEPIDLE), 77);
  EXPECT_EQ(Set(IPPROTO_TCP, TCP_KEEPIDLE, Int(0)), EINVAL) << "its ranges, too";
  EXPECT_EQ(Set(IPPROTO_IP, IP_TOS, Int(0x10)), 0);
  EXPECT_EQ(GetInt(IPPROTO_IP, IP_TOS), 0x10);
  EXPECT_EQ(Set(IPPROTO_TCP, TCP_CONGESTION, "reno"), 0);
  EXPECT_STREQ(reinterpret_cast<const char*>(Get(IPPROTO_TCP, TCP_CONGESTION, 16).value), "reno");
}

// They would act with the engine's rights, or promise what the stack does not do.
TEST_F(SocketOptions, AllOthersAreRefused) {
  const struct {
    int level, name;
  } table[] = {{IPPROTO_TCP, TCP_REPAIR},    {IPPROTO_TCP, TCP_REPAIR_QUEUE},
               {IPPROTO_TCP, TCP_QUEUE_SEQ}, {IPPROTO_TCP, TCP_ULP},
               {IPPROTO_TCP, TCP_MD5SIG},    {IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE},
               {IPPROTO_IP, IP_TRANSPARENT}, {IPPROTO_IP, IP_FREEBIND},
               {IPPROTO_IP, IP_HDRINCL},     {IPPROTO_IP, IP_OPTIONS},
               {IPPROTO_IPV6, IPV6_RTHDR},   {SOL_SOCKET, SO_BINDTODEVICE},
               {SOL_SOCKET, SO_MARK},        {SOL_SOCKET, SO_ATTACH_FILTER},
               {SOL_SOCKET, SO_SNDBUFFORCE}, {SOL_SOCKET, SO_PEERCRED},
               {IPPROTO_UDP, UDP_CORK},      {-1, -1},
               {INT32_MAX, INT32_MIN}};
  for (const auto& row : table) {
    EXPECT_EQ(Set(row.level, row.name, Int(1)), ENOPROTOOPT) << row.level << " " << row.name;
    EXPECT_EQ(Get(row.level, row.name, 4).error, ENOPROTOOPT) << row.level << " " << row.name;
  }
}

TEST_F(SocketOptions, HostileLengthsAreRefused) {
  auto request = Request(IPPROTO_TCP, TCP_KEEPIDLE, Int(5));
  for (const uint32_t length : {uint32_t{65}, uint32_t{1} << 31, UINT32_MAX}) {
    request.value_length = length;
    EXPECT_EQ(SetSocketOption(socket_.get(), request).error, EINVAL) << length;
    // The answer's room is the bound.
    const auto reply = GetSocketOption(socket_.get(), request);
    EXPECT_EQ(reply.error, 0);
    EXPECT_EQ(reply.value_length, sizeof(int));
  }
  request.value_length = 0;
  EXPECT_EQ(SetSocketOption(socket_.get(), request).error, EINVAL);
  EXPECT_EQ(GetSocketOption(socket_.get(), request).error, 0);
}

TEST_F(SocketOptions, WhatTheyAskOfAConnection) {
  const StreamOptions fresh = ToStreamOptions(socket_.get());
  EXPECT_FALSE(fresh.patience.keepalive);
  EXPECT_FALSE(fresh.no_delay);
  EXPECT_FALSE(fresh.cork);
  EXPECT_EQ(fresh.patience.user_timeout, Duration::zero());
  EXPECT_EQ(fresh.patience.idle, std::chrono::seconds(GetInt(IPPROTO_TCP, TCP_KEEPIDLE)));
  const struct {
    int level, name, value;
  } set[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},   {IPPROTO_TCP, TCP_KEEPIDLE, 77},
             {IPPROTO_TCP, TCP_KEEPINTVL, 7}, {IPPROTO_TCP, TCP_KEEPCNT, 4},
             {IPPROTO_TCP, TCP_LINGER2, 9},   {IPPROTO_TCP, TCP_USER_TIMEOUT, 2500},
             {IPPROTO_TCP, TCP_NODELAY, 1},   {IPPROTO_TCP, TCP_CORK, 1},
             {IPPROTO_TCP, TCP_SYNCNT, 3}};
  for (const auto& row : set) EXPECT_EQ(Set(row.level, row.name, Int(row.value)), 0) << row.name;
  EXPECT_EQ(SynRetries(socket_.get()), 3);
  // The same from the socket and from what a listener hands on.
  for (const StreamOptions& options :
       {ToStreamOptions(socket_.get()), ToStreamOptions(ReadOptions(socket_.get()))}) {
    EXPECT_TRUE(options.patience.keepalive);
    EXPECT_EQ(options.patience.idle, std::chrono::seconds(77));
    EXPECT_EQ(options.patience.interval, std::chrono::seconds(7));
    EXPECT_EQ(options.patience.probes, 4);
    EXPECT_EQ(options.patience.user_timeout, std::chrono::milliseconds(2500));
    EXPECT_EQ(options.fin_wait, std::chrono::seconds(9));
    EXPECT_TRUE(options.no_delay);
    EXPECT_TRUE(options.cork);
  }
  EXPECT_EQ(Set(IPPROTO_TCP, TCP_LINGER2, Int(-1)), 0);
  EXPECT_LT(ToStreamOptions(socket_.get()).fin_wait, Duration::zero());
}

TEST_F(SocketOptions, WithoutASocketThereAreNone) {
  const auto request = Request(IPPROTO_TCP, TCP_KEEPIDLE, Int(5));
  EXPECT_EQ(SetSocketOption(-1, request).error, ENOPROTOOPT);
  EXPECT_EQ(GetSocketOption(-1, request).error, ENOPROTOOPT);
}

TEST_F(RelaysTest, TcpInfoTellsAnUndecidedConnectAsSuch) {
  Initiator one(&rig_);
  tcp_info info{};
  auto reply = TcpInfoOf(*one.relay, rig_.now());
  memcpy(&info, reply.value, sizeof info);
  EXPECT_EQ(info.tcpi_state, TCP_SYN_SENT);
  EXPECT_EQ(reply.value_length, sizeof(kernel::TcpInfo)) << "as long as this kernel's";
  one.connection.End(rig_.now(), EndReason::kRefused);
  reply = TcpInfoOf(*one.relay, rig_.now());
  memcpy(&info, reply.value, sizeof info);
  EXPECT_EQ(info.tcpi_state, TCP_CLOSE);
}

}  // namespace
}  // namespace mptcptls
