// What `mptcptls cache clear` makes of its argument.
#include "engine/command_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace mptcptls::command {
namespace {

using testing::HasSubstr;

TEST(CommandCache, DestinationsAreAddressesWithOrWithoutPort) {
  const auto v4 = ToDestination("192.0.2.1");
  ASSERT_TRUE(v4.ok());
  EXPECT_EQ(v4->family, 4);
  EXPECT_EQ(v4->port, 0);
  EXPECT_EQ(memcmp(v4->bytes, "\xc0\x00\x02\x01", 4), 0);
  const auto port = ToDestination("192.0.2.1:65535");
  ASSERT_TRUE(port.ok());
  EXPECT_EQ(port->family, 4);
  EXPECT_EQ(port->port, 65535);
  const auto v6 = ToDestination("2001:db8::1");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->family, 6);
  EXPECT_EQ(v6->port, 0);
  EXPECT_EQ(v6->bytes[15], 1);
  const auto v6_port = ToDestination("[2001:db8::1]:443");
  ASSERT_TRUE(v6_port.ok());
  EXPECT_EQ(v6_port->family, 6);
  EXPECT_EQ(v6_port->port, 443);
  EXPECT_TRUE(ToDestination("[::1]").ok());
}

TEST(CommandCache, WhatIsNoDestinationIsAnErrorWithARemedy) {
  for (const char* const text :
       {"", ":", ":443", "server.example", "192.0.2", "192.0.2.1:", "192.0.2.1:0",
        "192.0.2.1:65536", "192.0.2.1:x", "192.0.2.1:443:1", "[2001:db8::1", "[2001:db8::1]443",
        "[2001:db8::1]:", "[]", "[192.0.2.1]x", "\x1b[31m"}) {
    const auto result = ToDestination(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("192.0.2.1:443")) << text;
    EXPECT_EQ(std::string(result.status().message()).find('\x1b'), std::string::npos);
  }
}

}  // namespace
}  // namespace mptcptls::command
