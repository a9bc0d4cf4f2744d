// MSG_MORE on a captured socket: a unix socket ignores it, so the engine is told
// (engine/control.h).
#ifndef MPTCPTLS_SHIM_SEND_MORE_H_
#define MPTCPTLS_SHIM_SEND_MORE_H_

#include <sys/socket.h>

namespace mptcptls::shim {

// sendmsg() of `message`, which has no address, with MSG_MORE among the flags. Where it cannot be
// told the bytes are sent without.
ssize_t SendMore(int fd, const msghdr& message, int flags);
ssize_t SendMore(int fd, const void* bytes, size_t size, int flags);  // send()

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_SEND_MORE_H_
