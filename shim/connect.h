#ifndef MPTCPTLS_SHIM_CONNECT_H_
#define MPTCPTLS_SHIM_CONNECT_H_

#include <sys/socket.h>

#include "engine/control.h"

namespace mptcptls::shim {

// What the connect() hook does. -1: the kernel's connect() decides; else 0 or an errno.
int Connect(int fd, const sockaddr* address, socklen_t length);

// The errno that TCP would give for an error that the kernel reported on a captured socket: a
// failed connect() shows as ECONNRESET there, and the engine knows why.
int TranslateError(const control::Name& name, int error);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_CONNECT_H_
