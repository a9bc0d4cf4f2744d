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

sockaddr_storage ToSockaddr(const Endpoint& endpoint, bool mapped) {
  sockaddr_storage storage{};
  const auto& bytes = endpoint.address.bytes;
  if (endpoint.address.family == Family::kV4 && !mapped) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    memcpy(&v4.sin_addr, bytes.data(), 4);
    memcpy(&storage, &v4, sizeof v4);
    return storage;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(endpoint.port);
  if (endpoint.address.family == Family::kV6) {
    memcpy(&v6.sin6_addr, bytes.data(), 16);
  } else if (!endpoint.address.IsUnspecified()) {
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(v6.sin6_addr.s6_addr + 12, bytes.data(), 4);
  }
  memcpy(&storage, &v6, sizeof v6);
  return storage;
}

std::optional<Endpoint> LocalEndpoint(int socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return std::nullopt;
  return ToEndpoint(address);
}

}  // namespace mptcptls
