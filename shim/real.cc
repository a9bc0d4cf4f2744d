#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>

namespace mptcptls::shim {

void* NextSymbol(const char* name) {
  const int saved = errno;
  void* const found = dlsym(RTLD_NEXT, name);
  errno = saved;
  return found;
}

namespace {

bool socket_is_hidden = false;

// Which object's socket() the program calls.
bool IsHidden() {
  Dl_info ours, first;
  void* const function = dlsym(RTLD_DEFAULT, "socket");
  return function != nullptr && dladdr(reinterpret_cast<void*>(&NextSymbol), &ours) != 0 &&
         dladdr(function, &first) != 0 && ours.dli_fbase != first.dli_fbase;
}

// A hook may be called in a signal handler or a forked child, where the loader's lock can be held.
__attribute__((constructor)) void ResolveAll() {
  real::socket();
  real::bind();
  real::connect();
  real::listen();
  real::accept();
  real::accept4();
  real::getsockname();
  real::getpeername();
  real::getsockopt();
  real::setsockopt();
  real::send();
  real::sendto();
  real::sendmsg();
  real::sendmmsg();
  real::recv();
  real::recvfrom();
  real::recvmsg();
  real::recvmmsg();
  real::shutdown();
  real::ioctl();
  real::epoll_ctl();
  real::close();
  real::execve();
  real::execvpe();
  real::execveat();
  real::fexecve();
  real::posix_spawn();
  real::posix_spawnp();
  real::system();
  real::popen();
  const int saved = errno;
  socket_is_hidden = IsHidden();
  errno = saved;
}

}  // namespace

bool real::SocketIsHidden() { return socket_is_hidden; }

}  // namespace mptcptls::shim
