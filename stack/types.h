// Time, addresses and endpoints: the vocabulary every folder but the shim shares.
//
// Time is injected (ARCHITECTURE.md 10): `Time` counts nanoseconds from an origin that the caller
// chooses (the engine: CLOCK_MONOTONIC, the simulator: 0). Nothing in stack/ reads a clock.
#ifndef MPTCPTLS_STACK_TYPES_H_
#define MPTCPTLS_STACK_TYPES_H_

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mptcptls {

using Duration = std::chrono::nanoseconds;
struct InjectedClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<InjectedClock>;
  static constexpr bool is_steady = true;
};
using Time = InjectedClock::time_point;
inline constexpr Time kNever = Time::max();

using ByteSpan = std::span<const uint8_t>;

enum class Family : uint8_t { kV4 = 4, kV6 = 6 };

// An IPv4 or IPv6 address in network byte order. IPv4 occupies the first four bytes; the rest is
// zero, so that the defaulted comparison is right. Never an IPv4-mapped IPv6 address: whoever takes
// an address in (shim, netlink, packets) calls Unmapped().
struct IpAddress {
  Family family = Family::kV4;
  std::array<uint8_t, 16> bytes{};

  static IpAddress V4(uint32_t host_order);
  static IpAddress V4(ByteSpan four_bytes);
  static IpAddress V6(ByteSpan sixteen_bytes);
  // Textual form as inet_pton takes it; nullopt when it is neither IPv4 nor IPv6.
  static std::optional<IpAddress> Parse(std::string_view text);

  size_t size() const { return family == Family::kV4 ? 4 : 16; }
  ByteSpan span() const { return {bytes.data(), size()}; }
  bool IsUnspecified() const;
  bool IsLoopback() const;   // 127.0.0.0/8, ::1
  bool IsLinkLocal() const;  // 169.254.0.0/16, fe80::/10
  bool IsMulticast() const;
  IpAddress Unmapped() const;  // ::ffff:a.b.c.d becomes a.b.c.d, all else stays
  std::string ToString() const;

  auto operator<=>(const IpAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.family, a.bytes);
  }
};

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;  // host byte order

  std::string ToString() const;  // 192.0.2.1:443, [2001:db8::1]:443
  auto operator<=>(const Endpoint&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Endpoint& e) {
    return H::combine(std::move(h), e.address, e.port);
  }
};

// A subflow's identity on the wire, seen from this host.
struct FourTuple {
  Endpoint local;
  Endpoint remote;

  auto operator<=>(const FourTuple&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const FourTuple& t) {
    return H::combine(std::move(h), t.local, t.remote);
  }
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TYPES_H_
