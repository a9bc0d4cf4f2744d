// Programs put a fresh TCP socket into an epoll set before connect() or listen() (nginx, Asio), and
// dup3() over its number takes it out again. So registrations of fresh sockets are remembered from
// socket() to connect() or listen(), and those of listeners that the program was given
// (inherited.h). What is remembered is never trusted: only a registration that the kernel still
// removes is made again.
#ifndef MPTCPTLS_SHIM_EPOLL_H_
#define MPTCPTLS_SHIM_EPOLL_H_

namespace mptcptls::shim {

// A socket() that gave `fd` began.
void TrackFresh(int fd);

// dup3(source, fd) with the registrations of `fd` made again; ends the tracking when `final`.
// False with errno, and nothing changed.
bool ReplaceDescriptor(int source, int fd, bool final);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_EPOLL_H_
