// Addresses as the control protocol, the stack and the kernel write them.
#ifndef MPTCPTLS_ENGINE_ADDRESSES_H_
#define MPTCPTLS_ENGINE_ADDRESSES_H_

#include <sys/socket.h>

#include <optional>

#include "engine/control.h"
#include "stack/types.h"

namespace mptcptls {

std::optional<Endpoint> ToEndpoint(const control::Address& address);
control::Address ToControl(const Endpoint& endpoint);
// Of a socket address of the kernel's; IPv4-mapped addresses become IPv4.
std::optional<Endpoint> ToEndpoint(const sockaddr_storage& address);
// `mapped`: IPv4 as IPv4-mapped IPv6, as an AF_INET6 socket shows it.
sockaddr_storage ToSockaddr(const Endpoint& endpoint, bool mapped);
// getsockname(), nullopt when the socket has no internet address.
std::optional<Endpoint> LocalEndpoint(int socket);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_ADDRESSES_H_
