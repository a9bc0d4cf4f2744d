#include "engine/tcp_info.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace mptcptls {
namespace {

uint8_t KernelState(TcpState state) {
  switch (state) {
    case TcpState::kClosed:
      return TCP_CLOSE;
    case TcpState::kSynSent:
      return TCP_SYN_SENT;
    case TcpState::kSynReceived:
      return TCP_SYN_RECV;
    case TcpState::kEstablished:
      return TCP_ESTABLISHED;
    case TcpState::kFinWait1:
      return TCP_FIN_WAIT1;
    case TcpState::kFinWait2:
      return TCP_FIN_WAIT2;
    case TcpState::kCloseWait:
      return TCP_CLOSE_WAIT;
    case TcpState::kClosing:
      return TCP_CLOSING;
    case TcpState::kLastAck:
      return TCP_LAST_ACK;
    case TcpState::kTimeWait:
      return TCP_TIME_WAIT;
  }
  return TCP_CLOSE;
}

// As large as the field takes.
template <typename Field, typename Number>
Field Fit(Number number) {
  constexpr auto kMost = std::numeric_limits<Field>::max();
  return number > kMost ? kMost : static_cast<Field>(number);
}

uint32_t Microseconds(Duration d) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
  return Fit<uint32_t>(static_cast<uint64_t>(std::max<int64_t>(count, 0)));
}

uint8_t OptionsOf(const SubflowInfo& tcp) {
  return static_cast<uint8_t>(
      (tcp.timestamps ? kernel::kOptionTimestamps : 0) | (tcp.sack ? kernel::kOptionSack : 0) |
      (tcp.send_scale ? kernel::kOptionScale : 0) | (tcp.ecn ? kernel::kOptionEcn : 0));
}

void FillTimes(const SubflowInfo& tcp, Time now, kernel::TcpInfo* out) {
  out->rto = Microseconds(tcp.rto);
  out->rtt = Microseconds(tcp.srtt);
  out->rttvar = Microseconds(tcp.rttvar);
  out->min_rtt = Microseconds(tcp.min_rtt);
  out->rcv_rtt = Microseconds(tcp.receive_rtt);
  out->last_data_sent = MillisecondsSince(tcp.last_data_sent, now);
  out->last_data_recv = MillisecondsSince(tcp.last_data_received, now);
  out->last_ack_recv = MillisecondsSince(tcp.last_received, now);
}

void FillWindows(const SubflowInfo& tcp, kernel::TcpInfo* out) {
  const uint32_t mss = std::max(tcp.mss, 1u);
  const auto packets = [mss](uint32_t bytes) { return bytes / mss + (bytes % mss != 0 ? 1 : 0); };
  out->snd_mss = out->rcv_mss = out->advmss = tcp.mss;
  out->pmtu = tcp.path_mtu;
  out->snd_cwnd = tcp.cwnd / mss;
  out->snd_ssthresh =
      tcp.ssthresh >= kernel::kInfiniteThreshold ? kernel::kInfiniteThreshold : tcp.ssthresh / mss;
  // Of what is sent and not acknowledged; the stack's in_flight leaves out the next two.
  out->sacked = packets(tcp.sacked);
  out->lost = packets(tcp.lost);
  out->unacked = packets(tcp.in_flight) + out->sacked + out->lost;
  out->snd_wnd = tcp.peer_window;
  out->rcv_wnd = out->rcv_space = out->rcv_ssthresh = tcp.receive_window;
  out->pacing_rate = tcp.pacing_rate == 0 ? ~0ull : tcp.pacing_rate;
  out->max_pacing_rate = ~0ull;
}

void FillCounts(const SubflowInfo& tcp, kernel::TcpInfo* out) {
  out->bytes_sent = tcp.bytes_sent + tcp.bytes_retransmitted;
  out->bytes_retrans = tcp.bytes_retransmitted;
  out->bytes_acked = tcp.bytes_acked;
  out->bytes_received = tcp.bytes_received;
  out->segs_out = static_cast<uint32_t>(tcp.segments_out);
  out->segs_in = static_cast<uint32_t>(tcp.segments_in);
  out->total_retrans = static_cast<uint32_t>(tcp.segments_retransmitted);
  out->total_rto = Fit<uint16_t>(tcp.timeouts);
}

// MPTCP ends at the data level first, as long as which its subflows are established: a program of
// TCP is told of the stream's end.
uint8_t StreamState(const Relay& relay, const ConnectionInfo& info) {
  if (relay.peer_ended()) return relay.program_ended() ? TCP_LAST_ACK : TCP_CLOSE_WAIT;
  if (!relay.program_ended()) return TCP_ESTABLISHED;
  return info.unacknowledged_dsn < info.write_dsn ? TCP_FIN_WAIT1 : TCP_FIN_WAIT2;
}

}  // namespace

uint32_t MillisecondsSince(Time then, Time now) {
  if (then == Time{} || then > now) return 0;
  return Fit<uint32_t>(static_cast<uint64_t>((now - then) / std::chrono::milliseconds(1)));
}

kernel::TcpInfo ToTcpInfo(const SubflowInfo& tcp, Time now) {
  kernel::TcpInfo out;
  out.state = KernelState(tcp.state);
  out.ca_state = static_cast<uint8_t>(tcp.recovery);
  out.retransmits = Fit<uint8_t>(tcp.consecutive_timeouts);
  out.backoff = Fit<uint8_t>(tcp.backoff);
  out.options = OptionsOf(tcp);
  out.scales = static_cast<uint8_t>((tcp.send_scale.value_or(0) & 15) |
                                    (tcp.receive_scale.value_or(0) & 15) << 4);
  out.reordering = 3;  // Linux's default: what reorders more is told by time (RFC 8985)
  FillTimes(tcp, now, &out);
  FillWindows(tcp, &out);
  FillCounts(tcp, &out);
  return out;
}

kernel::TcpInfo ListenerTcpInfo(size_t waiting, int backlog) {
  kernel::TcpInfo out;
  out.state = TCP_LISTEN;
  out.unacked = Fit<uint32_t>(waiting);
  out.sacked = static_cast<uint32_t>(std::max(backlog, 0));
  return out;
}

control::OptionReply ToReply(const kernel::TcpInfo& info) {
  auto reply = control::Make<control::OptionReply>(control::Verb::kReply);
  static_assert(sizeof info <= sizeof reply.value);
  memcpy(reply.value, &info, sizeof info);
  reply.value_length = sizeof info;
  return reply;
}

control::OptionReply TcpInfoOf(const Relay& relay, Time now) {
  kernel::TcpInfo out;
  out.state = TCP_CLOSE;
  if (relay.connection() != nullptr) {
    const ConnectionInfo info = relay.connection()->Info(now);
    const auto first = std::ranges::find_if(
        info.subflows, [](const SubflowStatus& s) { return s.tcp.state != TcpState::kClosed; });
    if (first != info.subflows.end()) out = ToTcpInfo(first->tcp, now);
    if (out.state == TCP_ESTABLISHED) out.state = StreamState(relay, info);
    out.notsent_bytes =
        Fit<uint32_t>(info.bytes_sent - std::min(info.bytes_carried, info.bytes_sent));
    // The program's connect() is decided later than the handshake.
    if (relay.pending()) out.state = TCP_SYN_SENT;
  }
  return ToReply(out);
}

}  // namespace mptcptls
