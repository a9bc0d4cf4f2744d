// recv(), recvfrom(), recvmsg() and recvmmsg(): TCP reports no address with received bytes, and
// knows two flags that a unix stream does not.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "shim/addresses.h"
#include "shim/captured.h"
#include "shim/clock.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

constexpr size_t kPieces = 256;
// Where bytes go that the program asked to lose. Whatever threads write here, nobody reads.
char nowhere[16384];

bool IsCaptured(int fd) {
  control::Name name;
  return Enabled() && Captured(fd, &name);
}

// MSG_TRUNC on a stream (tcp(7)): bytes are taken out, or with MSG_PEEK counted, and not copied.
ssize_t ReceiveNothing(int fd, size_t size, int flags) {
  iovec pieces[kPieces];
  size_t count = 0;
  for (; count < kPieces && size > 0; ++count) {
    const size_t piece = size < sizeof nowhere ? size : sizeof nowhere;
    pieces[count] = {nowhere, piece};
    size -= piece;
  }
  msghdr message;
  memset(&message, 0, sizeof message);
  message.msg_iov = pieces;
  message.msg_iovlen = count;
  return real::recvmsg()(fd, &message, flags & ~MSG_TRUNC);
}

size_t SizeOf(const msghdr& message) {
  size_t size = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) size += message.msg_iov[i].iov_len;
  return size;
}

// True when TCP would look elsewhere than into the stream; then `result` is what it says.
bool Aside(int fd, size_t size, int flags, ssize_t* result) {
  if ((flags & (MSG_TRUNC | MSG_ERRQUEUE)) == 0 || !IsCaptured(fd)) return false;
  if ((flags & MSG_ERRQUEUE) != 0) {  // nothing is ever there
    errno = EAGAIN;
    *result = -1;
  } else {
    *result = ReceiveNothing(fd, size, flags);
  }
  return true;
}

// Takes our unix name out of what the kernel filled: TCP leaves the program's buffer alone.
class NameKeeper {
 public:
  explicit NameKeeper(const msghdr& message) {
    if (message.msg_name == nullptr) return;
    size_ = message.msg_namelen < sizeof before_ ? message.msg_namelen : sizeof before_;
    memcpy(&before_, message.msg_name, size_);
  }
  void PutBack(int fd, msghdr* message) const {
    if (message->msg_name == nullptr || message->msg_namelen < sizeof(sa_family_t) ||
        static_cast<const sockaddr*>(message->msg_name)->sa_family != AF_UNIX || !IsCaptured(fd))
      return;
    memcpy(message->msg_name, &before_, size_);
    message->msg_namelen = 0;
  }

 private:
  sockaddr_storage before_;
  size_t size_ = 0;
};

// Message by message: the names of all of them would be ours.
int ReceiveEach(int fd, mmsghdr* messages, unsigned count, int flags, const timespec* limit) {
  const int64_t end = limit == nullptr
                          ? INT64_MAX
                          : NowMs() + limit->tv_sec * int64_t{1000} + limit->tv_nsec / 1000000;
  const bool wait_for_one = (flags & MSG_WAITFORONE) != 0;
  flags &= ~MSG_WAITFORONE;
  const int saved = errno;
  unsigned done = 0;
  while (done < count) {
    const ssize_t n = recvmsg(fd, &messages[done].msg_hdr, flags);
    if (n < 0) break;
    messages[done++].msg_len = static_cast<unsigned>(n);
    if (wait_for_one) flags |= MSG_DONTWAIT;
    if (NowMs() >= end) break;
  }
  if (done == 0 && count > 0) return -1;
  errno = saved;
  return static_cast<int>(done);
}

}  // namespace
}  // namespace mptcptls::shim

using namespace mptcptls::shim;

MPTCPTLS_HOOK ssize_t recv(int fd, void* bytes, size_t size, int flags) {
  ssize_t result = 0;
  return Aside(fd, size, flags, &result) ? result : real::recv()(fd, bytes, size, flags);
}

// NOLINTNEXTLINE(bugprone-reserved-identifier): what fortified programs call
MPTCPTLS_HOOK ssize_t __recv_chk(int fd, void* bytes, size_t size, size_t buffer, int flags) {
  if (size > buffer) __builtin_trap();  // as glibc: the program is about to overrun its buffer
  return recv(fd, bytes, size, flags);
}

MPTCPTLS_HOOK ssize_t recvfrom(int fd, void* bytes, size_t size, int flags, sockaddr* address,
                               socklen_t* length) {
  ssize_t result = 0;
  if (Aside(fd, size, flags, &result)) {
    if (result >= 0 && address != nullptr && length != nullptr) *length = 0;
    return result;
  }
  if (address == nullptr || length == nullptr || !Enabled())
    return real::recvfrom()(fd, bytes, size, flags, address, length);
  sockaddr_storage from;
  socklen_t from_length = sizeof from;
  memset(&from, 0, sizeof from);
  result =
      real::recvfrom()(fd, bytes, size, flags, reinterpret_cast<sockaddr*>(&from), &from_length);
  if (result < 0) return result;
  const bool is_unix = from_length >= sizeof from.ss_family && from.ss_family == AF_UNIX;
  if (is_unix && IsCaptured(fd))
    *length = 0;
  else
    CopyOut(from, from_length, address, length);
  return result;
}

// NOLINTNEXTLINE(bugprone-reserved-identifier): what fortified programs call
MPTCPTLS_HOOK ssize_t __recvfrom_chk(int fd, void* bytes, size_t size, size_t buffer, int flags,
                                     sockaddr* address, socklen_t* length) {
  if (size > buffer) __builtin_trap();
  return recvfrom(fd, bytes, size, flags, address, length);
}

MPTCPTLS_HOOK ssize_t recvmsg(int fd, msghdr* message, int flags) {
  if (message == nullptr || !Enabled()) return real::recvmsg()(fd, message, flags);
  ssize_t result = 0;
  if ((flags & (MSG_TRUNC | MSG_ERRQUEUE)) != 0 && Aside(fd, SizeOf(*message), flags, &result)) {
    if (result >= 0) message->msg_namelen = message->msg_controllen = message->msg_flags = 0;
    return result;
  }
  const NameKeeper keeper(*message);
  result = real::recvmsg()(fd, message, flags);
  if (result >= 0) keeper.PutBack(fd, message);
  return result;
}

MPTCPTLS_HOOK int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* limit) {
  return messages != nullptr && IsCaptured(fd)
             ? ReceiveEach(fd, messages, count, flags, limit)
             : real::recvmmsg()(fd, messages, count, flags, limit);
}
