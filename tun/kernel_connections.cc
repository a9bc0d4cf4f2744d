#include "tun/kernel_connections.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace mptcptls {
namespace {

constexpr uint32_t kListening = 1u << TCP_LISTEN;

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 diag;
};

bool Ask(int netlink, uint8_t family, uint16_t port, uint32_t states) {
  Request request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.diag.sdiag_family = family;
  request.diag.sdiag_protocol = IPPROTO_TCP;
  request.diag.idiag_states = states;
  request.diag.id.idiag_sport = htons(port);
  return send(netlink, &request, sizeof request, 0) == sizeof request;
}

Endpoint ToEndpoint(uint8_t family, const __be32* address, __be16 port) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(address);
  const IpAddress ip = family == AF_INET ? IpAddress::V4(ByteSpan(bytes, 4))
                                         : IpAddress::V6(ByteSpan(bytes, 16)).Unmapped();
  return {ip, ntohs(port)};
}

enum class Answer { kMore, kDone, kFailed };

Answer Read(const uint8_t* bytes, size_t size, std::set<FourTuple>* found) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(bytes);
  for (auto left = static_cast<uint32_t>(size); NLMSG_OK(header, left);
       header = NLMSG_NEXT(header, left)) {
    if (header->nlmsg_type == NLMSG_DONE) return Answer::kDone;
    // Interrupted: what is there may be old and new.
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0 ||
        header->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg)))
      return Answer::kFailed;
    const auto* const diag = static_cast<const inet_diag_msg*>(NLMSG_DATA(header));
    found->insert({ToEndpoint(diag->idiag_family, diag->id.idiag_src, diag->id.idiag_sport),
                   ToEndpoint(diag->idiag_family, diag->id.idiag_dst, diag->id.idiag_dport)});
  }
  return Answer::kMore;
}

bool Dump(int netlink, uint8_t family, uint16_t port, uint32_t states, std::set<FourTuple>* found) {
  if (!Ask(netlink, family, port, states)) return false;
  alignas(nlmsghdr) std::array<uint8_t, 32768> bytes;
  while (true) {
    const ssize_t n = recv(netlink, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    const Answer answer = Read(bytes.data(), static_cast<size_t>(n), found);
    if (answer != Answer::kMore) return answer == Answer::kDone;
  }
}

std::optional<std::set<FourTuple>> SocketsOn(uint16_t port, uint32_t states) {
  const int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (netlink < 0) return std::nullopt;
  std::set<FourTuple> found;
  const bool good =
      Dump(netlink, AF_INET, port, states, &found) && Dump(netlink, AF_INET6, port, states, &found);
  close(netlink);
  return good ? std::optional(std::move(found)) : std::nullopt;
}

}  // namespace

std::optional<std::set<FourTuple>> KernelConnectionsOn(uint16_t port) {
  auto found = SocketsOn(port, ~kListening);
  if (!found) return std::nullopt;
  // What is only bound has no other end.
  std::erase_if(*found, [](const FourTuple& socket) {
    return socket.remote.port == 0 || socket.remote.address.IsLoopback();
  });
  return found;
}

std::vector<Endpoint> KernelListenersOn(uint16_t port) {
  std::vector<Endpoint> listeners;
  if (const auto found = SocketsOn(port, kListening)) {
    for (const FourTuple& socket : *found) listeners.push_back(socket.local);
  }
  return listeners;
}

}  // namespace mptcptls
