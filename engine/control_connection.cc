#include "engine/control_connection.h"

#include <absl/strings/str_cat.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

#include "engine/command_text.h"

namespace mptcptls::command {
namespace {

absl::Status NoEngine() {
  return absl::NotFoundError(
      "no engine is running: start a program under `mptcptls run`, or `mptcptlsd`");
}

absl::Status Untrusted(const ucred& peer) {
  return absl::PermissionDeniedError(
      absl::StrCat("the engine's name is held by process ", peer.pid, " of user ", peer.uid,
                   ", neither root nor you: become that user, or end that process"));
}

msghdr OnePiece(iovec* piece) {
  msghdr message = {};
  message.msg_iov = piece;
  message.msg_iovlen = 1;
  return message;
}

}  // namespace

int MillisecondsUntil(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

absl::StatusOr<ControlConnection> ControlConnection::Open() {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return absl::ErrnoToStatus(errno, "cannot make a socket");
  // Bounds connect() when the engine's backlog is full, and a send() that it does not read.
  const timeval limit{kAnswerWait.count(), 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_un address;
  const socklen_t length = control::EngineAddress(&address);
  if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    if (errno == ECONNREFUSED) return NoEngine();
    if (errno == EAGAIN)
      return absl::DeadlineExceededError(
          "the engine does not accept connections: it hangs, end it (killall mptcptlsd)");
    return absl::ErrnoToStatus(errno, "cannot reach the engine");
  }
  ucred peer = {};
  socklen_t size = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
    return absl::ErrnoToStatus(errno, "cannot tell whose engine this is");
  if (peer.uid != 0 && peer.uid != geteuid()) return Untrusted(peer);
  return ControlConnection(std::move(socket), peer.pid);
}

absl::Status ControlConnection::Send(const void* message, size_t size, int descriptor) {
  iovec piece{const_cast<void*>(message), size};
  msghdr m = OnePiece(&piece);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  if (descriptor >= 0) {
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    cmsghdr* const c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
  }
  // A request is far smaller than a socket's buffer: it goes whole or not at all.
  if (sendmsg(socket_.get(), &m, MSG_NOSIGNAL) == static_cast<ssize_t>(size))
    return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat(Who(), " hung up before it read the request: it is ending; try again"));
}

absl::Status ControlConnection::Receive(void* out, size_t size, Clock::time_point deadline) {
  size_t have = 0;
  while (have < size) {
    const ssize_t n =
        recv(socket_.get(), static_cast<char*>(out) + have, size - have, MSG_DONTWAIT);
    if (n > 0) {
      have += static_cast<size_t>(n);
      continue;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
      return absl::UnavailableError(
          absl::StrCat(Who(), " hung up without an answer: it is ending; try again"));
    pollfd ready{socket_.get(), POLLIN, 0};
    const int events = poll(&ready, 1, MillisecondsUntil(deadline));
    if (events < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "cannot wait");
    if (events <= 0 && Clock::now() >= deadline)
      return absl::DeadlineExceededError(absl::StrCat(Who(), " does not answer within ",
                                                      kAnswerWait.count(),
                                                      " s: look at its log, or end it with kill"));
  }
  return absl::OkStatus();
}

absl::StatusOr<control::Reply> ControlConnection::AwaitReply() {
  const auto deadline = Clock::now() + kAnswerWait;
  control::Reply reply;
  absl::Status received = Receive(&reply.header, sizeof reply.header, deadline);
  if (!received.ok()) return received;
  // An engine of another version says so with a header of that version, and perhaps of that length.
  if (reply.header.magic != control::kMagic)
    return absl::DataLossError(
        absl::StrCat(Who(), " speaks another protocol: end it and start a program again"));
  if (reply.header.version != control::kVersion) return OtherVersion(reply.header.version);
  if (reply.header.verb != control::Verb::kReply || reply.header.length != sizeof reply)
    return absl::DataLossError(
        absl::StrCat(Who(), " gave an answer that is none: report this as a bug"));
  received = Receive(reinterpret_cast<char*>(&reply) + sizeof reply.header,
                     sizeof reply - sizeof reply.header, deadline);
  if (!received.ok()) return received;
  reply.reason[sizeof reply.reason - 1] = 0;
  if (reply.error != 0) return Explain(reply);
  return reply;
}

absl::StatusOr<std::string> ControlConnection::AwaitPayload(uint32_t length) {
  if (length > kMaxPayload)
    return absl::DataLossError(
        absl::StrCat(Who(), " announces ", length, " bytes: report this as a bug"));
  std::string payload(length, '\0');
  absl::Status received = Receive(payload.data(), length, Clock::now() + kAnswerWait);
  if (!received.ok()) return received;
  return payload;
}

absl::Status ControlConnection::Explain(const control::Reply& reply) const {
  if (reply.error == control::kErrorVersion) return OtherVersion(reply.header.version);
  const std::string reason = Printable(reply.reason);
  if (reply.error == control::kErrorMalformed)
    return absl::InvalidArgumentError(
        absl::StrCat(Who(), " did not understand the request", reason.empty() ? "" : ": ", reason));
  if (!reason.empty()) return absl::FailedPreconditionError(absl::StrCat(Who(), ": ", reason));
  if (reply.error == EPERM || reply.error == EACCES)
    return absl::PermissionDeniedError(
        absl::StrCat(Who(), " refuses you this: do it as root, or as the user whose engine it is"));
  if (reply.error < 0)
    return absl::FailedPreconditionError(absl::StrCat(Who(), " declines and does not say why"));
  return absl::ErrnoToStatus(reply.error, absl::StrCat(Who(), " failed"));
}

absl::Status ControlConnection::OtherVersion(uint32_t version) const {
  return absl::UnimplementedError(absl::StrCat(
      Who(), " is of another version than this command (", version, ", not ", control::kVersion,
      "): end it (", engine_ > 0 ? "mptcptls down" : "kill its process",
      "), and the next program starts its own; or use the mptcptls that is installed beside it"));
}

std::string ControlConnection::Who() const {
  return engine_ > 0 ? absl::StrCat("the engine (pid ", engine_, ")") : "the engine";
}

}  // namespace mptcptls::command
