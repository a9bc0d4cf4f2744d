// close(): the engine hears at once that a captured listener is gone, so that who connects next is
// refused, as by TCP, and not accepted until the engine looks again (captured_listener.h).
#ifndef MPTCPTLS_SHIM_CLOSE_H_
#define MPTCPTLS_SHIM_CLOSE_H_

namespace mptcptls::shim {

// The number `fd` is a captured listener: its close() is worth a look. A hint, which other ways to
// close it, dup() and exec do not know.
void MarkListener(int fd);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_CLOSE_H_
