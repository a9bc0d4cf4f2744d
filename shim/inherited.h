// Listeners that a process was started with by one that we are not loaded into: systemd's socket
// activation (sd_listen_fds(3)). Such a program never calls listen(), so what it has is captured
// when it begins to wait there: at accept() or epoll_ctl(). Not when it starts, as it may be a
// shell that goes on to be another program, and its TLS library may be loaded later.
#ifndef MPTCPTLS_SHIM_INHERITED_H_
#define MPTCPTLS_SHIM_INHERITED_H_

namespace mptcptls::shim {

// Captures `fd` if it is such a listener, once: where that is not possible (no engine) it stays the
// kernel's, MPTCPTLS_REQUIRE or not. Only in the process that LISTEN_PID names: the listener's
// flags are shared with its children, which cannot tell its state. Keeps errno.
void AdoptInherited(int fd);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_INHERITED_H_
