// The one capture policy of the program's side: which destinations and ports are worth asking the
// engine for. Pure: the environment and the host's state are parameters.
#ifndef MPTCPTLS_SHIM_POLICY_H_
#define MPTCPTLS_SHIM_POLICY_H_

#include "engine/control.h"

namespace mptcptls::shim {

enum class Purpose { kConnect, kListen };

// MPTCPTLS_BYPASS: a list, separated by commas or spaces, of addresses, networks ("10.0.0.0/8",
// "fd00::/8") and ports (":53"); what matches any of them stays with the kernel. Entries that
// cannot be read match nothing. `list` may be nullptr.
bool Bypassed(const char* list, const control::Address& address);

// False: the kernel's TCP, in any case. `local`: loopback is captured too (MPTCPTLS_CAPTURE=all).
bool Capturable(Purpose purpose, const control::Address& address, bool local, const char* bypass);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_POLICY_H_
