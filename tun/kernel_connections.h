// The kernel's own TCP connections, which steering must leave to it where a listener was the
// kernel's before it came to the engine, and its listeners, whose clients are theirs.
#ifndef MPTCPTLS_TUN_KERNEL_CONNECTIONS_H_
#define MPTCPTLS_TUN_KERNEL_CONNECTIONS_H_

#include <optional>
#include <set>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

// Those with this local port, half-open ones and TIME-WAITs included, but none over loopback. Of
// this network namespace; nullopt when the kernel does not tell (sock_diag(7)).
std::optional<std::set<FourTuple>> KernelConnectionsOn(uint16_t port);

// Where sockets of the kernel's listen on this port; nothing when the kernel does not tell.
std::vector<Endpoint> KernelListenersOn(uint16_t port);

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_KERNEL_CONNECTIONS_H_
