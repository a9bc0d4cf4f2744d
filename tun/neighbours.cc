#include "tun/neighbours.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

namespace mptcptls {
namespace {

constexpr int kMessagesPerCall = 64;
// NUD_VALID of the kernel's own header: there is a link-layer address.
constexpr int kValid =
    NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

std::optional<IpAddress> ToAddress(uint8_t family, const rtattr* attribute) {
  const ByteSpan bytes(static_cast<const uint8_t*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute));
  if (family == AF_INET && bytes.size() == 4) return IpAddress::V4(bytes);
  if (family == AF_INET6 && bytes.size() == 16) return IpAddress::V6(bytes);
  return std::nullopt;
}

std::optional<Neighbour> ToNeighbour(const nlmsghdr* message) {
  if (message->nlmsg_len < NLMSG_LENGTH(sizeof(ndmsg))) return std::nullopt;
  const auto* const entry = static_cast<const ndmsg*>(NLMSG_DATA(message));
  auto left = static_cast<int>(message->nlmsg_len - NLMSG_LENGTH(sizeof(ndmsg)));
  const auto* attribute = reinterpret_cast<const rtattr*>(reinterpret_cast<const uint8_t*>(entry) +
                                                          NLMSG_ALIGN(sizeof(ndmsg)));
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != NDA_DST) continue;
    const auto address = ToAddress(entry->ndm_family, attribute);
    if (address) return Neighbour{entry->ndm_ifindex, *address};
  }
  return std::nullopt;
}

// Asks for the table as it is; it comes by and by, like all that changes in it.
bool AskForAll(int fd) {
  struct {
    nlmsghdr header;
    ndmsg entry;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETNEIGH;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  return send(fd, &request, sizeof request, 0) == sizeof request;
}

}  // namespace

std::unique_ptr<NeighbourMonitor> NeighbourMonitor::Open(std::string* error) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_groups = 1u << (RTNLGRP_NEIGH - 1);
  if (fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
      AskForAll(fd))
    return std::unique_ptr<NeighbourMonitor>(new NeighbourMonitor(fd));
  *error = std::string("cannot watch the neighbours over netlink: ") + std::strerror(errno);
  if (fd >= 0) close(fd);
  return nullptr;
}

NeighbourMonitor::~NeighbourMonitor() { close(fd_); }

void NeighbourMonitor::Read(const nlmsghdr* message, std::vector<Neighbour>* failed) {
  if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) return;
  const auto neighbour = ToNeighbour(message);
  if (!neighbour) return;
  const int state = static_cast<const ndmsg*>(NLMSG_DATA(message))->ndm_state;
  if (message->nlmsg_type == RTM_NEWNEIGH && (state & kValid) != 0) {
    known_.insert(*neighbour);
    return;
  }
  const bool was_known = known_.erase(*neighbour) > 0;
  const bool news = (message->nlmsg_flags & NLM_F_MULTI) == 0;  // not of the table as it was
  if (message->nlmsg_type == RTM_NEWNEIGH && (state & NUD_FAILED) != 0 && !was_known && news)
    failed->push_back(*neighbour);
}

std::vector<Neighbour> NeighbourMonitor::TakeFailed() {
  std::vector<Neighbour> failed;
  alignas(nlmsghdr) std::array<uint8_t, 8192> bytes;
  for (int i = 0; i < kMessagesPerCall; ++i) {
    const ssize_t n = recv(fd_, bytes.data(), bytes.size(), 0);
    if (n < 0 && (errno == ENOBUFS || errno == EINTR)) continue;
    if (n <= 0) break;
    const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data());
    for (auto left = static_cast<uint32_t>(n); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left))
      Read(message, &failed);
  }
  return failed;
}

}  // namespace mptcptls
