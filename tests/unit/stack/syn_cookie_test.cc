// What a SYN cookie keeps, and which ones are taken.
#include "stack/syn_cookie.h"

#include <gmock/gmock.h>

namespace mptcptls {
namespace {

using namespace std::chrono_literals;

class Dice : public Environment {
 public:
  void Output(const OutgoingPacket&) override {}
  void Random(std::span<uint8_t> out) override {
    for (uint8_t& byte : out) byte = next_++;
  }
  std::optional<uint32_t> RouteMtu(const IpAddress&, const IpAddress&) override { return 1500; }
  std::optional<IpAddress> PreferredSource(const IpAddress&) override { return std::nullopt; }
  std::span<const uint16_t> SourcePorts(bool) override { return {}; }

 private:
  uint8_t next_ = 1;
};

Segment Syn(uint16_t port = 4000) {
  Segment syn;
  syn.tuple = {{IpAddress::V4(0x0a000001u), 443}, {IpAddress::V4(0x0a000002u), port}};
  syn.syn = true;
  syn.seq = Seq{0xffffffff};
  syn.options.mss = 1460;
  syn.options.window_scale = 7;
  syn.options.sack_permitted = true;
  return syn;
}

Segment AckOf(const Segment& syn, Seq isn) {
  Segment ack;
  ack.tuple = syn.tuple;
  ack.has_ack = true;
  ack.seq = syn.seq + 1;
  ack.ack = isn + 1;
  return ack;
}

TEST(SynCookie, KeepsWhatTheSynSaid) {
  Dice dice;
  SynCookies cookies(&dice);
  struct Case {
    std::optional<uint16_t> mss;
    std::optional<uint8_t> scale;
    bool sack;
    uint16_t kept_mss;
  };
  const Case cases[] = {
      {1460, 7, true, 1460},   {1459, 0, false, 1440}, {std::nullopt, std::nullopt, true, 536},
      {65495, 14, true, 8940}, {20, 14, false, 64},    {1220, std::nullopt, false, 1220},
      {1439, 9, true, 1400},
  };
  for (const Case& c : cases) {
    Segment syn = Syn();
    syn.options.mss = c.mss;
    syn.options.window_scale = c.scale;
    syn.options.sack_permitted = c.sack;
    const SynCookie made = cookies.Make(Time(1s), syn);
    const auto back = cookies.Check(Time(2s), AckOf(syn, made.isn));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->isn, made.isn);
    EXPECT_EQ(back->syn_options.mss, c.kept_mss);
    EXPECT_EQ(back->syn_options.window_scale, c.scale);
    EXPECT_EQ(back->syn_options.sack_permitted, c.sack);
    EXPECT_EQ(back->key.value(), made.key.value());
    EXPECT_EQ(back->token, made.token);
  }
}

// RFC 7323 2.3: a larger shift is used as 14; 15 would be none.
TEST(SynCookie, ScaleIsCapped) {
  Dice dice;
  SynCookies cookies(&dice);
  Segment syn = Syn();
  syn.options.window_scale = 255;
  const SynCookie made = cookies.Make(Time(1s), syn);
  const auto back = cookies.Check(Time(1s), AckOf(syn, made.isn));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->syn_options.window_scale, 14);
}

TEST(SynCookie, Ipv6WithoutMssHasItsOwnDefault) {
  Dice dice;
  SynCookies cookies(&dice);
  Segment syn = Syn();
  syn.tuple.local.address = *IpAddress::Parse("2001:db8::1");
  syn.tuple.remote.address = *IpAddress::Parse("2001:db8::2");
  syn.options.mss = std::nullopt;
  const SynCookie made = cookies.Make(Time(1s), syn);
  EXPECT_EQ(made.syn_options.mss, 1220);
}

TEST(SynCookie, RepeatedSynGetsTheSameCookie) {
  Dice dice;
  SynCookies cookies(&dice);
  EXPECT_EQ(cookies.Make(Time(1s), Syn()).isn, cookies.Make(Time(3s), Syn()).isn);
}

TEST(SynCookie, OnlyTheExactReturnIsTaken) {
  Dice dice;
  SynCookies cookies(&dice);
  const Segment syn = Syn();
  const SynCookie made = cookies.Make(Time(1s), syn);
  const Segment right = AckOf(syn, made.isn);
  ASSERT_TRUE(cookies.Check(Time(1s), right));
  for (int bit = 0; bit < 32; ++bit) {
    Segment forged = right;
    forged.ack.value = ((right.ack.value - 1) ^ (1u << bit)) + 1;
    EXPECT_FALSE(cookies.Check(Time(1s), forged)) << "bit " << bit;
  }
  Segment other = right;
  other.seq = right.seq + 1;
  EXPECT_FALSE(cookies.Check(Time(1s), other)) << "another segment than the third";
  other = right;
  ++other.tuple.remote.port;
  EXPECT_FALSE(cookies.Check(Time(1s), other)) << "from another port";
  other = right;
  other.tuple.remote.address = IpAddress::V4(0x0a000003u);
  EXPECT_FALSE(cookies.Check(Time(1s), other)) << "from another address";
}

TEST(SynCookie, LivesForOneToTwoMinutes) {
  Dice dice;
  SynCookies cookies(&dice);
  const Segment syn = Syn();
  const SynCookie early = cookies.Make(Time(60s), syn);
  EXPECT_TRUE(cookies.Check(Time(179s), AckOf(syn, early.isn)));
  EXPECT_FALSE(cookies.Check(Time(180s), AckOf(syn, early.isn)));
  const SynCookie late = cookies.Make(Time(239s), syn);
  EXPECT_TRUE(cookies.Check(Time(299s), AckOf(syn, late.isn)));
  EXPECT_FALSE(cookies.Check(Time(300s), AckOf(syn, late.isn)));
}

// Nobody asked for two periods: the secret before the last one used is not the previous one.
TEST(SynCookie, SecretIsForgottenAlsoWhenNothingHappens) {
  Dice dice;
  SynCookies cookies(&dice);
  const Segment syn = Syn();
  const SynCookie made = cookies.Make(Time(30s), syn);
  EXPECT_FALSE(cookies.Check(Time(130s), AckOf(syn, made.isn)));
}

TEST(SynCookie, SecretsDiffer) {
  Dice dice;
  SynCookies cookies(&dice);
  const SynCookie first = cookies.Make(Time(1s), Syn()), second = cookies.Make(Time(61s), Syn());
  EXPECT_NE(first.isn, second.isn);
  EXPECT_NE(first.key.value(), second.key.value());
  EXPECT_NE(first.token, second.token);
}

TEST(SynCookie, AwaitedOnlyWhileOneMayComeBack) {
  Dice dice;
  SynCookies cookies(&dice);
  EXPECT_FALSE(cookies.Awaited(Time(1s)));
  cookies.Make(Time(1s), Syn());
  EXPECT_TRUE(cookies.Awaited(Time(120s)));
  EXPECT_FALSE(cookies.Awaited(Time(121s)));
}

}  // namespace
}  // namespace mptcptls
