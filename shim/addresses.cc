#include "shim/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

namespace mptcptls::shim {

bool ToControl(const sockaddr* address, socklen_t length, control::Address* out) {
  *out = control::Address();
  if (address == nullptr || length < sizeof address->sa_family) return false;
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4;
    memcpy(&v4, address, sizeof v4);
    out->family = 4;
    out->port = ntohs(v4.sin_port);
    memcpy(out->bytes, &v4.sin_addr, 4);
    return true;
  }
  // 24 bytes are enough for the kernel (RFC 2133's sockaddr_in6, without a scope).
  if (address->sa_family != AF_INET6 || length < offsetof(sockaddr_in6, sin6_scope_id))
    return false;
  sockaddr_in6 v6;
  memset(&v6, 0, sizeof v6);
  memcpy(&v6, address, length < sizeof v6 ? length : sizeof v6);
  out->port = ntohs(v6.sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
    out->family = 4;
    memcpy(out->bytes, v6.sin6_addr.s6_addr + 12, 4);
  } else {
    out->family = 6;
    memcpy(out->bytes, &v6.sin6_addr, 16);
  }
  return true;
}

socklen_t FromControl(const control::Address& address, bool six, sockaddr_storage* out) {
  memset(out, 0, sizeof *out);
  if (!six && address.family != 6) {
    sockaddr_in v4;
    memset(&v4, 0, sizeof v4);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    memcpy(&v4.sin_addr, address.bytes, 4);
    memcpy(out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6;
  memset(&v6, 0, sizeof v6);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(address.port);
  if (address.family == 4) {
    v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(v6.sin6_addr.s6_addr + 12, address.bytes, 4);
  } else {
    memcpy(&v6.sin6_addr, address.bytes, 16);
  }
  memcpy(out, &v6, sizeof v6);
  return sizeof v6;
}

void CopyOut(const sockaddr_storage& from, socklen_t from_length, sockaddr* to, socklen_t* length) {
  if (length == nullptr) return;
  if (to != nullptr) memcpy(to, &from, *length < from_length ? *length : from_length);
  *length = from_length;
}

}  // namespace mptcptls::shim
