// socket() and connect(): a fresh TCP socket becomes a unix socket to the engine, under the same
// number (engine/control.h, "connect").
#include "shim/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "shim/addresses.h"
#include "shim/captured.h"
#include "shim/clock.h"
#include "shim/control_client.h"
#include "shim/epoll.h"
#include "shim/log.h"
#include "shim/mptcp_socket.h"
#include "shim/policy.h"
#include "shim/real.h"
#include "shim/replace.h"
#include "shim/settings.h"
#include "shim/tls.h"

namespace mptcptls::shim {
namespace {

constexpr size_t kPadPiece = 16384;
char zeros[kPadPiece];

// kForbidden: kernel TCP, where that may be; else why not, an errno. kFailed: the engine closed
// before the whole request was there, so it knows already why not.
enum class Capture { kDone, kFailed, kKernel, kForbidden };

bool IsNonBlocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

bool IsV6Only(int fd) {
  int v6_only = 0;
  socklen_t length = sizeof v6_only;
  return real::getsockopt()(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, &length) == 0 && v6_only != 0;
}

// Whether the kernel would reach `remote` from itself: an address of this host.
bool IsOwnAddress(const sockaddr* remote, socklen_t length) {
  const int probe = real::socket()(remote->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  sockaddr_storage source;
  socklen_t source_length = sizeof source;
  control::Address from, to;
  // A connected datagram socket sends nothing.
  const bool own =
      real::connect()(probe, remote, length) == 0 &&
      real::getsockname()(probe, reinterpret_cast<sockaddr*>(&source), &source_length) == 0 &&
      ToControl(reinterpret_cast<const sockaddr*>(&source), source_length, &from) &&
      ToControl(remote, length, &to) && from.family == to.family &&
      memcmp(from.bytes, to.bytes, sizeof from.bytes) == 0;
  close(probe);
  return own;
}

// More than a quarter of the send buffer takes POLLOUT away until the engine drains it.
bool SendPending(int engine, uint64_t id) {
  int buffer = 0;
  socklen_t length = sizeof buffer;
  if (real::getsockopt()(engine, SOL_SOCKET, SO_SNDBUF, &buffer, &length) != 0) return false;
  auto pending = control::Make<control::PendingRequest>(control::Verb::kPending);
  pending.id = id;
  size_t pad = static_cast<size_t>(buffer) / 4 + 1;
  pending.header.length = static_cast<uint32_t>(sizeof pending + pad);
  // Credentials ride on the first byte; the pad follows.
  if (!SendMessage(engine, &pending, sizeof pending, -1, true)) return false;
  iovec pieces[64];
  while (pad > 0) {
    int count = 0;
    size_t size = 0;
    for (; count < 64 && size < pad; ++count) {
      const size_t piece = pad - size < kPadPiece ? pad - size : kPadPiece;
      pieces[count] = {zeros, piece};
      size += piece;
    }
    msghdr m;
    memset(&m, 0, sizeof m);
    m.msg_iov = pieces;
    m.msg_iovlen = static_cast<size_t>(count);
    const ssize_t sent = real::sendmsg()(engine, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent <= 0) return false;
    pad -= static_cast<size_t>(sent);
  }
  return true;
}

control::ConnectRequest RequestFor(int fd, int domain, const control::Address& remote) {
  auto request = control::Make<control::ConnectRequest>(control::Verb::kConnect);
  request.remote = remote;
  sockaddr_storage bound;
  socklen_t length = sizeof bound;
  control::Address local;
  if (real::getsockname()(fd, reinterpret_cast<sockaddr*>(&bound), &length) == 0 &&
      ToControl(reinterpret_cast<const sockaddr*>(&bound), length, &local) && local.port != 0)
    request.bound = local;
  bool given = false;
  request.auth = AuthSetting(&given);
  request.scheduler = SchedulerSetting();
  request.flags = static_cast<uint8_t>(
      (TlsHooked() ? control::kFlagTlsHooked : 0) | (CaptureLocal() ? control::kFlagLocal : 0) |
      (domain == AF_INET6 ? control::kFlagMapped : 0) | (given ? control::kFlagAuthGiven : 0));
  request.pid = static_cast<uint32_t>(getpid());
  ProgramName(request.program);
  return request;
}

// The conversation on `engine`, up to a pending request under a name of its own.
Capture Converse(int engine, int fd, int domain, const control::Address& remote, uint64_t* id,
                 int* why_not) {
  const auto request = RequestFor(fd, domain, remote);
  control::ConnectReply reply;
  if (!SendMessage(engine, &request, sizeof request, fd, false) ||
      !ReceiveReply(engine, &reply, sizeof reply))
    return Capture::kForbidden;
  reply.reason[sizeof reply.reason - 1] = 0;
  if (reply.error != 0) {
    Log("connect: not captured (%d): %s", reply.error, reply.reason);
    if (reply.error > 0) *why_not = reply.error;
    return reply.error == control::kErrorBypass ? Capture::kKernel : Capture::kForbidden;
  }
  control::Name name;
  name.role = control::Role::kInitiator;
  name.mapped = domain == AF_INET6;
  name.id = *id = reply.id;
  name.local = reply.local;
  name.remote = remote;
  sockaddr_un address;
  const socklen_t length = control::EncodeName(name, &address);
  CopyProperties(fd, engine);
  if (real::bind()(engine, reinterpret_cast<const sockaddr*>(&address), length) == 0 &&
      SendPending(engine, reply.id))
    return Capture::kDone;
  if (errno == EPIPE || errno == ECONNRESET) return Capture::kFailed;
  Log("connect: cannot prepare the socket (errno %d): kernel TCP", errno);
  return Capture::kForbidden;
}

// The number `fd` is the captured socket afterwards if it says kDone.
Capture TryCapture(int fd, int domain, const control::Address& remote, uint64_t* id, int* why_not) {
  const int engine = OpenEngine(WhenAbsent::kStart);
  if (engine < 0) {
    Log("connect: no engine (errno %d)", errno);
    return Capture::kForbidden;
  }
  Capture capture = Converse(engine, fd, domain, remote, id, why_not);
  if (capture == Capture::kDone && !ReplaceDescriptor(engine, fd, false))
    capture = Capture::kForbidden;
  close(engine);
  return capture;
}

// poll() is never restarted after a signal, connect() is when the handler says so. Which handler
// ran cannot be known; only where all agree is it certain.
bool SignalsRestart() {
  for (int s = 1; s < NSIG; ++s) {
    struct sigaction action;
    if (sigaction(s, nullptr, &action) != 0) continue;
    const bool handled = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
    if (handled && (action.sa_flags & SA_RESTART) == 0) return false;
  }
  return true;
}

// Waits as a blocking connect() does. 0: decided, else EINTR or EINPROGRESS (SO_SNDTIMEO is over).
int AwaitDecision(int fd) {
  timeval limit{};
  socklen_t length = sizeof limit;
  real::getsockopt()(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &length);
  const int64_t limit_ms = limit.tv_sec * int64_t{1000} + (limit.tv_usec + 999) / 1000;
  const int64_t deadline = NowMs() + limit_ms;
  for (;;) {
    int64_t left = -1;
    if (limit_ms > 0 && (left = deadline - NowMs()) <= 0) return EINPROGRESS;
    pollfd state{fd, POLLOUT, 0};
    const int ready = poll(&state, 1, static_cast<int>(left < INT32_MAX ? left : INT32_MAX));
    if (ready > 0) return 0;
    if (ready < 0 && errno == EINTR && (limit_ms > 0 || !SignalsRestart())) return EINTR;
  }
}

// The error waiting on the socket, translated; reading it takes it away, as SO_ERROR does.
int TakeError(int fd, const control::Name& name) {
  int error = 0;
  socklen_t length = sizeof error;
  if (real::getsockopt()(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return errno;
  return TranslateError(name, error);
}

void NoteUp(int fd) {
  Notes notes = ReadNotes(fd);
  notes.up = notes.reported = true;
  WriteNotes(fd, notes);
}

// After a failed connect() TCP's socket can connect again: `kernel` (-1: a new one) takes the
// number back.
void GiveBack(int fd, int kernel, bool six) {
  const ErrnoKeeper keeper;
  const int fresh =
      kernel >= 0 ? kernel : FreshSocket(six ? AF_INET6 : AF_INET, ReadNotes(fd).mptcp);
  if (fresh < 0) return;
  if (kernel < 0) RestoreProperties(fd, fresh);
  ReplaceDescriptor(fresh, fd, false);
  if (kernel < 0) close(fresh);
}

int FinishBlocking(int fd, const control::Name& name, int kernel) {
  if (const int undecided = AwaitDecision(fd); undecided != 0) return undecided;
  const int error = TakeError(fd, name);
  if (error == 0) {
    NoteUp(fd);
    real::setsockopt()(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
    return 0;
  }
  GiveBack(fd, kernel, name.mapped || name.remote.family == 6);
  return error;
}

// connect() on a socket that is captured already. 0 or an errno, as __inet_stream_connect() says.
int ConnectAgain(int fd, const control::Name& name) {
  if (name.role != control::Role::kInitiator) return EISCONN;
  const bool reported = ReadNotes(fd).reported;
  switch (ConnectProgress(fd, name.id)) {
    case Progress::kPending: {
      if (IsNonBlocking(fd)) return EALREADY;
      const int result = FinishBlocking(fd, name, -1);
      return result == EINPROGRESS ? EALREADY : result;
    }
    case Progress::kUp: {
      if (reported) return EISCONN;
      NoteUp(fd);
      return 0;
    }
    case Progress::kFailed:
      break;
  }
  const int error = TakeError(fd, name);
  GiveBack(fd, -1, name.mapped || name.remote.family == 6);
  return error != 0 ? error : ECONNABORTED;
}

}  // namespace

int Connect(int fd, const sockaddr* address, socklen_t length) {
  control::Address remote;
  control::Name name;
  int domain = 0;
  if (address->sa_family == AF_UNSPEC) {
    // TCP forgets its connection, which its peer sees reset, and is fresh again.
    if (!Captured(fd, &name) || name.role == control::Role::kListener) return -1;
    linger at_once{1, 0};
    length = sizeof at_once;
    AskOption(control::Verb::kSetOption, fd, SOL_SOCKET, SO_LINGER, &at_once, &length);
    GiveBack(fd, -1, name.mapped || name.remote.family == 6);
    return 0;
  }
  if (!ToControl(address, length, &remote)) return -1;
  if (!FreshTcp(fd, &domain)) return Captured(fd, &name) ? ConnectAgain(fd, name) : -1;
  TellWrongSettings();
  // The kernel's answers: a mapped address on an AF_INET socket, an AF_INET one on AF_INET6.
  if (domain != address->sa_family) return -1;
  if (domain == AF_INET6 && remote.family == 4 && IsV6Only(fd)) return -1;
  const bool local = CaptureLocal();
  if (!Capturable(Purpose::kConnect, remote, local, Setting("MPTCPTLS_BYPASS")) ||
      (!local && IsOwnAddress(address, length)))
    return -1;
  const bool blocking = !IsNonBlocking(fd);
  const int kernel = blocking ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
  uint64_t id = 0;
  int result = -1, why_not = ENETDOWN;
  Capture capture = TryCapture(fd, domain, remote, &id, &why_not);
  if (capture == Capture::kFailed && (result = AskResult(id)) <= 0) capture = Capture::kForbidden;
  if (capture == Capture::kForbidden) result = Required() ? why_not : -1;
  if (capture == Capture::kDone) {
    result = EINPROGRESS;
    if (blocking && Captured(fd, &name)) result = FinishBlocking(fd, name, kernel);
  }
  if (kernel >= 0) close(kernel);
  return result;
}

int TranslateError(const control::Name& name, int error) {
  if (error == 0 || name.role != control::Role::kInitiator) return error;
  const int why = AskResult(name.id);
  return why > 0 ? why : error;
}

}  // namespace mptcptls::shim

MPTCPTLS_HOOK int socket(int domain, int type, int protocol) noexcept {
  using namespace mptcptls::shim;
  int fd = real::socket()(domain, type, protocol);
  const bool mptcp = protocol == mptcptls::kernel::kIpprotoMptcp;
  if ((domain != AF_INET && domain != AF_INET6) ||
      (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
      (protocol != 0 && protocol != IPPROTO_TCP && !mptcp) || !Enabled())
    return fd;
  // TCP's are refused like this by no kernel, but by a library between that asks for MPTCP.
  if (fd < 0) fd = SocketInPlace(domain, type);
  if (fd >= 0) TrackFresh(fd);
  return fd;
}

MPTCPTLS_HOOK int connect(int fd, const sockaddr* address, socklen_t length) {
  using namespace mptcptls::shim;
  const bool ours = address != nullptr && length >= sizeof address->sa_family &&
                    (address->sa_family == AF_INET || address->sa_family == AF_INET6 ||
                     address->sa_family == AF_UNSPEC) &&
                    Enabled();
  const int saved = errno;
  const int result = ours ? Connect(fd, address, length) : -1;
  errno = saved;
  if (result < 0) return real::connect()(fd, address, length);
  if (result == 0) return 0;
  errno = result;
  return -1;
}
