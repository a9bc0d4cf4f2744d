// What of a connection becomes the kernel's mptcp_info, tcp_info and addresses, also where numbers
// are larger than their fields.
#include "engine/mptcp_answer.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "engine/addresses.h"
#include "engine/tcp_info.h"

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

const Time kNow{100s};

Endpoint At(const char* address, uint16_t port) { return {*IpAddress::Parse(address), port}; }

SubflowStatus Subflow(uint32_t id, const char* local, const char* remote, bool joined) {
  SubflowStatus s;
  s.id = id;
  s.tuple = {At(local, 40000), At(remote, 443)};
  s.joined = joined;
  s.tcp.state = TcpState::kEstablished;
  return s;
}

ConnectionInfo TwoPaths() {
  ConnectionInfo info;
  info.initiator = info.connected = true;
  info.mode = Mode::kTlsAuth;
  info.local = At("192.0.2.1", 40000);
  info.remote = At("198.51.100.1", 443);
  info.local_token = 0x01020304;
  info.write_dsn = 1007;
  info.unacknowledged_dsn = 1003;
  info.expected_dsn = 5005;
  info.bytes_sent = 7;
  info.bytes_carried = 5;
  info.bytes_acknowledged = 3;
  info.bytes_received = 9;
  info.bytes_reinjected = 2;
  info.data_timeouts = 1;
  info.checksum = true;
  info.addresses_announced = 1;
  info.addresses_accepted = 2;
  info.local_addresses = 3;
  info.max_subflows = 8;
  info.max_addresses_accepted = 6;
  info.subflows = {Subflow(1, "192.0.2.1", "198.51.100.1", false),
                   Subflow(2, "192.0.2.129", "198.51.100.129", true)};
  return info;
}

struct Answer {
  control::MptcpReply reply;
  std::vector<control::MptcpSubflow> subflows;
};

// Also checks that the message is as long as it says.
Answer Read(const MptcpMessage& message) {
  Answer answer;
  EXPECT_GE(message.size(), sizeof answer.reply);
  memcpy(&answer.reply, message.data(), sizeof answer.reply);
  EXPECT_TRUE(control::HeaderIsOurs(answer.reply.header));
  EXPECT_EQ(answer.reply.header.verb, control::Verb::kReply);
  EXPECT_EQ(answer.reply.header.length, message.size());
  EXPECT_LE(answer.reply.subflows, control::kMaxSubflows);
  EXPECT_EQ(message.size(),
            sizeof answer.reply + answer.reply.subflows * sizeof(control::MptcpSubflow));
  answer.subflows.resize(answer.reply.subflows);
  for (size_t i = 0; i < answer.subflows.size(); ++i)
    memcpy(&answer.subflows[i],
           message.data() + sizeof answer.reply + i * sizeof(control::MptcpSubflow),
           sizeof(control::MptcpSubflow));
  return answer;
}

std::string Text(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    memcpy(&v4, &address, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text);
    return std::string(text) + ":" + std::to_string(ntohs(v4.sin_port));
  }
  sockaddr_in6 v6;
  memcpy(&v6, &address, sizeof v6);
  if (address.ss_family == AF_INET6) inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
  return std::string("[") + text + "]:" + std::to_string(ntohs(v6.sin6_port));
}

TEST(MptcpAnswer, TellsOfTheConnection) {
  const Answer answer = Read(MptcpAnswer(TwoPaths(), 0, kNow));
  EXPECT_EQ(answer.reply.error, 0);
  const kernel::MptcpInfo& info = answer.reply.info;
  EXPECT_EQ(info.subflows, 1);
  EXPECT_EQ(info.subflows_total, 2);
  EXPECT_EQ(info.subflows_max, 7);
  EXPECT_EQ(info.add_addr_signal, 1);
  EXPECT_EQ(info.add_addr_signal_max, 3);
  EXPECT_EQ(info.add_addr_accepted, 2);
  EXPECT_EQ(info.add_addr_accepted_max, 6);
  EXPECT_EQ(info.local_addr_used, 1);
  EXPECT_EQ(info.local_addr_max, 3);
  EXPECT_EQ(info.flags, kernel::kFlagRemoteKeyReceived);
  EXPECT_EQ(info.token, 0x01020304u);
  EXPECT_EQ(info.csum_enabled, 1);
  EXPECT_EQ(info.write_seq, 1007u);
  EXPECT_EQ(info.snd_una, 1003u);
  EXPECT_EQ(info.rcv_nxt, 5005u);
  EXPECT_EQ(info.bytes_sent, 5u);
  EXPECT_EQ(info.bytes_acked, 3u);
  EXPECT_EQ(info.bytes_received, 9u);
  EXPECT_EQ(info.bytes_retrans, 2u);
  EXPECT_EQ(info.retransmits, 1u);
  ASSERT_EQ(answer.subflows.size(), 2u);
  EXPECT_EQ(answer.subflows[0].info.id, 1u);
  EXPECT_EQ(answer.subflows[1].info.id, 2u);
  EXPECT_EQ(Text(answer.subflows[0].info.addresses.local), "192.0.2.1:40000");
  EXPECT_EQ(Text(answer.subflows[1].info.addresses.remote), "198.51.100.129:443");
  EXPECT_EQ(answer.subflows[1].tcp.state, TCP_ESTABLISHED);
}

TEST(MptcpAnswer, OnlyWhatSpeaksMptcpIsToldOf) {
  const struct {
    Mode mode;
    bool fallback, connected, asked, told;
  } table[] = {
      {Mode::kTlsAuth, false, true, false, true}, {Mode::kKeys, false, true, false, true},
      {Mode::kKeys, false, true, true, true},     {Mode::kTcp, false, true, false, false},
      {Mode::kTcp, false, true, true, false},     {Mode::kKeys, true, true, true, false},
      {Mode::kTcp, true, true, true, false},      {Mode::kTcp, false, false, true, true},
      {Mode::kTcp, false, false, false, false},   {Mode::kKeys, false, false, false, false}};
  for (const auto& row : table) {
    ConnectionInfo info = TwoPaths();
    info.mode = row.mode;
    info.fallback = row.fallback;
    info.connected = row.connected;
    const Answer answer = Read(MptcpAnswer(info, row.asked ? control::kFlagMptcp : 0, kNow));
    const auto index = &row - table;
    EXPECT_EQ(answer.reply.error, row.told ? 0 : ENOPROTOOPT) << index;
    EXPECT_EQ(answer.subflows.size(), row.told ? 2u : 0u) << index;
    EXPECT_EQ(answer.reply.info.flags,
              row.told && row.connected ? kernel::kFlagRemoteKeyReceived : 0u)
        << index;
    EXPECT_EQ(BeganAsMptcp(info), row.mode != Mode::kTcp || row.fallback) << index;
  }
}

TEST(MptcpAnswer, WhatIsOverIsNotListed) {
  ConnectionInfo info = TwoPaths();
  info.subflows.push_back(Subflow(3, "192.0.2.130", "198.51.100.1", true));
  info.subflows.push_back(Subflow(4, "192.0.2.131", "198.51.100.1", true));
  info.subflows[2].tcp.state = TcpState::kTimeWait;
  info.subflows[3].tcp.state = TcpState::kClosed;
  Answer answer = Read(MptcpAnswer(info, 0, kNow));
  EXPECT_EQ(answer.subflows.size(), 2u);
  EXPECT_EQ(answer.reply.info.subflows_total, 2);
  // The first one is gone, the others go on.
  info.subflows[0].tcp.state = TcpState::kClosed;
  answer = Read(MptcpAnswer(info, 0, kNow));
  ASSERT_EQ(answer.subflows.size(), 1u);
  EXPECT_EQ(answer.subflows[0].info.id, 2u);
  EXPECT_EQ(answer.reply.info.subflows, 1);
  EXPECT_EQ(answer.reply.info.subflows_total, 1);
}

TEST(MptcpAnswer, NothingIsBeyondItsField) {
  ConnectionInfo info = TwoPaths();
  constexpr size_t kMany = 300;
  static_assert(kMany > control::kMaxSubflows);
  while (info.subflows.size() < kMany) {
    info.subflows.push_back(Subflow(static_cast<uint32_t>(info.subflows.size() + 1), "192.0.2.1",
                                    "198.51.100.1", true));
  }
  info.addresses_announced = info.addresses_accepted = info.local_addresses = info.max_subflows =
      info.max_addresses_accepted = 1000;
  const Answer answer = Read(MptcpAnswer(info, 0, kNow));
  EXPECT_EQ(answer.subflows.size(), control::kMaxSubflows);
  const kernel::MptcpInfo& told = answer.reply.info;
  for (const uint8_t each : {told.subflows, told.subflows_total, told.subflows_max,
                             told.add_addr_signal, told.add_addr_signal_max, told.add_addr_accepted,
                             told.add_addr_accepted_max, told.local_addr_max})
    EXPECT_EQ(each, 255);
  info.max_subflows = 0;
  EXPECT_EQ(Read(MptcpAnswer(info, 0, kNow)).reply.info.subflows_max, 0);
}

// As the kernel: an IPv6 socket has its first subflow, and a server all of them, with mapped
// addresses; what a client joins has the family of its addresses.
TEST(MptcpAnswer, MappedAddresses) {
  ConnectionInfo info = TwoPaths();
  const auto locals = [&](uint8_t flags) {
    std::string text;
    for (const auto& subflow : Read(MptcpAnswer(info, flags, kNow)).subflows)
      text += Text(subflow.info.addresses.local) + " ";
    return text;
  };
  EXPECT_EQ(locals(0), "192.0.2.1:40000 192.0.2.129:40000 ");
  EXPECT_EQ(locals(control::kFlagMapped), "[::ffff:192.0.2.1]:40000 192.0.2.129:40000 ");
  info.initiator = false;
  EXPECT_EQ(locals(control::kFlagMapped), "[::ffff:192.0.2.1]:40000 [::ffff:192.0.2.129]:40000 ");
  info.subflows = {Subflow(1, "2001:db8::1", "2001:db8::2", false)};
  EXPECT_EQ(locals(control::kFlagMapped), "[2001:db8::1]:40000 ");
  EXPECT_EQ(locals(0), "[2001:db8::1]:40000 ");
}

TEST(MptcpAnswer, OfAListener) {
  const kernel::TcpInfo tcp = ListenerTcpInfo(3, 128);
  const Endpoint any = At("0.0.0.0", 443);
  EXPECT_EQ(Read(MptcpListenerAnswer(any, tcp, 0)).reply.error, ENOPROTOOPT);
  Answer answer = Read(MptcpListenerAnswer(any, tcp, control::kFlagMptcp));
  EXPECT_EQ(answer.reply.error, 0);
  EXPECT_EQ(answer.reply.info.flags, 0u);
  ASSERT_EQ(answer.subflows.size(), 1u);
  EXPECT_EQ(answer.subflows[0].tcp.state, TCP_LISTEN);
  EXPECT_EQ(answer.subflows[0].tcp.unacked, 3u);
  EXPECT_EQ(answer.subflows[0].tcp.sacked, 128u);
  EXPECT_EQ(Text(answer.subflows[0].info.addresses.local), "0.0.0.0:443");
  EXPECT_EQ(Text(answer.subflows[0].info.addresses.remote), "0.0.0.0:0");
  answer = Read(MptcpListenerAnswer(any, tcp, control::kFlagMptcp | control::kFlagMapped));
  EXPECT_EQ(Text(answer.subflows[0].info.addresses.local), "[::]:443");
  EXPECT_EQ(ListenerTcpInfo(0, -1).sacked, 0u);
}

TEST(TcpInfo, CountsInPacketsAndMicroseconds) {
  SubflowInfo tcp;
  tcp.state = TcpState::kCloseWait;
  tcp.recovery = RecoveryState::kRecovery;
  tcp.timestamps = tcp.sack = true;
  tcp.send_scale = 7;
  tcp.receive_scale = 9;
  tcp.srtt = 20ms;
  tcp.rttvar = 5ms;
  tcp.rto = 220ms;
  tcp.min_rtt = 19ms;
  tcp.mss = 1000;
  tcp.cwnd = 10'000;
  tcp.ssthresh = 5'000;
  tcp.in_flight = 3'001;
  tcp.sacked = 2'000;
  tcp.lost = 1;
  tcp.path_mtu = 1052;
  tcp.bytes_sent = 100;
  tcp.bytes_retransmitted = 10;
  tcp.segments_retransmitted = 1;
  tcp.last_data_sent = kNow - 1500ms;
  tcp.last_data_received = kNow + 1s;  // no such thing
  const kernel::TcpInfo info = ToTcpInfo(tcp, kNow);
  EXPECT_EQ(info.state, TCP_CLOSE_WAIT);
  EXPECT_EQ(info.ca_state, TCP_CA_Recovery);
  EXPECT_EQ(info.options, TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
  EXPECT_EQ(info.scales, 0x97);
  EXPECT_EQ(info.rtt, 20'000u);
  EXPECT_EQ(info.rttvar, 5'000u);
  EXPECT_EQ(info.rto, 220'000u);
  EXPECT_EQ(info.min_rtt, 19'000u);
  EXPECT_EQ(info.snd_cwnd, 10u);
  EXPECT_EQ(info.snd_ssthresh, 5u);
  EXPECT_EQ(info.sacked, 2u);
  EXPECT_EQ(info.lost, 1u);
  EXPECT_EQ(info.unacked, 4u + 2 + 1);
  EXPECT_EQ(info.pmtu, 1052u);
  EXPECT_EQ(info.bytes_sent, 110u);
  EXPECT_EQ(info.bytes_retrans, 10u);
  EXPECT_EQ(info.total_retrans, 1u);
  EXPECT_EQ(info.last_data_sent, 1500u);
  EXPECT_EQ(info.last_data_recv, 0u);
  EXPECT_EQ(info.last_ack_recv, 0u) << "never";
}

TEST(TcpInfo, NothingIsBeyondItsField) {
  SubflowInfo tcp;
  tcp.state = TcpState::kEstablished;
  tcp.srtt = tcp.rto = tcp.receive_rtt = Duration::max();
  tcp.rttvar = Duration(-1);
  tcp.mss = 0;  // not known yet
  tcp.cwnd = tcp.ssthresh = tcp.timeouts = tcp.consecutive_timeouts = tcp.backoff = UINT32_MAX;
  tcp.send_scale = tcp.receive_scale = 255;
  tcp.last_received = Time(1ns);
  const kernel::TcpInfo info = ToTcpInfo(tcp, Time::max());
  EXPECT_EQ(info.rtt, UINT32_MAX);
  EXPECT_EQ(info.rttvar, 0u);
  EXPECT_EQ(info.rcv_rtt, UINT32_MAX);
  EXPECT_EQ(info.snd_ssthresh, kernel::kInfiniteThreshold);
  EXPECT_EQ(info.retransmits, 255);
  EXPECT_EQ(info.backoff, 255);
  EXPECT_EQ(info.total_rto, 65535);
  EXPECT_EQ(info.scales, 0xff);
  EXPECT_EQ(info.last_ack_recv, UINT32_MAX);
  EXPECT_EQ(info.pacing_rate, UINT64_MAX) << "not paced";
}

}  // namespace
}  // namespace mptcptls
