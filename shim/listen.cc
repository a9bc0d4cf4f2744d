// bind() and listen(): a TCP listener becomes a listening unix socket to which the engine connects
// (engine/control.h, "listen").
#include "shim/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>

#include "shim/addresses.h"
#include "shim/captured.h"
#include "shim/close.h"
#include "shim/control_client.h"
#include "shim/epoll.h"
#include "shim/log.h"
#include "shim/policy.h"
#include "shim/real.h"
#include "shim/replace.h"
#include "shim/settings.h"
#include "shim/tls.h"

namespace mptcptls::shim {
namespace {

constexpr int kKernel = kKernelListens;

// What the socket is bound to; a port is chosen first where the program chose none, as listen()
// does.
bool BoundAddress(int fd, int domain, control::Address* bound) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    sockaddr_storage address;
    socklen_t length = sizeof address;
    if (real::getsockname()(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
        !ToControl(reinterpret_cast<const sockaddr*>(&address), length, bound))
      return false;
    if (bound->port != 0) return true;
    memset(&address, 0, sizeof address);
    address.ss_family = static_cast<sa_family_t>(domain);
    if (real::bind()(fd, reinterpret_cast<const sockaddr*>(&address), length) != 0) return false;
  }
  return false;
}

control::ListenRequest RequestFor(int fd, int domain, const control::Address& bound, int backlog,
                                  const sockaddr_un& name, socklen_t name_length) {
  auto request = control::Make<control::ListenRequest>(control::Verb::kListen);
  request.bound = bound;
  request.backlog = backlog;
  int v6_only = 0;
  socklen_t length = sizeof v6_only;
  if (domain == AF_INET6) real::getsockopt()(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &length);
  bool given = false;
  request.auth = AuthSetting(&given);
  request.scheduler = SchedulerSetting();
  request.flags = static_cast<uint8_t>((TlsHooked() ? control::kFlagTlsHooked : 0) |
                                       (domain == AF_INET6 ? control::kFlagMapped : 0) |
                                       (v6_only != 0 ? control::kFlagV6Only : 0) |
                                       (given ? control::kFlagAuthGiven : 0));
  request.name_length = static_cast<uint16_t>(name_length - offsetof(sockaddr_un, sun_path) - 1);
  memcpy(request.name, name.sun_path + 1, request.name_length);
  request.pid = static_cast<uint32_t>(getpid());
  ProgramName(request.program);
  return request;
}

// kKernel, 0 (the number `fd` is the captured listener) or an errno.
int Capture(int unix_socket, int fd, int domain, const control::Address& bound, int backlog) {
  control::Name name;
  name.role = control::Role::kListener;
  name.mapped = domain == AF_INET6;
  name.local = bound;
  sockaddr_un address;
  const int forbidden = Required() ? ENETDOWN : kKernel;
  if (!RandomId(&name.id)) return forbidden;
  const socklen_t length = control::EncodeName(name, &address);
  if (real::bind()(unix_socket, reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      real::listen()(unix_socket, backlog) != 0)
    return forbidden;
  CopyProperties(fd, unix_socket);
  const auto request = RequestFor(fd, domain, bound, backlog, address, length);
  control::Reply reply;
  if (!Ask(&request, sizeof request, fd, &reply, WhenAbsent::kStart)) {
    Log("listen: no engine that answers: not captured");
    return forbidden;
  }
  if (reply.error != 0) Log("listen: not captured (%d): %s", reply.error, reply.reason);
  if (reply.error == control::kErrorBypass) return kKernel;
  if (reply.error > 0) return reply.error;
  if (reply.error < 0) return forbidden;
  if (!ReplaceDescriptor(unix_socket, fd, true)) return forbidden;
  MarkListener(fd);
  return 0;
}

// A program that is gone may have left its listener with the engine (ARCHITECTURE.md 3). True when
// it has been asked: another process may have made it let go just before.
bool Reaped(int fd, const sockaddr* address, socklen_t length) {
  const ErrnoKeeper keeper;
  int domain = 0;
  auto request = control::Make<control::ReapRequest>(control::Verb::kReap);
  control::Reply reply;
  return ToControl(address, length, &request.address) && request.address.port != 0 &&
         FreshTcp(fd, &domain) && Ask(&request, sizeof request, -1, &reply);
}

}  // namespace

int Listen(int fd, int backlog) {
  control::Name name;
  int domain = 0;
  control::Address bound;
  if (!FreshTcp(fd, &domain)) {
    if (Captured(fd, &name) && name.role != control::Role::kListener) return EINVAL;
    // A captured listener is the kernel's too: its unix socket has the backlog. Another one that
    // listens already was made where we were not: by the process that this one has it from.
    if (!ListeningTcp(fd, &domain)) return kKernel;
  }
  TellWrongSettings();
  if (!BoundAddress(fd, domain, &bound) ||
      !Capturable(Purpose::kListen, bound, CaptureLocal(), Setting("MPTCPTLS_BYPASS")))
    return kKernel;
  const int unix_socket = real::socket()(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (unix_socket < 0) return Required() ? ENETDOWN : kKernel;
  const int result = Capture(unix_socket, fd, domain, bound, backlog);
  close(unix_socket);
  return result;
}

}  // namespace mptcptls::shim

MPTCPTLS_HOOK int bind(int fd, const sockaddr* address, socklen_t length) noexcept {
  using namespace mptcptls::shim;
  const int result = real::bind()(fd, address, length);
  if (result == 0 || errno != EADDRINUSE || !Enabled() || !Reaped(fd, address, length))
    return result;
  return real::bind()(fd, address, length);
}

MPTCPTLS_HOOK int listen(int fd, int backlog) noexcept {
  using namespace mptcptls::shim;
  const int saved = errno;
  const int result = Enabled() ? Listen(fd, backlog) : kKernel;
  errno = saved;
  if (result < 0) return real::listen()(fd, backlog);
  if (result == 0) return 0;
  errno = result;
  return -1;
}
