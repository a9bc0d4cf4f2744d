#include "shim/policy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <string>

namespace mptcptls::shim {
namespace {

control::Address At(const std::string& text, uint16_t port = 443) {
  control::Address address;
  address.family = text.find(':') == std::string::npos ? 4 : 6;
  address.port = port;
  EXPECT_EQ(inet_pton(address.family == 4 ? AF_INET : AF_INET6, text.c_str(), address.bytes), 1);
  return address;
}

TEST(Bypass, NetworksAddressesAndPorts) {
  const struct {
    const char* list;
    const char* address;
    uint16_t port;
    bool bypassed;
  } kCases[] = {
      {nullptr, "192.0.2.1", 443, false},
      {"", "192.0.2.1", 443, false},
      {" , ,", "192.0.2.1", 443, false},
      {"192.0.2.1", "192.0.2.1", 443, true},
      {"192.0.2.1", "192.0.2.2", 443, false},
      {"10.0.0.0/8,192.0.2.0/24", "192.0.2.77", 443, true},
      {"192.0.2.0/25", "192.0.2.128", 443, false},
      {"192.0.2.128/25", "192.0.2.129", 443, true},
      {"0.0.0.0/0", "192.0.2.1", 443, true},
      {"0.0.0.0/0", "2001:db8::1", 443, false},
      {"::/0", "2001:db8::1", 443, true},
      {"fd00::/8", "fd12::1", 443, true},
      {"fd00::/8", "fe12::1", 443, false},
      {"2001:db8::/33", "2001:db8:8000::1", 443, false},
      {"::1", "::1", 443, true},
      {":53", "192.0.2.1", 53, true},
      {":53", "192.0.2.1", 530, false},
      {":53", "2001:db8::1", 53, true},
      {":99999 :-1 : :5x nonsense 192.0.2.1/33 192.0.2.1/ 192.0.2.1/x", "192.0.2.1", 443, false},
      {"nonsense 192.0.2.1", "192.0.2.1", 443, true},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Bypassed(c.list, At(c.address, c.port)), c.bypassed)
        << (c.list == nullptr ? "(none)" : c.list) << " " << c.address;
  }
}

TEST(Bypass, TooLongAnEntryMatchesNothing) {
  const std::string list = std::string(200, '1') + ",192.0.2.1";
  EXPECT_TRUE(Bypassed(list.c_str(), At("192.0.2.1")));
  EXPECT_FALSE(Bypassed(std::string(200, '1').c_str(), At("192.0.2.1")));
}

TEST(Capture, WhatLeavesThisHost) {
  const struct {
    const char* address;
    bool connect;
    bool listen;
  } kCases[] = {
      {"192.0.2.1", true, true},         {"2001:db8::1", true, true},
      {"fd00::1", true, true},           {"127.0.0.1", false, false},
      {"127.9.9.9", false, false},       {"::1", false, false},
      {"0.0.0.0", false, true},          {"::", false, true},
      {"169.254.1.1", false, false},     {"fe80::1", false, false},
      {"febf::1", false, false},         {"fec0::1", true, true},
      {"224.0.0.1", false, false},       {"ff02::1", false, false},
      {"255.255.255.255", false, false}, {"223.255.255.255", true, true},
      {"0.1.2.3", false, false},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Capturable(Purpose::kConnect, At(c.address), false, nullptr), c.connect) << c.address;
    EXPECT_EQ(Capturable(Purpose::kListen, At(c.address), false, nullptr), c.listen) << c.address;
    const std::string address = c.address;
    const bool loopback = address == "::1" || address.starts_with("127.");
    EXPECT_EQ(Capturable(Purpose::kConnect, At(c.address), true, nullptr), c.connect || loopback)
        << c.address;
    EXPECT_EQ(Capturable(Purpose::kListen, At(c.address), true, nullptr), c.listen || loopback)
        << c.address;
  }
}

TEST(Capture, NoFamilyNoPort) {
  EXPECT_FALSE(Capturable(Purpose::kConnect, control::Address(), false, nullptr));
  EXPECT_FALSE(Capturable(Purpose::kListen, control::Address(), false, nullptr));
  EXPECT_FALSE(Capturable(Purpose::kConnect, At("192.0.2.1", 0), false, nullptr));
}

TEST(Capture, BypassHoldsForListenersToo) {
  EXPECT_FALSE(Capturable(Purpose::kListen, At("0.0.0.0", 53), false, ":53"));
  EXPECT_FALSE(Capturable(Purpose::kConnect, At("192.0.2.1", 53), false, ":53"));
}

}  // namespace
}  // namespace mptcptls::shim
