#include "shim/replace.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "shim/captured.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

int IntOption(int fd, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  return real::getsockopt()(fd, level, name, &value, &length) == 0 ? value : 0;
}

void CopyTime(int from, int to, int name) {
  timeval value;
  socklen_t length = sizeof value;
  if (real::getsockopt()(from, SOL_SOCKET, name, &value, &length) == 0 &&
      (value.tv_sec != 0 || value.tv_usec != 0))
    real::setsockopt()(to, SOL_SOCKET, name, &value, sizeof value);
}

}  // namespace

void CopyProperties(int tcp, int unix_socket) {
  const ErrnoKeeper keeper;
  const int flags = fcntl(tcp, F_GETFL);
  if (flags >= 0) fcntl(unix_socket, F_SETFL, flags & (O_NONBLOCK | O_ASYNC));
  // TryOpen() set a time-out of its own.
  const timeval none{};
  real::setsockopt()(unix_socket, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  CopyTime(tcp, unix_socket, SO_SNDTIMEO);
  CopyTime(tcp, unix_socket, SO_RCVTIMEO);
  real::setsockopt()(unix_socket, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  const int receive = IntOption(tcp, SOL_SOCKET, SO_RCVBUF) / 2;  // the kernel doubles it
  real::setsockopt()(unix_socket, SOL_SOCKET, SO_RCVBUF, &receive, sizeof receive);
  linger wait;
  socklen_t length = sizeof wait;
  if (real::getsockopt()(tcp, SOL_SOCKET, SO_LINGER, &wait, &length) == 0 && wait.l_onoff != 0)
    real::setsockopt()(unix_socket, SOL_SOCKET, SO_LINGER, &wait, sizeof wait);
  Notes notes;
  notes.send_buffer = static_cast<uint32_t>(IntOption(tcp, SOL_SOCKET, SO_SNDBUF));
  notes.no_delay = IntOption(tcp, IPPROTO_TCP, TCP_NODELAY) != 0;
  notes.cork = IntOption(tcp, IPPROTO_TCP, TCP_CORK) != 0;
  WriteNotes(unix_socket, notes);
}

bool RandomId(uint64_t* id) {
  const ErrnoKeeper keeper;
  return getrandom(id, sizeof *id, 0) == static_cast<ssize_t>(sizeof *id);
}

}  // namespace mptcptls::shim
