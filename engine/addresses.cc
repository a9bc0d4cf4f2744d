#include "engine/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace mptcptls {

std::optional<Endpoint> ToEndpoint(const control::Address& address) {
  Endpoint endpoint;
  endpoint.port = address.port;
  if (address.family == 4) {
    endpoint.address = IpAddress::V4(ByteSpan(address.bytes, 4));
  } else if (address.family == 6) {
    endpoint.address = IpAddress::V6(ByteSpan(address.bytes, 16)).Unmapped();
  } else {
    return std::nullopt;
  }
  return endpoint;
}

control::Address ToControl(const Endpoint& endpoint) {
  control::Address address;
  address.family = static_cast<uint8_t>(endpoint.address.family);
  address.port = endpoint.port;
  memcpy(address.bytes, endpoint.address.bytes.data(), sizeof address.bytes);
  return address;
}

std::optional<Endpoint> ToEndpoint(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    memcpy(&v4, &address, sizeof v4);
    return Endpoint{IpAddress::V4(ntohl(v4.sin_addr.s_addr)), ntohs(v4.sin_port)};
  }
  if (address.ss_family != AF_INET6) return std::nullopt;
  sockaddr_in6 v6;
  memcpy(&v6, &address, sizeof v6);
  return Endpoint{IpAddress::V6(ByteSpan(v6.sin6_addr.s6_addr, 16)).Unmapped(),
                  ntohs(v6.sin6_port)};
}

std::optional<Endpoint> LocalEndpoint(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return std::nullopt;
  return ToEndpoint(address);
}

}  // namespace mptcptls
