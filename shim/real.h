// The functions behind our hooks: libc's own, found with dlsym(RTLD_NEXT) when we are loaded, or at
// the first call if a hook is called before that. No lock: two threads that race store the same
// pointer.
#ifndef MPTCPTLS_SHIM_REAL_H_
#define MPTCPTLS_SHIM_REAL_H_

#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#define MPTCPTLS_HOOK extern "C" __attribute__((visibility("default")))

namespace mptcptls::shim {

// The next definition of `name` after ours, nullptr when there is none.
void* NextSymbol(const char* name);

template <typename Function>
Function Resolve(std::atomic<void*>* slot, const char* name) {
  void* found = slot->load(std::memory_order_acquire);
  if (found == nullptr) {
    found = NextSymbol(name);
    slot->store(found, std::memory_order_release);
  }
  return reinterpret_cast<Function>(found);
}

}  // namespace mptcptls::shim

// real::connect()(fd, address, length)
#define MPTCPTLS_REAL(name)                                                                        \
  namespace mptcptls::shim::real {                                                                 \
  inline std::atomic<void*> slot_##name;                                                           \
  inline auto name() { return ::mptcptls::shim::Resolve<decltype(&::name)>(&slot_##name, #name); } \
  }

namespace mptcptls::shim::real {
// A library before ours (mptcpize's) makes the program's sockets, unseen by us. Known since we were
// loaded.
bool SocketIsHidden();
}  // namespace mptcptls::shim::real

MPTCPTLS_REAL(socket)
MPTCPTLS_REAL(bind)
MPTCPTLS_REAL(connect)
MPTCPTLS_REAL(listen)
MPTCPTLS_REAL(accept)
MPTCPTLS_REAL(accept4)
MPTCPTLS_REAL(getsockname)
MPTCPTLS_REAL(getpeername)
MPTCPTLS_REAL(getsockopt)
MPTCPTLS_REAL(setsockopt)
MPTCPTLS_REAL(send)
MPTCPTLS_REAL(sendto)
MPTCPTLS_REAL(sendmsg)
MPTCPTLS_REAL(sendmmsg)
MPTCPTLS_REAL(recv)
MPTCPTLS_REAL(recvfrom)
MPTCPTLS_REAL(recvmsg)
MPTCPTLS_REAL(recvmmsg)
MPTCPTLS_REAL(shutdown)
MPTCPTLS_REAL(ioctl)
MPTCPTLS_REAL(epoll_ctl)
MPTCPTLS_REAL(close)
MPTCPTLS_REAL(execve)
MPTCPTLS_REAL(execvpe)
MPTCPTLS_REAL(execveat)
MPTCPTLS_REAL(fexecve)
MPTCPTLS_REAL(posix_spawn)
MPTCPTLS_REAL(posix_spawnp)
MPTCPTLS_REAL(system)
MPTCPTLS_REAL(popen)

#endif  // MPTCPTLS_SHIM_REAL_H_
