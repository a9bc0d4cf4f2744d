// getsockopt(SOL_MPTCP) on captured sockets: the engine tells all it knows, and what of it goes
// where in the program's memory is decided as the kernel does (net/mptcp/sockopt.c).
#ifndef MPTCPTLS_SHIM_MPTCP_OPTIONS_H_
#define MPTCPTLS_SHIM_MPTCP_OPTIONS_H_

#include <sys/socket.h>

#include "engine/control.h"

namespace mptcptls::shim {

// 0 or an errno; `name` is that of the captured `fd`. `value` may be nullptr where `*length` is 0.
int GetMptcpOption(int fd, const control::Name& name, int option, void* value, socklen_t* length);

// The same of a fresh TCP socket in place of an MPTCP one (mptcp_socket.h).
int GetMptcpOptionInPlace(int option, void* value, socklen_t* length);

// TCP_IS_MPTCP: the connection speaks MPTCP, or will ask for it.
bool SpeaksMptcp(int fd, const control::Name& name);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_MPTCP_OPTIONS_H_
