// getsockname(), getpeername(), and the addresses given to sendto(), sendmsg() and sendmmsg().
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "shim/addresses.h"
#include "shim/captured.h"
#include "shim/connect.h"
#include "shim/real.h"
#include "shim/send_more.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

bool IsUnix(const sockaddr_storage& address, socklen_t length) {
  return length >= sizeof address.ss_family && address.ss_family == AF_UNIX;
}

bool IsInternet(const void* address, socklen_t length) {
  if (address == nullptr || length < sizeof(sa_family_t)) return false;
  const sa_family_t family = static_cast<const sockaddr*>(address)->sa_family;
  return family == AF_INET || family == AF_INET6;
}

bool ShowsSix(const control::Name& name) {
  return name.mapped || name.local.family == 6 || name.remote.family == 6;
}

// MSG_FASTOPEN on a fresh socket is a connect() with data; without a cookie of the server's, TCP
// connects first and sends then, and so do we. False, with errno: nothing is sent.
bool FastOpened(int fd, const void* address, socklen_t length, int* flags) {
  int domain = 0;
  if ((*flags & MSG_FASTOPEN) == 0 || !FreshTcp(fd, &domain)) return true;
  const int saved = errno;
  const int result = Connect(fd, static_cast<const sockaddr*>(address), length);
  errno = result > 0 ? result : saved;
  if (result >= 0) *flags &= ~MSG_FASTOPEN;  // else it is the kernel's affair
  return result <= 0;
}

}  // namespace
}  // namespace mptcptls::shim

using namespace mptcptls::shim;
using mptcptls::control::Name;
using mptcptls::control::Role;

MPTCPTLS_HOOK int getsockname(int fd, sockaddr* address, socklen_t* length) noexcept {
  if (address == nullptr || length == nullptr || !Enabled())
    return real::getsockname()(fd, address, length);
  sockaddr_storage own;
  socklen_t own_length = sizeof own;
  const int result = real::getsockname()(fd, reinterpret_cast<sockaddr*>(&own), &own_length);
  if (result != 0) return result;
  Name name;
  if (!IsUnix(own, own_length) || !Captured(fd, &name))
    return real::getsockname()(fd, address, length);
  sockaddr_storage local;
  const socklen_t size = FromControl(name.local, ShowsSix(name), &local);
  CopyOut(local, size, address, length);
  return 0;
}

MPTCPTLS_HOOK int getpeername(int fd, sockaddr* address, socklen_t* length) noexcept {
  Name name;
  if (address == nullptr || length == nullptr || !Enabled() || !Captured(fd, &name))
    return real::getpeername()(fd, address, length);
  if (name.role == Role::kListener ||
      (name.role == Role::kInitiator && ConnectProgress(fd, name.id) != Progress::kUp) ||
      Over(fd, name)) {
    errno = ENOTCONN;
    return -1;
  }
  sockaddr_storage remote;
  const socklen_t size = FromControl(name.remote, ShowsSix(name), &remote);
  CopyOut(remote, size, address, length);
  return 0;
}

MPTCPTLS_HOOK ssize_t sendto(int fd, const void* bytes, size_t size, int flags,
                             const sockaddr* address, socklen_t length) {
  Name name;
  if (IsInternet(address, length) && Enabled()) {
    if (!FastOpened(fd, address, length, &flags)) return -1;
    // TCP ignores the address of a connected socket.
    if (Captured(fd, &name)) {
      address = nullptr;
      length = 0;
    }
  }
  if ((flags & MSG_MORE) != 0 && address == nullptr && Enabled() && Captured(fd, &name))
    return SendMore(fd, bytes, size, flags);
  return real::sendto()(fd, bytes, size, flags, address, length);
}

MPTCPTLS_HOOK ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  Name name;
  if (message == nullptr || !Enabled()) return real::sendmsg()(fd, message, flags);
  const bool addressed = IsInternet(message->msg_name, message->msg_namelen);
  if (!addressed && (flags & MSG_MORE) == 0) return real::sendmsg()(fd, message, flags);
  if (addressed && !FastOpened(fd, message->msg_name, message->msg_namelen, &flags)) return -1;
  if (!Captured(fd, &name)) return real::sendmsg()(fd, message, flags);
  msghdr bare = *message;
  bare.msg_name = nullptr;
  bare.msg_namelen = 0;
  return (flags & MSG_MORE) != 0 ? SendMore(fd, bare, flags) : real::sendmsg()(fd, &bare, flags);
}

MPTCPTLS_HOOK int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  Name name;
  bool addressed = false;
  for (unsigned i = 0; messages != nullptr && i < count && !addressed; ++i)
    addressed = messages[i].msg_hdr.msg_name != nullptr;
  if (!addressed || !Enabled() || !Captured(fd, &name))
    return real::sendmmsg()(fd, messages, count, flags);
  unsigned done = 0;
  for (; done < count; ++done) {
    const ssize_t n = sendmsg(fd, &messages[done].msg_hdr, flags);
    if (n < 0) break;
    messages[done].msg_len = static_cast<unsigned>(n);
  }
  return done == 0 && count > 0 ? -1 : static_cast<int>(done);
}
