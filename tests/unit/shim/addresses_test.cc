#include "shim/addresses.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>
#include <string>

namespace mptcptls::shim {
namespace {

sockaddr_in V4(const char* text, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

sockaddr_in6 V6(const char* text, uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  inet_pton(AF_INET6, text, &address.sin6_addr);
  return address;
}

template <typename Address>
bool Convert(const Address& address, socklen_t length, control::Address* out) {
  return ToControl(reinterpret_cast<const sockaddr*>(&address), length, out);
}

// The same bytes after both ways.
template <typename Address>
void ExpectRoundTrip(const Address& address, bool six) {
  control::Address ours;
  ASSERT_TRUE(Convert(address, sizeof address, &ours));
  sockaddr_storage back;
  ASSERT_EQ(FromControl(ours, six, &back), sizeof address);
  EXPECT_EQ(memcmp(&back, &address, sizeof address), 0);
}

TEST(Addresses, RoundTrips) {
  ExpectRoundTrip(V4("192.0.2.1", 443), false);
  ExpectRoundTrip(V4("0.0.0.0", 0), false);
  ExpectRoundTrip(V6("2001:db8::1", 65535), true);
  ExpectRoundTrip(V6("::", 80), true);
  ExpectRoundTrip(V6("::ffff:192.0.2.1", 443), true);
}

TEST(Addresses, MappedIsFour) {
  control::Address address;
  ASSERT_TRUE(Convert(V6("::ffff:192.0.2.1", 443), sizeof(sockaddr_in6), &address));
  EXPECT_EQ(address.family, 4);
  EXPECT_EQ(address.port, 443);
  EXPECT_EQ(address.bytes[3], 1);
}

TEST(Addresses, ShortOrForeignIsRefused) {
  control::Address address;
  EXPECT_FALSE(ToControl(nullptr, 16, &address));
  EXPECT_FALSE(Convert(V4("192.0.2.1", 1), 1, &address));
  EXPECT_FALSE(Convert(V4("192.0.2.1", 1), sizeof(sockaddr_in) - 1, &address));
  EXPECT_TRUE(Convert(V6("2001:db8::1", 1), 24, &address));
  EXPECT_FALSE(Convert(V6("2001:db8::1", 1), 23, &address));
  sockaddr_storage other{};
  other.ss_family = AF_UNIX;
  EXPECT_FALSE(Convert(other, sizeof other, &address));
}

TEST(Addresses, CopyOutTruncatesAndTellsTheWholeLength) {
  sockaddr_storage from;
  const socklen_t size = FromControl(control::Address(), true, &from);
  char room[sizeof(sockaddr_in6) + 1];
  memset(room, 'x', sizeof room);
  socklen_t length = 4;
  CopyOut(from, size, reinterpret_cast<sockaddr*>(room), &length);
  EXPECT_EQ(length, sizeof(sockaddr_in6));
  EXPECT_EQ(room[4], 'x');
  CopyOut(from, size, nullptr, nullptr);
}

TEST(Names, RoundTripThroughTheKernel) {
  for (const control::Role role :
       {control::Role::kInitiator, control::Role::kResponder, control::Role::kListener}) {
    control::Name name;
    name.role = role;
    name.mapped = role == control::Role::kListener;
    name.id = 0xfedcba9876543210;
    ASSERT_TRUE(Convert(V4("192.0.2.1", 443), sizeof(sockaddr_in), &name.local));
    ASSERT_TRUE(Convert(V6("2001:db8::9", 5), sizeof(sockaddr_in6), &name.remote));
    sockaddr_un address;
    const socklen_t length = control::EncodeName(name, &address);
    EXPECT_LE(length, sizeof address);
    control::Name back;
    ASSERT_TRUE(control::DecodeName(address, length, &back));
    EXPECT_EQ(back.role, name.role);
    EXPECT_EQ(back.mapped, name.mapped);
    EXPECT_EQ(back.id, name.id);
    EXPECT_EQ(memcmp(&back.local, &name.local, sizeof name.local), 0);
    EXPECT_EQ(memcmp(&back.remote, &name.remote, sizeof name.remote), 0);
  }
}

TEST(Names, EveryChangedByteIsRefusedOrDecodes) {
  sockaddr_un address;
  const socklen_t length = control::EncodeName(control::Name(), &address);
  for (size_t i = 0; i < control::kNameLength; ++i) {
    sockaddr_un changed = address;
    changed.sun_path[1 + i] = '~';
    control::Name name;
    EXPECT_FALSE(control::DecodeName(changed, length, &name)) << i;
    EXPECT_FALSE(control::DecodeName(address, static_cast<socklen_t>(i), &name)) << i;
  }
}

}  // namespace
}  // namespace mptcptls::shim
