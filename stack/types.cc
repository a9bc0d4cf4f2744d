#include "stack/types.h"

#include <arpa/inet.h>

#include <algorithm>

namespace mptcptls {

IpAddress IpAddress::V4(uint32_t host_order) {
  IpAddress a;
  for (size_t i = 0; i < 4; ++i) a.bytes[i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
  return a;
}

IpAddress IpAddress::V4(ByteSpan four_bytes) {
  IpAddress a;
  std::copy_n(four_bytes.begin(), 4, a.bytes.begin());
  return a;
}

IpAddress IpAddress::V6(ByteSpan sixteen_bytes) {
  IpAddress a;
  a.family = Family::kV6;
  std::copy_n(sixteen_bytes.begin(), 16, a.bytes.begin());
  return a;
}

std::optional<IpAddress> IpAddress::Parse(std::string_view text) {
  const std::string terminated(text);
  IpAddress a;
  if (inet_pton(AF_INET, terminated.c_str(), a.bytes.data()) == 1) return a;
  a.family = Family::kV6;
  if (inet_pton(AF_INET6, terminated.c_str(), a.bytes.data()) == 1) return a;
  return std::nullopt;
}

bool IpAddress::IsUnspecified() const {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

bool IpAddress::IsLoopback() const {
  if (family == Family::kV4) return bytes[0] == 127;
  return bytes[15] == 1 &&
         std::all_of(bytes.begin(), bytes.begin() + 15, [](uint8_t b) { return b == 0; });
}

bool IpAddress::IsLinkLocal() const {
  if (family == Family::kV4) return bytes[0] == 169 && bytes[1] == 254;
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

bool IpAddress::IsMulticast() const {
  return family == Family::kV4 ? (bytes[0] & 0xf0) == 0xe0 : bytes[0] == 0xff;
}

IpAddress IpAddress::Unmapped() const {
  static constexpr uint8_t kPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (family == Family::kV6 && std::memcmp(bytes.data(), kPrefix, sizeof kPrefix) == 0)
    return V4(ByteSpan(bytes).subspan(12, 4));
  return *this;
}

std::string IpAddress::ToString() const {
  char text[INET6_ADDRSTRLEN];
  inet_ntop(family == Family::kV4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
  return text;
}

std::string Endpoint::ToString() const {
  const std::string host =
      address.family == Family::kV4 ? address.ToString() : "[" + address.ToString() + "]";
  return host + ":" + std::to_string(port);
}

}  // namespace mptcptls
