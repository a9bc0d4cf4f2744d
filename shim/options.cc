// getsockopt() and setsockopt(). On a TCP socket the kernel answers at once; only what a unix
// socket cannot say is looked at again.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "shim/captured.h"
#include "shim/connect.h"
#include "shim/control_client.h"
#include "shim/mptcp_options.h"
#include "shim/mptcp_socket.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

using control::Name;

bool IsTcpLevel(int level) {
  return level == IPPROTO_TCP || level == IPPROTO_IP || level == IPPROTO_IPV6;
}

int Fail(int error) {
  if (error == 0) return 0;
  errno = error;
  return -1;
}

int PutBytes(const void* from, socklen_t size, void* value, socklen_t* length) {
  if (*length > size) *length = size;
  memcpy(value, from, *length);
  return 0;
}

int PutInt(int number, void* value, socklen_t* length) {
  return PutBytes(&number, sizeof number, value, length);
}

// Of a captured socket. One that was accepted and never spoke MPTCP is of TCP, whatever its
// listener is, as the kernel has it.
int ProtocolOf(int fd, const Name& name) {
  if (!ReadNotes(fd).mptcp) return IPPROTO_TCP;
  int protocol = kernel::kIpprotoMptcp;
  socklen_t length = sizeof protocol;
  if (name.role == control::Role::kResponder &&
      AskOption(control::Verb::kGetOption, fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) != 0)
    return kernel::kIpprotoMptcp;
  return protocol;
}

// A TCP socket in place of an MPTCP one.
int AnswerInPlace(int fd, int option, void* value, socklen_t* length, int result) {
  if ((option != SO_PROTOCOL && option != SO_MAX_PACING_RATE) || !InPlaceOfMptcp(fd)) return result;
  if (option == SO_PROTOCOL) return PutInt(kernel::kIpprotoMptcp, value, length);
  const uint64_t unlimited = ~0ull;
  return PutBytes(&unlimited, *length > 4 ? 8 : 4, value, length);
}

bool IsFreshInPlace(int fd) {
  int domain = 0;
  return InPlaceOfMptcp(fd) && FreshTcp(fd, &domain);
}

// SOL_MPTCP. `refusal`: the kernel's errno, which stays where nothing of ours is behind `fd`.
int GetMptcp(int fd, int option, void* value, socklen_t* length, int refusal) {
  Name name;
  if (Captured(fd, &name)) return Fail(GetMptcpOption(fd, name, option, value, length));
  if (IsFreshInPlace(fd)) return Fail(GetMptcpOptionInPlace(option, value, length));
  return Fail(refusal);
}

// SOL_SOCKET options whose answer a unix socket gives differently. `result` is the kernel's.
int AnswerSocketLevel(int fd, int option, void* value, socklen_t* length, int result) {
  const ErrnoKeeper keeper;
  int number = 0;
  if (*length >= sizeof number) memcpy(&number, value, sizeof number);
  const bool differs = (option == SO_DOMAIN && number == AF_UNIX) ||
                       (option == SO_PROTOCOL && (number == 0 || number == IPPROTO_TCP)) ||
                       (option == SO_ERROR && number != 0) || option == SO_SNDBUF ||
                       option == SO_REUSEPORT || option == SO_PEERCRED ||
                       option == SO_MAX_PACING_RATE;
  Name name;
  if (!differs) return result;
  if (!Captured(fd, &name)) return AnswerInPlace(fd, option, value, length, result);
  switch (option) {
    case SO_DOMAIN:
      return PutInt(name.mapped || name.local.family == 6 ? AF_INET6 : AF_INET, value, length);
    case SO_PROTOCOL:
      return PutInt(ProtocolOf(fd, name), value, length);
    case SO_ERROR:
      return PutInt(TranslateError(name, number), value, length);
    case SO_SNDBUF: {
      const Notes notes = ReadNotes(fd);
      return notes.send_buffer == 0 ? result
                                    : PutInt(static_cast<int>(notes.send_buffer), value, length);
    }
    case SO_REUSEPORT: {
      int shared = 0;
      socklen_t size = sizeof shared;
      AskOption(control::Verb::kGetOption, fd, SOL_SOCKET, SO_REUSEPORT, &shared, &size);
      return PutInt(shared, value, length);
    }
    case SO_PEERCRED: {
      const ucred nobody{0, static_cast<uid_t>(-1), static_cast<gid_t>(-1)};
      return PutBytes(&nobody, sizeof nobody, value, length);
    }
    default: {  // SO_MAX_PACING_RATE holds our notes
      const uint64_t unlimited = ~0ull;
      return PutBytes(&unlimited, *length > 4 ? 8 : 4, value, length);
    }
  }
}

int GetFromEngine(int fd, const Name& name, int level, int option, void* value, socklen_t* length) {
  if (level == IPPROTO_TCP && option == TCP_NODELAY)
    return PutInt(ReadNotes(fd).no_delay ? 1 : 0, value, length);
  if (level == IPPROTO_TCP && option == TCP_CORK)
    return PutInt(ReadNotes(fd).cork ? 1 : 0, value, length);
  if (level == IPPROTO_TCP && option == kernel::kTcpIsMptcp)
    return PutInt(SpeaksMptcp(fd, name) ? 1 : 0, value, length);
  return Fail(AskOption(control::Verb::kGetOption, fd, level, option, value, length));
}

// It has no effect but to be told back, and there are servers (dovecot) that ask for it after each
// write: once is enough.
int SetQuickAck(int fd, const void* value, socklen_t length) {
  int number = 0;
  if (length >= sizeof number) memcpy(&number, value, sizeof number);
  if (number == 1 && ReadNotes(fd).quick_ack) return 0;
  const int error = AskOption(control::Verb::kSetOption, fd, IPPROTO_TCP, TCP_QUICKACK,
                              const_cast<void*>(value), &length);
  Notes notes = ReadNotes(fd);
  notes.quick_ack = error == 0 && number == 1;
  WriteNotes(fd, notes);
  return Fail(error);
}

// Servers ask for TCP_NODELAY and TCP_CORK again and again (nginx around each answer, dovecot
// around each write): the engine is told when they change. Where bytes are to be held back from now
// on its answer is waited for; where they are let go, they may go a moment later. What sends at
// once, sends what MSG_MORE held too, also when nothing changes.
int SetAtEngine(int fd, int level, int option, const void* value, socklen_t length) {
  if (level == IPPROTO_TCP && (option == TCP_NODELAY || option == TCP_CORK)) {
    int number = 0;
    if (length < sizeof number) return Fail(EINVAL);
    memcpy(&number, value, sizeof number);
    Notes notes = ReadNotes(fd);
    bool& noted = option == TCP_NODELAY ? notes.no_delay : notes.cork;
    const bool lets_go = (option == TCP_NODELAY) == (number != 0);
    const bool flushes = notes.more && lets_go;
    if (noted == (number != 0) && !flushes) return 0;
    noted = number != 0;
    WriteNotes(fd, notes);
    // Where nobody answers there is no connection any more that it could matter to.
    if (!lets_go || flushes || !TellOption(fd, level, option, value, length))
      AskOption(control::Verb::kSetOption, fd, level, option, const_cast<void*>(value), &length);
    return 0;
  }
  if (level == IPPROTO_TCP && option == TCP_QUICKACK) return SetQuickAck(fd, value, length);
  return Fail(
      AskOption(control::Verb::kSetOption, fd, level, option, const_cast<void*>(value), &length));
}

// What the kernel would make of the number on a TCP socket: bounded, doubled.
uint32_t SendBufferNumber(int wanted) {
  const int probe = real::socket()(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return static_cast<uint32_t>(wanted) * 2;
  int number = 0;
  socklen_t length = sizeof number;
  real::setsockopt()(probe, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
  real::getsockopt()(probe, SOL_SOCKET, SO_SNDBUF, &number, &length);
  close(probe);
  return static_cast<uint32_t>(number);
}

// SO_SNDBUF is never lowered on a unix socket of ours: the engine leaves a byte in it unread, and a
// pending connect() fills a quarter. The program reads its own number back.
int SetSendBuffer(int fd, const void* value, socklen_t length) {
  int wanted = 0;
  if (length < sizeof wanted) return Fail(EINVAL);
  memcpy(&wanted, value, sizeof wanted);
  const ErrnoKeeper keeper;
  Notes notes = ReadNotes(fd);
  notes.send_buffer = SendBufferNumber(wanted);
  WriteNotes(fd, notes);
  return 0;
}

}  // namespace
}  // namespace mptcptls::shim

using namespace mptcptls::shim;

MPTCPTLS_HOOK int getsockopt(int fd, int level, int option, void* value,
                             socklen_t* length) noexcept {
  const socklen_t room = length == nullptr ? 0 : *length;
  const int saved = errno;
  const int result = real::getsockopt()(fd, level, option, value, length);
  if (level == mptcptls::kernel::kSolMptcp) {
    const bool refused = result != 0 && (errno == EOPNOTSUPP || errno == ENOPROTOOPT);
    if (!refused || length == nullptr || !Enabled()) return result;
    const int error = errno;
    errno = saved;
    *length = room;
    return GetMptcp(fd, option, value, length, error);
  }
  if (value == nullptr || length == nullptr || !Enabled()) return result;
  if (level == IPPROTO_TCP && option == mptcptls::kernel::kTcpIsMptcp && IsFreshInPlace(fd))
    return PutInt(1, value, length);
  if (result == 0)
    return level == SOL_SOCKET ? AnswerSocketLevel(fd, option, value, length, result) : result;
  mptcptls::control::Name name;
  const bool refused = errno == EOPNOTSUPP || errno == ENOPROTOOPT;
  const bool of_socket = level == SOL_SOCKET && option != SO_REUSEPORT;
  if (!refused || of_socket || !Captured(fd, &name)) return result;
  if (level != SOL_SOCKET && !IsTcpLevel(level)) return Fail(ENOPROTOOPT);
  errno = saved;
  *length = room;
  return GetFromEngine(fd, name, level, option, value, length);
}

MPTCPTLS_HOOK int setsockopt(int fd, int level, int option, const void* value,
                             socklen_t length) noexcept {
  mptcptls::control::Name name;
  const bool held_back = level == SOL_SOCKET && (option == SO_SNDBUF || option == SO_SNDBUFFORCE ||
                                                 option == SO_MAX_PACING_RATE);
  if (held_back && value != nullptr && Enabled() && Captured(fd, &name))
    return option == SO_MAX_PACING_RATE ? 0 : SetSendBuffer(fd, value, length);
  if (option == SO_MAX_PACING_RATE && level == SOL_SOCKET && Enabled() && InPlaceOfMptcp(fd))
    return 0;
  const int saved = errno;
  const int result = real::setsockopt()(fd, level, option, value, length);
  // As the kernel: nothing of SOL_MPTCP can be set, on TCP sockets neither.
  if (level == mptcptls::kernel::kSolMptcp) {
    if (result != 0 && errno == EOPNOTSUPP && Enabled() && Captured(fd, &name)) errno = ENOPROTOOPT;
    return result;
  }
  if (value == nullptr || !Enabled()) return result;
  if (result == 0) {
    // The unix socket keeps the number; what it does to the connection is the engine's.
    const bool acts = level == SOL_SOCKET && (option == SO_KEEPALIVE || option == SO_LINGER);
    if (acts && Captured(fd, &name) && name.role != mptcptls::control::Role::kListener)
      AskOption(mptcptls::control::Verb::kSetOption, fd, level, option, const_cast<void*>(value),
                &length);
    return result;
  }
  const bool refused = errno == EOPNOTSUPP || errno == ENOPROTOOPT;
  const bool of_socket = level == SOL_SOCKET && option != SO_REUSEPORT;
  if (!refused || of_socket || !Captured(fd, &name)) return result;
  if (level != SOL_SOCKET && !IsTcpLevel(level)) return Fail(ENOPROTOOPT);
  errno = saved;
  return SetAtEngine(fd, level, option, value, length);
}
