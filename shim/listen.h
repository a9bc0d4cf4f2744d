#ifndef MPTCPTLS_SHIM_LISTEN_H_
#define MPTCPTLS_SHIM_LISTEN_H_

namespace mptcptls::shim {

inline constexpr int kKernelListens = -1;

// What the listen() hook does. kKernelListens: the kernel's listen() decides; 0: the number `fd` is
// the captured listener; else an errno.
int Listen(int fd, int backlog);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_LISTEN_H_
