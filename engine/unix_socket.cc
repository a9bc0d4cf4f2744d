#include "engine/unix_socket.h"

#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mptcptls {
namespace {

constexpr size_t kScratch = 65536;
constexpr size_t kScratchPieces = 16;

}  // namespace

size_t QueuedBytes(int socket) {
  int queued = 0;
  return ioctl(socket, FIONREAD, &queued) == 0 && queued > 0 ? static_cast<size_t>(queued) : 0;
}

bool SetFlag(int socket, int option, bool on) {
  const int value = on ? 1 : 0;
  return setsockopt(socket, SOL_SOCKET, option, &value, sizeof value) == 0;
}

ssize_t PeekWithCredentials(int socket, void* out, size_t size, std::optional<ucred>* credentials) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control;
  iovec piece{out, size};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t n = recvmsg(socket, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n <= 0) return n;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS) continue;
    ucred sender;
    memcpy(&sender, CMSG_DATA(c), sizeof sender);
    *credentials = sender;
  }
  return n;
}

ssize_t ReceiveMarked(int socket, msghdr* message, int flags, size_t* marked) {
  *marked = 0;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(sizeof(int))> control;
  message->msg_control = control.data();
  message->msg_controllen = control.size();
  const ssize_t n = recvmsg(socket, message, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n <= 0) return n;
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
      int number = -1;
      memcpy(&number, reinterpret_cast<const char*>(c) + at, sizeof number);
      const Descriptor mark(number);
      // A stranger may send any descriptor: nothing is asked of it that could wait for him.
      uint64_t bytes = 0;
      socklen_t length = sizeof bytes;
      if (getsockopt(mark.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &bytes, &length) == 0 &&
          length == sizeof bytes && bytes <= control::kMostMarked)
        *marked = static_cast<size_t>(bytes);
    }
  }
  return n;
}

size_t Discard(int socket, size_t size) {
  // All pieces are one place: what is written there is nobody's.
  static std::array<char, kScratch> scratch;
  std::array<iovec, kScratchPieces> pieces;
  size_t done = 0;
  while (done < size) {
    msghdr message{};
    message.msg_iov = pieces.data();
    for (size_t left = size - done; left > 0 && message.msg_iovlen < pieces.size();) {
      const size_t piece = std::min(left, scratch.size());
      pieces[message.msg_iovlen++] = {scratch.data(), piece};
      left -= piece;
    }
    const ssize_t n = recvmsg(socket, &message, MSG_DONTWAIT);
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

int TakeSocketError(int socket) {
  int error = 0;
  socklen_t length = sizeof error;
  return getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : 0;
}

Descriptor BoundSocket(const control::Name& name) {
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return socket;
  sockaddr_un address;
  const socklen_t length = control::EncodeName(name, &address);
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) socket.Reset();
  return socket;
}

std::optional<ucred> PeerCredentials(int socket) {
  ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  return peer;
}

}  // namespace mptcptls
