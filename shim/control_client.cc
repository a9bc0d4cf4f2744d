#include "shim/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim/captured.h"
#include "shim/clock.h"
#include "shim/engine_start.h"
#include "shim/log.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

bool Trusted(int socket) {
  ucred peer;
  socklen_t length = sizeof peer;
  return real::getsockopt()(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
         (peer.uid == 0 || peer.uid == geteuid());
}

// -1 with errno when nobody listens or nobody may.
int TryOpen() {
  const int fd = real::socket()(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const timeval limit{kControlWaitMs / 1000, 0};  // a full backlog must not hang the program
  real::setsockopt()(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  sockaddr_un address;
  const socklen_t length = control::EngineAddress(&address);
  const int64_t deadline = NowMs() + kControlWaitMs;
  int result;
  do {
    result = real::connect()(fd, reinterpret_cast<const sockaddr*>(&address), length);
  } while (result != 0 && errno == EINTR && NowMs() < deadline);
  if (result == 0 && Trusted(fd)) return fd;
  if (result == 0) {
    Log("whoever holds the engine's name is neither root nor this user: kernel TCP");
    errno = EPERM;
  }
  const ErrnoKeeper keeper;
  close(fd);
  return -1;
}

control::OptionRequest MakeOption(control::Verb verb, int level, int name, const void* value,
                                  socklen_t length) {
  auto request = control::Make<control::OptionRequest>(verb);
  request.level = level;
  request.name = name;
  request.value_length = length;
  if (verb == control::Verb::kSetOption) {
    // Longer ones are of options that the engine refuses, or have too much at their end.
    if (length > sizeof request.value) request.value_length = sizeof request.value;
    memcpy(request.value, value, request.value_length);
  }
  return request;
}

}  // namespace

int OpenEngine(WhenAbsent when_absent) {
  int fd = TryOpen();
  if (fd >= 0 || errno != ECONNREFUSED || when_absent == WhenAbsent::kGiveUp) return fd;
  StartEngine();
  // Another program's engine may have won the name, or an idle one was just leaving.
  return TryOpen();
}

bool SendMessage(int socket, const void* message, size_t size, int descriptor, bool credentials) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(ucred))];
  memset(control, 0, sizeof control);
  iovec piece{const_cast<void*>(message), size};
  msghdr m;
  memset(&m, 0, sizeof m);
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  m.msg_control = control;
  m.msg_controllen = sizeof control;
  cmsghdr* c = CMSG_FIRSTHDR(&m);
  size_t used = 0;
  if (descriptor >= 0) {
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
    used += CMSG_SPACE(sizeof descriptor);
    c = CMSG_NXTHDR(&m, c);
  }
  if (credentials) {
    const ucred own{getpid(), geteuid(), getegid()};
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN(sizeof own);
    memcpy(CMSG_DATA(c), &own, sizeof own);
    used += CMSG_SPACE(sizeof own);
  }
  m.msg_controllen = used;
  if (used == 0) m.msg_control = nullptr;
  return real::sendmsg()(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(size);
}

bool ReceiveExactly(int socket, void* out, size_t size) {
  const int64_t deadline = NowMs() + kControlWaitMs;
  size_t have = 0;
  while (have < size) {
    const int64_t left = deadline - NowMs();
    if (left <= 0) return false;
    pollfd ready{socket, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (ready.revents == 0) continue;
    const ssize_t n =
        real::recv()(socket, static_cast<char*>(out) + have, size - have, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return false;
    if (n > 0) have += static_cast<size_t>(n);
  }
  return true;
}

bool ReceiveReply(int socket, void* reply, size_t size) {
  control::Header header;
  // An engine of another version answers with a header of that version, and perhaps of that length.
  bool proper = ReceiveExactly(socket, &header, sizeof header) && header.magic == control::kMagic;
  if (proper && header.version != control::kVersion) {
    Log("the engine is of another version than this library (%u, not %u): nothing is captured; end "
        "it with mptcptls down, and the next program starts its own",
        header.version, control::kVersion);
    return false;
  }
  proper = proper && header.verb == control::Verb::kReply && header.length == size;
  memcpy(reply, &header, sizeof header);
  if (proper &&
      ReceiveExactly(socket, static_cast<char*>(reply) + sizeof header, size - sizeof header))
    return true;
  Log("the engine gave no proper answer");
  return false;
}

bool Ask(const void* request, size_t size, int descriptor, control::Reply* reply,
         WhenAbsent when_absent) {
  const ErrnoKeeper keeper;
  const int fd = OpenEngine(when_absent);
  if (fd < 0) return false;
  const bool answered =
      SendMessage(fd, request, size, descriptor, false) && ReceiveReply(fd, reply, sizeof *reply);
  reply->reason[sizeof reply->reason - 1] = 0;
  close(fd);
  return answered;
}

int AskResult(uint64_t id) {
  auto request = control::Make<control::ResultRequest>(control::Verb::kResult);
  request.id = id;
  control::Reply reply;
  return Ask(&request, sizeof request, -1, &reply) ? reply.error : -1;
}

bool TellOption(int fd, int level, int name, const void* value, socklen_t length) {
  const ErrnoKeeper keeper;
  const auto request = MakeOption(control::Verb::kSetOption, level, name, value, length);
  const int engine = OpenEngine(WhenAbsent::kGiveUp);
  if (engine < 0) return false;
  const bool said = SendMessage(engine, &request, sizeof request, fd, false);
  close(engine);
  return said;
}

int AskOption(control::Verb verb, int fd, int level, int name, void* value, socklen_t* length) {
  const ErrnoKeeper keeper;
  const auto request = MakeOption(verb, level, name, value, *length);
  const int engine = OpenEngine(WhenAbsent::kGiveUp);
  if (engine < 0) return ENOPROTOOPT;
  control::OptionReply reply;
  const bool answered = SendMessage(engine, &request, sizeof request, fd, false) &&
                        ReceiveReply(engine, &reply, sizeof reply);
  close(engine);
  if (!answered || reply.error < 0) return ENOPROTOOPT;
  if (reply.error == 0 && verb == control::Verb::kGetOption) {
    if (reply.value_length > sizeof reply.value) return ENOPROTOOPT;
    if (reply.value_length < *length) *length = reply.value_length;
    memcpy(value, reply.value, *length);
  }
  return reply.error;
}

void ProgramName(char (&name)[32]) {
  const ErrnoKeeper keeper;
  memset(name, 0, sizeof name);
  // A thread may have a name of its own.
  if (gettid() != getpid()) {
    const int file = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
    const ssize_t size = file < 0 ? -1 : read(file, name, sizeof name - 1);
    if (file >= 0) close(file);
    if (size > 0) {
      name[strcspn(name, "\n")] = 0;
      return;
    }
  }
  prctl(PR_GET_NAME, name);
}

}  // namespace mptcptls::shim
