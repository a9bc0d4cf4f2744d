#include "shim/replace.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shim/captured.h"
#include "shim/mptcp_socket.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

int IntOption(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return real::getsockopt()(fd, level, name, &value, &length) == 0 ? value : 0;
}

// What a unix socket keeps and reports as a TCP socket does.
constexpr int kNumbers[] = {SO_KEEPALIVE, SO_REUSEADDR, SO_OOBINLINE,   SO_RCVLOWAT,
                            SO_DONTROUTE, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_BROADCAST};

// Only where they differ, as some cost a privilege.
void CopyNumber(int from, int to, int name) {
  const int value = IntOption(from, SOL_SOCKET, name);
  if (value != IntOption(to, SOL_SOCKET, name))
    real::setsockopt()(to, SOL_SOCKET, name, &value, sizeof value);
}

template <typename Value>
void Copy(int from, int to, int name) {
  Value value{};
  socklen_t length = sizeof value;
  if (real::getsockopt()(from, SOL_SOCKET, name, &value, &length) == 0)
    real::setsockopt()(to, SOL_SOCKET, name, &value, length);
}

void SetNumber(int fd, int level, int name, int value) {
  real::setsockopt()(fd, level, name, &value, sizeof value);
}

// O_NONBLOCK, and whom O_ASYNC tells (fcntl(2)).
void CopyFlags(int from, int to) {
  const int flags = fcntl(from, F_GETFL);
  if (flags < 0) return;
  f_owner_ex owner;
  if (fcntl(from, F_GETOWN_EX, &owner) == 0 && owner.pid != 0) fcntl(to, F_SETOWN_EX, &owner);
  const int signal = fcntl(from, F_GETSIG);
  if (signal > 0) fcntl(to, F_SETSIG, signal);
  fcntl(to, F_SETFL, flags & (O_NONBLOCK | O_ASYNC));
}

}  // namespace

void CopyProperties(int tcp, int unix_socket) {
  const ErrnoKeeper keeper;
  CopyFlags(tcp, unix_socket);
  CopyOptions(tcp, unix_socket);
  CopyNumber(tcp, unix_socket, SO_PRIORITY);  // no accepted socket has it from its listener
  real::setsockopt()(unix_socket, SOL_SOCKET, SO_SNDBUF, &kPendingBuffer, sizeof kPendingBuffer);
  Notes notes;
  notes.send_buffer = static_cast<uint32_t>(IntOption(tcp, SOL_SOCKET, SO_SNDBUF));
  notes.no_delay = IntOption(tcp, IPPROTO_TCP, TCP_NODELAY) != 0;
  notes.cork = IntOption(tcp, IPPROTO_TCP, TCP_CORK) != 0;
  notes.mptcp = MadeAsMptcp(tcp);
  WriteNotes(unix_socket, notes);
}

void RestoreProperties(int unix_socket, int tcp) {
  const ErrnoKeeper keeper;
  const Notes notes = ReadNotes(unix_socket);
  const int fresh = IntOption(tcp, SOL_SOCKET, SO_SNDBUF);
  CopyFlags(unix_socket, tcp);
  CopyOptions(unix_socket, tcp);
  // Only what the program set stands: the kernel grows the others.
  if (notes.send_buffer != static_cast<uint32_t>(fresh))
    SetNumber(tcp, SOL_SOCKET, SO_SNDBUF, static_cast<int>(notes.send_buffer / 2));
  if (notes.no_delay) SetNumber(tcp, IPPROTO_TCP, TCP_NODELAY, 1);
  if (notes.cork) SetNumber(tcp, IPPROTO_TCP, TCP_CORK, 1);
}

void CopyOptions(int from, int to) {
  const ErrnoKeeper keeper;
  // Also where they are zero: TryOpen() set a time-out of its own.
  Copy<timeval>(from, to, SO_SNDTIMEO);
  Copy<timeval>(from, to, SO_RCVTIMEO);
  Copy<linger>(from, to, SO_LINGER);
  for (const int name : kNumbers) CopyNumber(from, to, name);
  const int receive = IntOption(from, SOL_SOCKET, SO_RCVBUF);
  if (receive != IntOption(to, SOL_SOCKET, SO_RCVBUF))
    SetNumber(to, SOL_SOCKET, SO_RCVBUF, receive / 2);  // the kernel doubles it
}

bool RandomId(uint64_t* id) {
  const ErrnoKeeper keeper;
  return getrandom(id, sizeof *id, 0) == static_cast<ssize_t>(sizeof *id);
}

}  // namespace mptcptls::shim
