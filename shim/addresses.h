// Between the program's socket addresses and the control protocol's. Pure.
#ifndef MPTCPTLS_SHIM_ADDRESSES_H_
#define MPTCPTLS_SHIM_ADDRESSES_H_

#include <sys/socket.h>

#include "engine/control.h"

namespace mptcptls::shim {

// False when `address` is no whole AF_INET or AF_INET6 address. Mapped addresses become family 4.
bool ToControl(const sockaddr* address, socklen_t length, control::Address* out);

// Writes a sockaddr_in, or a sockaddr_in6 when `six` (the program's socket is AF_INET6); returns
// its length. Family 0 is the unspecified address.
socklen_t FromControl(const control::Address& address, bool six, sockaddr_storage* out);

// As the kernel does it: copies what fits, reports the whole length.
void CopyOut(const sockaddr_storage& from, socklen_t from_length, sockaddr* to, socklen_t* length);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_ADDRESSES_H_
