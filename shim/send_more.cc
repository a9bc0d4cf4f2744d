#include "shim/send_more.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "shim/captured.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

size_t SizeOf(const msghdr& message) {
  size_t size = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) size += message.msg_iov[i].iov_len;
  return size;
}

// Each mark in a queue counts against what its user may have on the way (unix(7)); behind much that
// is not read yet it says nothing of use.
bool QueueIsLong(int fd) {
  constexpr int kLong = 65536;  // the byte that the engine leaves keeps up to 36 KiB alone
  int queued = 0;
  return real::ioctl()(fd, SIOCOUTQ, &queued) == 0 && queued > kLong;
}

void NoteMore(int fd) {
  Notes notes = ReadNotes(fd);
  if (notes.more) return;
  notes.more = true;
  WriteNotes(fd, notes);
}

// A descriptor that says `bytes`; -1: there can be none. Not a unix socket, which the kernel would
// look for cycles.
int NewMark(uint64_t bytes) {
  const int mark = real::socket()(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (mark >= 0 &&
      real::setsockopt()(mark, SOL_SOCKET, SO_MAX_PACING_RATE, &bytes, sizeof bytes) != 0) {
    close(mark);
    return -1;
  }
  return mark;
}

}  // namespace

ssize_t SendMore(int fd, const msghdr& message, int flags) {
  const int saved = errno;
  flags &= ~MSG_MORE;
  const size_t size = SizeOf(message);
  const bool markable =
      size > 0 && size <= control::kMostMarked && message.msg_controllen == 0 && !QueueIsLong(fd);
  const int mark = markable ? NewMark(size) : -1;
  errno = saved;
  if (mark < 0) return real::sendmsg()(fd, &message, flags);
  NoteMore(fd);
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof mark)] = {};
  msghdr marked = message;
  marked.msg_control = space;
  marked.msg_controllen = sizeof space;
  cmsghdr* const c = CMSG_FIRSTHDR(&marked);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof mark);
  memcpy(CMSG_DATA(c), &mark, sizeof mark);
  // It does not wait, so that no thread that is cancelled and no fork keeps the mark.
  const ssize_t sent = real::sendmsg()(fd, &marked, flags | MSG_DONTWAIT);
  const int error = sent < 0 ? errno : saved;
  close(mark);
  errno = saved;
  // No room; or too many descriptors are on their way (unix(7)).
  if (sent < 0 && (error == EAGAIN || error == ETOOMANYREFS))
    return real::sendmsg()(fd, &message, flags);
  errno = error;
  return sent;
}

ssize_t SendMore(int fd, const void* bytes, size_t size, int flags) {
  iovec piece{const_cast<void*>(bytes), size};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  return SendMore(fd, message, flags);
}

}  // namespace mptcptls::shim

using namespace mptcptls::shim;

MPTCPTLS_HOOK ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  mptcptls::control::Name name;
  if ((flags & MSG_MORE) == 0 || !Enabled() || !Captured(fd, &name))
    return real::send()(fd, bytes, size, flags);
  return SendMore(fd, bytes, size, flags);
}
