#include "shim/mptcp_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/kernel_info.h"
#include "shim/captured.h"
#include "shim/control_client.h"
#include "shim/log.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

// net.mptcp.enabled=0, built without MPTCP, and older than it.
bool LacksMptcp(int error) {
  return error == ENOPROTOOPT || error == EPROTONOSUPPORT || error == EINVAL;
}

// One that runs or starts, and speaks our version.
bool EngineAnswers() {
  auto request = control::Make<control::ResultRequest>(control::Verb::kResult);
  control::Reply reply;
  return Ask(&request, sizeof request, -1, &reply, WhenAbsent::kStart) && reply.error >= 0;
}

int MarkedTcp(int domain, int type) {
  // Not libc's: a library between (mptcpize's) makes any TCP socket one of MPTCP.
  const auto fd = static_cast<int>(syscall(SYS_socket, domain, type, IPPROTO_TCP));
  if (fd < 0 ||
      real::setsockopt()(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &kMptcpMark, sizeof kMptcpMark) == 0)
    return fd;
  const ErrnoKeeper keeper;
  close(fd);
  return -1;
}

}  // namespace

int SocketInPlace(int domain, int type) {
  const int refusal = errno;
  if (!LacksMptcp(refusal)) return -1;
  const int fd = EngineAnswers() ? MarkedTcp(domain, type) : -1;
  if (fd < 0) Log("socket: neither the kernel nor an engine speaks MPTCP (errno %d)", refusal);
  errno = refusal;
  return fd;
}

bool InPlaceOfMptcp(int fd) {
  const ErrnoKeeper keeper;
  uint64_t rate = 0;
  socklen_t length = sizeof rate;
  return real::getsockopt()(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &length) == 0 &&
         length == sizeof rate && rate == kMptcpMark;
}

bool MadeAsMptcp(int fd) {
  const ErrnoKeeper keeper;
  int protocol = 0;
  socklen_t length = sizeof protocol;
  if (real::getsockopt()(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0) return false;
  return protocol == kernel::kIpprotoMptcp || (protocol == IPPROTO_TCP && InPlaceOfMptcp(fd));
}

int FreshSocket(int domain, bool mptcp) {
  constexpr int kType = SOCK_STREAM | SOCK_CLOEXEC;
  if (!mptcp) return real::socket()(domain, kType, 0);
  const int fd = real::socket()(domain, kType, kernel::kIpprotoMptcp);
  return fd >= 0 ? fd : MarkedTcp(domain, kType);
}

}  // namespace mptcptls::shim
