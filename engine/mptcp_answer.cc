#include "engine/mptcp_answer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>

#include "engine/addresses.h"
#include "engine/tcp_info.h"

namespace mptcptls {
namespace {

uint8_t Byte(size_t number) {
  return static_cast<uint8_t>(std::min<size_t>(number, std::numeric_limits<uint8_t>::max()));
}

// What the kernel would have in the connection's list: neither over nor in TIME-WAIT.
std::vector<const SubflowStatus*> Listed(const ConnectionInfo& info) {
  std::vector<const SubflowStatus*> listed;
  for (const SubflowStatus& s : info.subflows) {
    if (!s.ended && s.tcp.state != TcpState::kClosed && s.tcp.state != TcpState::kTimeWait)
      listed.push_back(&s);
  }
  return listed;
}

// The latest of all subflows.
Time Latest(const ConnectionInfo& info, Time SubflowInfo::*when) {
  Time latest{};
  for (const SubflowStatus& s : info.subflows) latest = std::max(latest, s.tcp.*when);
  return latest;
}

void FillPaths(const ConnectionInfo& info, kernel::MptcpInfo* out) {
  std::set<IpAddress> used;
  size_t joined = 0;
  const auto listed = Listed(info);
  for (const SubflowStatus* s : listed) {
    if (!s->joined) continue;
    ++joined;
    if (s->tuple.local.address != info.local.address) used.insert(s->tuple.local.address);
  }
  out->subflows = Byte(joined);
  out->subflows_total = Byte(listed.size());
  out->subflows_max = Byte(std::max<size_t>(info.max_subflows, 1) - 1);
  out->add_addr_signal = Byte(info.addresses_announced);
  // We announce what subflows may use.
  out->add_addr_signal_max = out->local_addr_max = Byte(info.local_addresses);
  out->add_addr_accepted = Byte(info.addresses_accepted);
  out->add_addr_accepted_max = Byte(info.max_addresses_accepted);
  out->local_addr_used = Byte(used.size());
}

kernel::MptcpInfo ToMptcpInfo(const ConnectionInfo& info, Time now) {
  kernel::MptcpInfo out;
  FillPaths(info, &out);
  if (info.connected) out.flags |= kernel::kFlagRemoteKeyReceived;
  out.token = info.local_token;
  out.csum_enabled = info.checksum ? 1 : 0;
  out.write_seq = info.write_dsn;
  out.snd_una = info.unacknowledged_dsn;
  out.rcv_nxt = info.expected_dsn;
  out.retransmits = info.data_timeouts;
  out.bytes_retrans = info.bytes_reinjected;
  out.bytes_sent = info.bytes_carried;
  out.bytes_received = info.bytes_received;
  out.bytes_acked = info.bytes_acknowledged;
  out.last_data_sent = MillisecondsSince(Latest(info, &SubflowInfo::last_data_sent), now);
  out.last_data_recv = MillisecondsSince(Latest(info, &SubflowInfo::last_data_received), now);
  out.last_ack_recv = MillisecondsSince(Latest(info, &SubflowInfo::last_received), now);
  return out;
}

control::MptcpSubflow ToSubflow(const SubflowStatus& status, bool mapped, Time now) {
  control::MptcpSubflow subflow;
  subflow.info.id = status.id;
  subflow.info.addresses.local = ToSockaddr(status.tuple.local, mapped);
  subflow.info.addresses.remote = ToSockaddr(status.tuple.remote, mapped);
  subflow.tcp = ToTcpInfo(status.tcp, now);
  return subflow;
}

MptcpMessage Message(int32_t error, const kernel::MptcpInfo& info,
                     const std::vector<control::MptcpSubflow>& subflows) {
  auto reply = control::Make<control::MptcpReply>(control::Verb::kReply);
  reply.error = error;
  reply.subflows = static_cast<uint32_t>(subflows.size());
  reply.info = info;
  const size_t tail = subflows.size() * sizeof(control::MptcpSubflow);
  reply.header.length = static_cast<uint32_t>(sizeof reply + tail);
  MptcpMessage message(sizeof reply + tail);
  memcpy(message.data(), &reply, sizeof reply);
  if (tail > 0) memcpy(message.data() + sizeof reply, subflows.data(), tail);
  return message;
}

}  // namespace

bool BeganAsMptcp(const ConnectionInfo& info) { return info.mode != Mode::kTcp || info.fallback; }

MptcpMessage MptcpAnswer(const ConnectionInfo& info, uint8_t flags, Time now) {
  const bool asked = (flags & control::kFlagMptcp) != 0;
  const bool speaks = info.mode != Mode::kTcp && !info.fallback;
  if (info.connected ? !speaks : !asked) return MptcpRefusal();
  const bool mapped = (flags & control::kFlagMapped) != 0;
  std::vector<control::MptcpSubflow> subflows;
  for (const SubflowStatus* s : Listed(info)) {
    if (subflows.size() == control::kMaxSubflows) break;
    // The kernel joins by a socket of the address's own family, and takes joins by the listener's.
    subflows.push_back(ToSubflow(*s, mapped && !(info.initiator && s->joined), now));
  }
  return Message(0, ToMptcpInfo(info, now), subflows);
}

MptcpMessage MptcpListenerAnswer(const Endpoint& local, const kernel::TcpInfo& tcp, uint8_t flags) {
  if ((flags & control::kFlagMptcp) == 0) return MptcpRefusal();
  const bool mapped = (flags & control::kFlagMapped) != 0;
  control::MptcpSubflow only;
  only.info.addresses.local = ToSockaddr(local, mapped);
  const Endpoint nobody{{.family = local.address.family, .bytes = {}}, 0};
  only.info.addresses.remote = ToSockaddr(nobody, mapped);
  only.tcp = tcp;
  return Message(0, kernel::MptcpInfo(), {only});
}

MptcpMessage MptcpRefusal() { return Message(ENOPROTOOPT, kernel::MptcpInfo(), {}); }

}  // namespace mptcptls
