#include "tun/nft_ruleset.h"

#include <gtest/gtest.h>

namespace mptcptls {
namespace {

std::string Table(const std::string& rules, const std::string& policy = "accept",
                  const std::string& hook = "input") {
  return "table inet fw {\n\tset s {\n\t\ttype ipv4_addr\n\t}\n\tchain in {\n\t\ttype filter "
         "hook " +
         hook + " priority filter; policy " + policy + ";\n\t\t" + rules +
         "\n\t}\n\tchain deny {\n\t\tcounter drop\n\t}\n\tchain allow {\n\t\taccept\n\t}\n}\n";
}

TEST(FindInputDrop, NothingThatDrops) {
  EXPECT_EQ(FindInputDrop(""), "");
  EXPECT_EQ(FindInputDrop(Table("tcp dport 22 accept")), "");
  EXPECT_EQ(FindInputDrop(Table("jump allow")), "");
  EXPECT_EQ(FindInputDrop(Table("tcp dport { 22, 80 } counter")), "");
  EXPECT_EQ(FindInputDrop(Table("iifname \"drop\" log prefix \"reject \" accept comment \"drop\"")),
            "");
  EXPECT_EQ(FindInputDrop(Table("ip saddr @drop accept")), "");
}

TEST(FindInputDrop, OtherHooksAndFamiliesMayDrop) {
  EXPECT_EQ(FindInputDrop(Table("", "drop", "forward")), "");
  EXPECT_EQ(FindInputDrop(Table("drop", "accept", "output")), "");
  std::string bridge = Table("", "drop");
  EXPECT_EQ(FindInputDrop(bridge.replace(6, 4, "bridge")), "");
}

TEST(FindInputDrop, EveryWayToDrop) {
  const std::string reason = "nftables chain inet fw in can drop input";
  EXPECT_EQ(FindInputDrop(Table("", "drop")), reason);
  EXPECT_EQ(FindInputDrop(Table("tcp dport 443 drop")), reason);
  EXPECT_EQ(FindInputDrop(Table("ct state invalid reject with tcp reset")), reason);
  EXPECT_EQ(FindInputDrop(Table("jump deny")), reason);
  EXPECT_EQ(FindInputDrop(Table("tcp dport vmap { 22 : accept, 443 : goto deny }")), reason);
  EXPECT_EQ(FindInputDrop(Table("tcp dport vmap { 22 : accept, 443 : drop }")), reason);
  EXPECT_EQ(FindInputDrop(Table("tcp dport vmap @verdicts")), reason);
  EXPECT_EQ(FindInputDrop(Table("queue to 0")), reason);
  EXPECT_EQ(FindInputDrop(Table("xt target \"REJECT\"")), reason);
  EXPECT_EQ(FindInputDrop(Table("ip saddr @s drop", "accept", "prerouting")), reason);
}

TEST(FindInputDrop, ChainsThatJumpInACircle) {
  EXPECT_EQ(
      FindInputDrop("table ip t { chain a { type filter hook input priority 0; policy accept; "
                    "jump b } chain b { jump c } chain c { jump b } }"),
      "");
}

TEST(FindInputDrop, TornText) {
  EXPECT_EQ(FindInputDrop("table inet fw {"), "");
  EXPECT_EQ(FindInputDrop("table inet fw { chain in {"), "");
  EXPECT_EQ(FindInputDrop("table inet fw { chain in { type filter hook"), "");
  EXPECT_EQ(FindInputDrop("table inet \"x"), "");
}

}  // namespace
}  // namespace mptcptls
