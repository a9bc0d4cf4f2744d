// accept() and accept4(): only what the engine brought, under the client's address.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "shim/addresses.h"
#include "shim/captured.h"
#include "shim/control_client.h"
#include "shim/inherited.h"
#include "shim/log.h"
#include "shim/real.h"
#include "shim/replace.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

bool IsFromEngine(int fd, const sockaddr_un& address, socklen_t length, control::Name* name) {
  ucred peer;
  socklen_t size = sizeof peer;
  return control::DecodeName(address, length, name) && name->role == control::Role::kResponder &&
         real::getsockopt()(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == 0 || peer.uid == geteuid());
}

// The accepted socket as the program and the engine want it. False: the engine has ended since it
// brought the connection. What is still in the socket would look like a stream that ended well.
bool Prepare(int listener, int fd) {
  const ErrnoKeeper keeper;
  real::setsockopt()(fd, SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  CopyOptions(listener, fd);  // TCP's sockets inherit, too
  Notes notes = ReadNotes(listener);
  notes.up = notes.reported = true;
  WriteNotes(fd, notes);
  // Whose connection it is now. A client that is gone already shows at the first read.
  return SendMessage(fd, control::kAcceptMark, sizeof control::kAcceptMark, -1, true) ||
         (errno != EPIPE && errno != ECONNRESET);
}

int Accept(int listener, const control::Name& own, sockaddr* address, socklen_t* length,
           int flags) {
  for (;;) {
    sockaddr_un from;
    socklen_t from_length = sizeof from;
    auto* const from_address = reinterpret_cast<sockaddr*>(&from);
    // A sandbox may allow the one call that its program makes, and not the other.
    const int fd = flags == 0 ? real::accept()(listener, from_address, &from_length)
                              : real::accept4()(listener, from_address, &from_length, flags);
    if (fd < 0) return fd;
    control::Name name;
    if (IsFromEngine(fd, from, from_length, &name)) {
      if (!Prepare(listener, fd)) {
        Log("accept: the engine ended before the connection was accepted");
        close(fd);
        continue;
      }
      if (address == nullptr || length == nullptr) return fd;
      sockaddr_storage remote;
      const socklen_t size = FromControl(name.remote, own.mapped || own.local.family == 6, &remote);
      CopyOut(remote, size, address, length);
      return fd;
    }
    Log("accept: a stranger spoke to the listener; refused");
    close(fd);
  }
}

bool IsListener(int fd, control::Name* name) {
  if (!Enabled()) return false;
  AdoptInherited(fd);
  return Captured(fd, name) && name->role == control::Role::kListener;
}

}  // namespace
}  // namespace mptcptls::shim

using namespace mptcptls::shim;

MPTCPTLS_HOOK int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
  mptcptls::control::Name name;
  return IsListener(fd, &name) ? Accept(fd, name, address, length, flags)
                               : real::accept4()(fd, address, length, flags);
}

MPTCPTLS_HOOK int accept(int fd, sockaddr* address, socklen_t* length) {
  mptcptls::control::Name name;
  return IsListener(fd, &name) ? Accept(fd, name, address, length, 0)
                               : real::accept()(fd, address, length);
}
