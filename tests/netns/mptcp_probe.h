// What the MPTCP probe's two ends say of a socket: the options of linux/mptcp.h, with every size
// that a program may give.
#ifndef MPTCPTLS_TESTS_NETNS_MPTCP_PROBE_H_
#define MPTCPTLS_TESTS_NETNS_MPTCP_PROBE_H_

#include <cstdint>

#include "tests/netns/probe.h"

namespace mptcptls::probe {

inline constexpr int kIpprotoMptcp = 262;

// A stream socket; said when it fails.
int Open(int family, int protocol);
// Subflows that MPTCP_TCPINFO says are established; -1 where this is no MPTCP socket.
int Established(int fd);

// Results, lengths and errors of all options, for sizes that are right and wrong.
void SayShapes(int fd);
// What must hold after `sent` and `received` bytes, all of them acknowledged; and the subflows.
void SayState(int fd, uint64_t sent, uint64_t received);
// For the client of a server that sent at least `received` bytes: MPTCP_FULL_INFO, in numbers.
void SayTotals(int fd, uint64_t received);

}  // namespace mptcptls::probe

#endif  // MPTCPTLS_TESTS_NETNS_MPTCP_PROBE_H_
