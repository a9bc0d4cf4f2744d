#include "tests/netns/mptcp_probe.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace mptcptls::probe {
namespace {

constexpr int kSolMptcp = 284;
constexpr int kInfo = 1, kTcpInfo = 2, kAddresses = 3, kFullInfo = 4;
constexpr int kIsMptcp = 43;

// linux/mptcp.h and linux/tcp.h as of Linux 6.18; Debian 12's are older.
struct MptcpInfo {
  uint8_t subflows, add_addr_signal, add_addr_accepted, subflows_max, add_addr_signal_max,
      add_addr_accepted_max;
  uint32_t flags, token;
  uint64_t write_seq, snd_una, rcv_nxt;
  uint8_t local_addr_used, local_addr_max, csum_enabled;
  uint32_t retransmits;
  uint64_t bytes_retrans, bytes_sent, bytes_received, bytes_acked;
  uint8_t subflows_total, reserved[3];
  uint32_t last_data_sent, last_data_recv, last_ack_recv;
};
struct SubflowData {
  uint32_t size_subflow_data, num_subflows, size_kernel, size_user;
};
struct Addresses {
  sockaddr_storage local, remote;
};
struct SubflowInfo {
  uint32_t id;
  Addresses addresses;
};
struct FullInfo {
  uint32_t size_tcpinfo_kernel, size_tcpinfo_user, size_sfinfo_kernel, size_sfinfo_user,
      num_subflows, size_arrays_user;
  uint64_t subflow_info, tcp_info;
  MptcpInfo mptcp;
};
struct TcpInfo {
  tcp_info old;  // glibc's
  uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
  uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
  uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
  uint32_t delivered, delivered_ce;
  uint64_t bytes_sent, bytes_retrans;
  uint32_t rest[16];
};
static_assert(sizeof(TcpInfo) == 280);

constexpr size_t kRoom = 8192;
constexpr uint8_t kCanary = 0xee;

// getsockopt() in a buffer whose untouched bytes are known.
struct Answer {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(kRoom, kCanary);
  socklen_t length = 0;
  int result = 0;

  void Ask(int fd, int option, socklen_t size) {
    length = size;
    result = getsockopt(fd, kSolMptcp, option, bytes.data(), &length);
  }
  size_t Touched() const {
    size_t end = bytes.size();
    while (end > 0 && bytes[end - 1] == kCanary) --end;
    return end;
  }
  template <typename Head>
  Head As() const {
    Head head;
    memcpy(&head, bytes.data(), sizeof head);
    return head;
  }
  std::string Text() const {
    if (result != 0) return strerrorname_np(errno);
    return "ok length " + std::to_string(length);
  }
};

// As linux/mptcp.h's users ask: with no room at all.
bool IsMptcp(int fd) {
  Answer answer;
  answer.Ask(fd, kInfo, 0);
  return answer.result == 0;
}

void SayInfoSizes(int fd) {
  for (const socklen_t size : {0u, 1u, 16u, 72u, 95u, 96u, 97u, 4096u, 0x80000000u, UINT_MAX}) {
    Answer answer;
    answer.Ask(fd, kInfo, size);
    const bool within = answer.result != 0 || answer.Touched() <= answer.length;
    Say("info size %u: %s%s", size, answer.Text().c_str(), within ? "" : " OVERRUN");
  }
}

void SayArray(int fd, int option, socklen_t size, const SubflowData& data) {
  Answer answer;
  memcpy(answer.bytes.data(), &data, sizeof data);
  answer.Ask(fd, option, size);
  const std::string text = answer.Text();
  std::string told;
  if (answer.result == 0) {
    const auto head = answer.As<SubflowData>();
    told = " subflows " + std::to_string(head.num_subflows) + " kernel " +
           std::to_string(head.size_kernel) + " user " + std::to_string(head.size_user) +
           (answer.Touched() <= answer.length ? "" : " OVERRUN");
  }
  Say("option %d size %u (%u %u %u %u): %s%s", option, size, data.size_subflow_data,
      data.num_subflows, data.size_kernel, data.size_user, text.c_str(), told.c_str());
}

void SayArrays(int fd, int option) {
  constexpr uint32_t kAbove = uint32_t{INT_MAX} + 1;
  for (const socklen_t size :
       {0u, 4u, 15u, 16u, 17u, 20u, 271u, 272u, 296u, 297u, 528u, 576u, 4096u, kAbove, UINT_MAX})
    SayArray(fd, option, size, {16, 0, 0, 1000});
  for (const uint32_t head : {0u, 15u, 17u, 24u, 2048u, 4096u, 4097u, kAbove, UINT_MAX})
    SayArray(fd, option, 4096, {head, 0, 0, 1000});
  for (const uint32_t user : {0u, 1u, 104u, 256u, 280u, uint32_t{INT_MAX}, kAbove, UINT_MAX})
    SayArray(fd, option, 4096, {16, 0, 0, user});
  SayArray(fd, option, 4096, {16, 1, 0, 1000});
  SayArray(fd, option, 4096, {16, 0, 1, 1000});
}

// The arrays are in the same memory, with room behind each for what should not be there.
void SayFullInfo(int fd, socklen_t size, const FullInfo& asked) {
  Answer answer;
  std::vector<uint8_t> infos(2048, kCanary), tcps(2048, kCanary);
  FullInfo full = asked;
  full.subflow_info = reinterpret_cast<uint64_t>(infos.data());
  full.tcp_info = reinterpret_cast<uint64_t>(tcps.data());
  memcpy(answer.bytes.data(), &full, offsetof(FullInfo, mptcp));
  answer.Ask(fd, kFullInfo, size);
  const std::string text = answer.Text();
  std::string told;
  if (answer.result == 0) {
    const auto head = answer.As<FullInfo>();
    const size_t count = std::min(head.num_subflows, asked.size_arrays_user);
    const auto clean = [&](const std::vector<uint8_t>& array, size_t element) {
      return std::all_of(array.begin() + static_cast<ptrdiff_t>(count * element), array.end(),
                         [](uint8_t b) { return b == kCanary; });
    };
    told = " subflows " + std::to_string(head.num_subflows) + " tcp " +
           std::to_string(head.size_tcpinfo_kernel) + "/" + std::to_string(head.size_tcpinfo_user) +
           " info " + std::to_string(head.size_sfinfo_kernel) + "/" +
           std::to_string(head.size_sfinfo_user) +
           (clean(infos, head.size_sfinfo_user) && clean(tcps, head.size_tcpinfo_user) &&
                    answer.Touched() <= std::max<size_t>(answer.length, 40)
                ? ""
                : " OVERRUN");
  }
  Say("full size %u (%u %u %u %u %u %u): %s%s", size, asked.size_tcpinfo_kernel,
      asked.size_tcpinfo_user, asked.size_sfinfo_kernel, asked.size_sfinfo_user, asked.num_subflows,
      asked.size_arrays_user, text.c_str(), told.c_str());
}

FullInfo Asked(uint32_t tcp, uint32_t info, uint32_t arrays) {
  FullInfo full{};
  full.size_tcpinfo_user = tcp;
  full.size_sfinfo_user = info;
  full.size_arrays_user = arrays;
  return full;
}

void SayFullInfos(int fd) {
  constexpr uint32_t kAbove = uint32_t{INT_MAX} + 1;
  for (const socklen_t size : {0u, 39u, 40u, 41u, 135u, 136u, 137u, 4096u, kAbove, UINT_MAX})
    SayFullInfo(fd, size, Asked(280, 264, 4));
  for (const uint32_t arrays : {0u, 1u, 2u, UINT_MAX})
    SayFullInfo(fd, 136, Asked(280, 264, arrays));
  for (const uint32_t part : {0u, 1u, 4u, 8u, 9u, 264u, 265u, uint32_t{INT_MAX}, kAbove, UINT_MAX})
    SayFullInfo(fd, 136, Asked(part, part, 4));
  FullInfo wrong = Asked(280, 264, 4);
  wrong.num_subflows = 1;
  SayFullInfo(fd, 136, wrong);
  wrong.num_subflows = 0;
  wrong.size_sfinfo_kernel = 1;
  SayFullInfo(fd, 136, wrong);
  wrong.size_sfinfo_kernel = 0;
  wrong.size_tcpinfo_kernel = 1;
  SayFullInfo(fd, 136, wrong);
}

template <typename Element>
std::vector<Element> Array(int fd, int option) {
  Answer answer;
  const SubflowData data{sizeof data, 0, 0, sizeof(Element)};
  memcpy(answer.bytes.data(), &data, sizeof data);
  answer.Ask(fd, option, kRoom);
  if (answer.result != 0) return {};
  const auto head = answer.As<SubflowData>();
  std::vector<Element> elements(head.num_subflows);
  for (size_t i = 0; i < elements.size(); ++i) {
    elements[i] = {};
    memcpy(&elements[i], answer.bytes.data() + sizeof head + i * head.size_user, head.size_user);
  }
  return elements;
}

std::vector<TcpInfo> TcpInfos(int fd) { return Array<TcpInfo>(fd, kTcpInfo); }

// Both ends of a subflow; "?" for what is no address.
void SaySubflows(int fd) {
  const auto addresses = Array<Addresses>(fd, kAddresses);
  const auto infos = TcpInfos(fd);
  for (size_t i = 0; i < addresses.size() && i < infos.size(); ++i) {
    const tcp_info& tcp = infos[i].old;
    Say("subflow %s to %s: state %u options %u rtt %s mss %s", NameOf(addresses[i].local).c_str(),
        NameOf(addresses[i].remote).c_str(), tcp.tcpi_state, tcp.tcpi_options & 7u,
        tcp.tcpi_rtt > 0 ? "yes" : "no", tcp.tcpi_snd_mss > 0 ? "yes" : "no");
  }
}

// With the arrays of two: what they say is what the single options say.
void SayFullState(int fd) {
  std::vector<SubflowInfo> infos(8);
  std::vector<TcpInfo> tcps(8);
  FullInfo full = Asked(sizeof(TcpInfo), sizeof(SubflowInfo), 8);
  full.subflow_info = reinterpret_cast<uint64_t>(infos.data());
  full.tcp_info = reinterpret_cast<uint64_t>(tcps.data());
  socklen_t length = sizeof full;
  if (getsockopt(fd, kSolMptcp, kFullInfo, &full, &length) != 0)
    return Say("full info: %s", strerrorname_np(errno));
  const auto addresses = Array<Addresses>(fd, kAddresses);
  std::string ids;
  bool same = addresses.size() == full.num_subflows;
  for (size_t i = 0; i < full.num_subflows && i < infos.size(); ++i) {
    ids += " " + std::to_string(infos[i].id);
    same = same && memcmp(&addresses[i], &infos[i].addresses, sizeof(Addresses)) == 0;
  }
  Say("full info: ids%s, the same addresses: %s, token %s", ids.c_str(), same ? "yes" : "no",
      full.mptcp.token != 0 ? "yes" : "no");
}

}  // namespace

int Open(int family, int protocol) {
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, protocol);
  if (fd < 0) Done("socket", fd);
  return fd;
}

int Established(int fd) {
  const auto infos = TcpInfos(fd);
  if (infos.empty()) return -1;
  return static_cast<int>(std::count_if(infos.begin(), infos.end(), [](const TcpInfo& info) {
    return info.old.tcpi_state == TCP_ESTABLISHED;
  }));
}

void SayShapes(int fd) {
  SayOption(fd, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL");
  SayOption(fd, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN");
  if (IsMptcp(fd)) {
    SayInfoSizes(fd);
    SayArrays(fd, kTcpInfo);
    SayArrays(fd, kAddresses);
    SayFullInfos(fd);
  } else {
    for (const int option : {kInfo, kTcpInfo, kAddresses, kFullInfo}) {
      for (const socklen_t size : {0u, 15u, 16u, 40u, 96u, 4096u, UINT_MAX})
        SayArray(fd, option, size, {16, 0, 0, 1000});
    }
  }
  for (const int option : {0, 5, -1, INT_MAX}) SayArray(fd, option, 4096, {16, 0, 0, 1000});
  socklen_t length = 0;
  Done("info without memory", getsockopt(fd, kSolMptcp, kInfo, nullptr, &length));
  const int one = 1;
  for (const int option : {0, kInfo, kTcpInfo, kAddresses, kFullInfo, 5})
    Done("set", setsockopt(fd, kSolMptcp, option, &one, sizeof one));
  // After the others: the kernel makes the first subflow when TCP's options are asked for.
  SayOption(fd, IPPROTO_TCP, kIsMptcp, "TCP_IS_MPTCP");
  tcp_info info{};
  length = sizeof info;
  Done("TCP_INFO", getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
  Say("state %u length %u", info.tcpi_state, length);
}

void SayState(int fd, uint64_t sent, uint64_t received) {
  MptcpInfo info{};
  socklen_t length = sizeof info;
  Done("MPTCP_INFO", getsockopt(fd, kSolMptcp, kInfo, &info, &length));
  Say("subflows %u of %u in all, flags %u, token %s, checksum %u", info.subflows,
      info.subflows_total, info.flags, info.token != 0 ? "yes" : "no", info.csum_enabled);
  Say("announced %u, accepted %u", info.add_addr_signal, info.add_addr_accepted);
  Say("sent %+ld, acknowledged %+ld, received %+ld", static_cast<long>(info.bytes_sent - sent),
      static_cast<long>(info.bytes_acked - sent),
      static_cast<long>(info.bytes_received - received));
  Say("to be acknowledged %+ld", static_cast<long>(info.write_seq - info.snd_una));
  Say("retransmits %u", info.retransmits);
  uint64_t carried = 0;
  for (const TcpInfo& tcp : TcpInfos(fd)) carried += tcp.bytes_received;
  Say("carried by subflows: %s", carried >= received ? "all" : "less");
  SaySubflows(fd);
  SayFullState(fd);
}

void SayTotals(int fd, uint64_t received) {
  MptcpInfo info{};
  socklen_t length = sizeof info;
  Done("MPTCP_INFO", getsockopt(fd, kSolMptcp, kInfo, &info, &length));
  Say("subflows %u, flags %u, token %08x", info.subflows_total, info.flags, info.token);
  Say("received %s", info.bytes_received >= received ? "all" : "less");
  const auto infos = TcpInfos(fd);
  uint64_t carried = 0;
  for (const TcpInfo& tcp : infos) carried += tcp.bytes_received;
  Say("carried by subflows: %s", carried >= info.bytes_received ? "all" : "less");
  Say("on each: %s",
      !infos.empty() && std::all_of(infos.begin(), infos.end(),
                                    [](const TcpInfo& tcp) { return tcp.bytes_received > 0; })
          ? "yes"
          : "no");
  SaySubflows(fd);
  SayFullState(fd);
}

}  // namespace mptcptls::probe
