// Each middlebox alone: what it changes, and that it leaves valid packets behind.
#include "tests/sim/middlebox.h"

#include <gmock/gmock.h>

#include "tests/sim/link.h"
#include "tests/sim/packets.h"

namespace mptcptls::sim {
namespace {

const std::vector<uint8_t> kCapableSyn = {0x01, 0x09};
const std::vector<uint8_t> kDssBytes = {0x20, 0x05, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 9};

// Runs one packet through and checks that whatever comes out is right by libtins.
std::vector<Packet> Through(const Middlebox& box, const TcpSpec& spec) {
  std::vector<Packet> out;
  box(Build(spec), &out);
  for (Packet& packet : out) {
    const auto view = TcpView::Of(packet.bytes);
    EXPECT_TRUE(view);
    EXPECT_EQ(view->payload_offset() + view->payload().size(), packet.bytes.size());
    EXPECT_EQ(view->checksum(), TinsChecksum(packet));
    EXPECT_TRUE(view->Ipv4HeaderValid());
  }
  return out;
}

TcpSpec Syn() {
  TcpSpec spec;
  spec.flags = kSyn;
  spec.options = {{2, {5, 0xb4}}, {4, {}}, {30, kCapableSyn}};
  return spec;
}

TcpSpec Data(uint32_t seq, size_t size) {
  TcpSpec spec;
  spec.seq = seq;
  spec.options = {{30, kDssBytes}};
  spec.payload = Bytes(size);
  return spec;
}

TEST(Middlebox, StripMptcpTakesOnlyOption30OfTheSelected) {
  const Middlebox box = StripMptcp(IsSyn);
  auto out = Through(box, Syn());
  ASSERT_EQ(out.size(), 1u);
  EXPECT_TRUE(TcpView::Of(out[0].bytes)->FindOption(30).empty());
  EXPECT_FALSE(TcpView::Of(out[0].bytes)->FindOption(2).empty());
  out = Through(box, Data(1, 10));
  EXPECT_FALSE(TcpView::Of(out[0].bytes)->FindMptcp(kDss).empty());
}

TEST(Middlebox, DropMptcpDropsOnlyTheSelected) {
  const Middlebox box = DropMptcp(IsSyn);
  EXPECT_TRUE(Through(box, Syn()).empty());
  EXPECT_EQ(Through(box, Data(1, 10)).size(), 1u);
  TcpSpec plain = Syn();
  plain.options.pop_back();
  EXPECT_EQ(Through(box, plain).size(), 1u);
}

TEST(Middlebox, StripSackPermitted) {
  auto out = Through(StripSackPermitted(), Syn());
  EXPECT_TRUE(TcpView::Of(out[0].bytes)->FindOption(4).empty());
  EXPECT_FALSE(TcpView::Of(out[0].bytes)->FindMptcp(kMpCapable).empty());
}

TEST(Middlebox, SplitRepeatsTheOptions) {
  auto out = Through(Split(400), Data(1000, 1000));
  ASSERT_EQ(out.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const auto view = TcpView::Of(out[i].bytes);
    EXPECT_EQ(view->seq(), 1000 + 400 * i);
    EXPECT_EQ(view->payload().size(), i < 2 ? 400u : 200u);
    EXPECT_FALSE(view->FindMptcp(kDss).empty());
  }
}

TEST(Middlebox, CoalesceKeepsOnlyTheFirstOptions) {
  const Middlebox box = Coalesce(3000);
  EXPECT_TRUE(Through(box, Data(1000, 500)).empty());
  TcpSpec second = Data(1500, 500);
  second.options[0].second[9] = 99;
  auto out = Through(box, second);
  ASSERT_EQ(out.size(), 1u);
  const auto view = TcpView::Of(out[0].bytes);
  EXPECT_EQ(view->payload().size(), 1000u);
  EXPECT_EQ(view->FindMptcp(kDss)[11], kDssBytes[9]);
}

TEST(Middlebox, CoalesceFlushesWhatDoesNotContinue) {
  const Middlebox box = Coalesce(3000);
  EXPECT_TRUE(Through(box, Data(1000, 500)).empty());
  TcpSpec ack;
  EXPECT_EQ(Through(box, ack).size(), 2u);
}

TEST(Middlebox, AlterPayloadHitsTheNth) {
  const Middlebox box = AlterPayload(1);
  auto out = Through(box, Data(1000, 5));
  EXPECT_EQ(TcpView::Of(out[0].bytes)->payload()[0], Bytes(5)[0]);
  out = Through(box, Data(1005, 5));
  EXPECT_NE(TcpView::Of(out[0].bytes)->payload()[0], Bytes(5)[0]);
}

TEST(Middlebox, EchoPutsTheSynsOptionOnTheSynAck) {
  const EchoPair echo = EchoMpCapable();
  auto out = Through(echo.towards_server, Syn());
  EXPECT_TRUE(TcpView::Of(out[0].bytes)->FindOption(30).empty());
  TcpSpec answer;
  answer.flags = kSyn | kAck;
  answer.options = {{2, {5, 0xb4}}};
  out = Through(echo.towards_client, answer);
  const auto found = TcpView::Of(out[0].bytes)->FindMptcp(kMpCapable);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_TRUE(std::ranges::equal(found.subspan(2), kCapableSyn));
}

TEST(Middlebox, NatRewritesBothWays) {
  const NatPair nat = Nat(*IpAddress::Parse("10.0.0.1"), *IpAddress::Parse("192.0.2.9"));
  auto out = Through(nat.outbound, Data(1, 10));
  EXPECT_EQ(TcpView::Of(out[0].bytes)->source(), IpAddress::Parse("192.0.2.9"));
  TcpSpec back = Data(1, 10);
  back.source = "10.0.0.2";
  back.destination = "192.0.2.9";
  out = Through(nat.inbound, back);
  EXPECT_EQ(TcpView::Of(out[0].bytes)->destination(), IpAddress::Parse("10.0.0.1"));
}

}  // namespace
}  // namespace mptcptls::sim
