// Sockets that a program made with IPPROTO_MPTCP: captured as TCP's are, and SO_PROTOCOL goes on
// saying what they were made with. Where the kernel has no MPTCP, or it is switched off, a TCP
// socket takes their place, if there is an engine to give it to.
#ifndef MPTCPTLS_SHIM_MPTCP_SOCKET_H_
#define MPTCPTLS_SHIM_MPTCP_SOCKET_H_

#include <stdint.h>

namespace mptcptls::shim {

// After the kernel refused (errno) to make an IPPROTO_MPTCP socket of `domain` and `type`: the TCP
// socket in its place, or -1 with the same errno.
int SocketInPlace(int domain, int type);

// A socket of the kernel that was made with IPPROTO_MPTCP, or is in place of one. Keeps errno.
bool MadeAsMptcp(int fd);
// Of these: a TCP socket in place of one. Keeps errno.
bool InPlaceOfMptcp(int fd);

// A fresh socket, close-on-exec, -1 without one. `mptcp`: as the program asked for MPTCP.
int FreshSocket(int domain, bool mptcp);

// SO_MAX_PACING_RATE of a TCP socket in place of one: the mark that every fork and holder sees. The
// program's own value has no use there and is not taken; it reads that there is no limit.
inline constexpr uint64_t kMptcpMark = 0x6d70746370000000;  // bytes per second: none in effect

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_MPTCP_SOCKET_H_
