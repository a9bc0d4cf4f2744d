// What Linux's MPTCP socket API (linux/mptcp.h, linux/tcp.h) tells a program, laid out as kernel
// 6.18 has it: installed headers are often older, and the sizes are told to programs. Needs libc
// alone, as control.h does. Times are in microseconds unless a name says otherwise.
#ifndef MPTCPTLS_ENGINE_KERNEL_INFO_H_
#define MPTCPTLS_ENGINE_KERNEL_INFO_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

namespace mptcptls::kernel {

// Levels and options that older headers do not have.
inline constexpr int kIpprotoMptcp = 262;
inline constexpr int kSolMptcp = 284;
inline constexpr int kMptcpInfo = 1;
inline constexpr int kMptcpTcpInfo = 2;
inline constexpr int kMptcpSubflowAddresses = 3;
inline constexpr int kMptcpFullInfo = 4;
inline constexpr int kTcpIsMptcp = 43;

// struct mptcp_info
inline constexpr uint32_t kFlagFallback = 1;           // MPTCP_INFO_FLAG_FALLBACK
inline constexpr uint32_t kFlagRemoteKeyReceived = 2;  // MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED
struct MptcpInfo {
  uint8_t subflows = 0;  // beyond the first one
  uint8_t add_addr_signal = 0;
  uint8_t add_addr_accepted = 0;
  uint8_t subflows_max = 0;
  uint8_t add_addr_signal_max = 0;
  uint8_t add_addr_accepted_max = 0;
  uint8_t hole[2] = {};
  uint32_t flags = 0;
  uint32_t token = 0;
  uint64_t write_seq = 0;
  uint64_t snd_una = 0;
  uint64_t rcv_nxt = 0;
  uint8_t local_addr_used = 0;
  uint8_t local_addr_max = 0;
  uint8_t csum_enabled = 0;
  uint8_t hole2 = 0;
  uint32_t retransmits = 0;
  uint64_t bytes_retrans = 0;
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  uint64_t bytes_acked = 0;
  uint8_t subflows_total = 0;
  uint8_t reserved[3] = {};
  uint32_t last_data_sent = 0;  // milliseconds ago, as the next two
  uint32_t last_data_recv = 0;
  uint32_t last_ack_recv = 0;
};
static_assert(sizeof(MptcpInfo) == 96 && offsetof(MptcpInfo, subflows_total) == 80);

// struct mptcp_subflow_addrs
struct SubflowAddresses {
  sockaddr_storage local{};
  sockaddr_storage remote{};
};
static_assert(sizeof(SubflowAddresses) == 256);

// struct mptcp_subflow_info
struct SubflowInfo {
  uint32_t id = 0;
  uint32_t hole = 0;
  SubflowAddresses addresses;
};
static_assert(sizeof(SubflowInfo) == 264);

// struct mptcp_subflow_data, before the array of MPTCP_TCPINFO and MPTCP_SUBFLOW_ADDRS
struct SubflowData {
  uint32_t size_subflow_data = 0;  // the program's size of this
  uint32_t num_subflows = 0;       // answer
  uint32_t size_kernel = 0;        // answer: of one element
  uint32_t size_user = 0;          // the program's size of one element
};
static_assert(sizeof(SubflowData) == 16);

// struct mptcp_full_info without the mptcp_info at its end
struct FullInfoHead {
  uint32_t size_tcpinfo_kernel = 0;
  uint32_t size_tcpinfo_user = 0;
  uint32_t size_sfinfo_kernel = 0;
  uint32_t size_sfinfo_user = 0;
  uint32_t num_subflows = 0;
  uint32_t size_arrays_user = 0;
  uint64_t subflow_info = 0;  // the program's pointers
  uint64_t tcp_info = 0;
};
static_assert(sizeof(FullInfoHead) == 40);

// struct tcp_info
inline constexpr uint8_t kOptionTimestamps = 1, kOptionSack = 2, kOptionScale = 4, kOptionEcn = 8;
inline constexpr uint32_t kInfiniteThreshold = 0x7fffffff;  // TCP_INFINITE_SSTHRESH
struct TcpInfo {
  uint8_t state = 0;
  uint8_t ca_state = 0;
  uint8_t retransmits = 0;
  uint8_t probes = 0;
  uint8_t backoff = 0;
  uint8_t options = 0;
  uint8_t scales = 0;  // sending in the lower four bits, receiving in the upper
  uint8_t app_limited = 0;
  uint32_t rto = 0, ato = 0, snd_mss = 0, rcv_mss = 0;
  uint32_t unacked = 0, sacked = 0, lost = 0, retrans = 0, fackets = 0;  // packets
  uint32_t last_data_sent = 0, last_ack_sent = 0;  // milliseconds ago, as the next two
  uint32_t last_data_recv = 0, last_ack_recv = 0;
  uint32_t pmtu = 0, rcv_ssthresh = 0, rtt = 0, rttvar = 0;
  uint32_t snd_ssthresh = 0, snd_cwnd = 0;  // packets
  uint32_t advmss = 0, reordering = 0, rcv_rtt = 0, rcv_space = 0, total_retrans = 0;
  uint64_t pacing_rate = 0, max_pacing_rate = 0;
  uint64_t bytes_acked = 0, bytes_received = 0;
  uint32_t segs_out = 0, segs_in = 0, notsent_bytes = 0, min_rtt = 0;
  uint32_t data_segs_in = 0, data_segs_out = 0;
  uint64_t delivery_rate = 0, busy_time = 0, rwnd_limited = 0, sndbuf_limited = 0;
  uint32_t delivered = 0, delivered_ce = 0;
  uint64_t bytes_sent = 0, bytes_retrans = 0;
  uint32_t dsack_dups = 0, reord_seen = 0, rcv_ooopack = 0, snd_wnd = 0, rcv_wnd = 0, rehash = 0;
  uint16_t total_rto = 0, total_rto_recoveries = 0;
  uint32_t total_rto_time = 0;
  uint32_t accurate_ecn[7] = {};
  uint16_t accecn_fail_mode = 0, accecn_opt_seen = 0;
};
static_assert(sizeof(TcpInfo) == 280 && offsetof(TcpInfo, pacing_rate) == 104 &&
              offsetof(TcpInfo, bytes_sent) == 200 && offsetof(TcpInfo, total_rto) == 240);

}  // namespace mptcptls::kernel

#endif  // MPTCPTLS_ENGINE_KERNEL_INFO_H_
