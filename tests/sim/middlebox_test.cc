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

TEST(Middlebox, StripOptionTakesThatKindOfTheSelected) {
  const Middlebox box = StripOption(2, IsSyn);
  auto out = Through(box, Syn());
  EXPECT_TRUE(TcpView::Of(out[0].bytes)->FindOption(2).empty());
  EXPECT_FALSE(TcpView::Of(out[0].bytes)->FindOption(4).empty());
}

TEST(Middlebox, RewriteMssChangesSynsOnly) {
  auto out = Through(RewriteMss(536), Syn());
  const auto option = TcpView::Of(out[0].bytes)->FindOption(2);
  ASSERT_EQ(option.size(), 4u);
  EXPECT_EQ(option[2] << 8 | option[3], 536);
  out = Through(RewriteMss(536), Data(1, 10));
  EXPECT_FALSE(TcpView::Of(out[0].bytes)->FindMptcp(kDss).empty());
}

TEST(Middlebox, MarkUrgentMarksEveryNthDataPacket) {
  const Middlebox box = MarkUrgent(2, 7);
  auto out = Through(box, Data(1000, 10));
  EXPECT_FALSE(TcpView::Of(out[0].bytes)->has(kUrg));
  EXPECT_TRUE(Through(box, TcpSpec{}).size() == 1);  // a pure ACK does not count
  out = Through(box, Data(1010, 10));
  EXPECT_TRUE(TcpView::Of(out[0].bytes)->has(kUrg));
  EXPECT_EQ(TcpView::Of(out[0].bytes)->urgent_pointer(), 7);
}

// The payload bytes of data packets, by sequence number, and the sizes of the packets.
std::vector<size_t> Sizes(const std::vector<Packet>& packets) {
  std::vector<size_t> sizes;
  for (Packet p : packets) sizes.push_back(TcpView::Of(p.bytes)->payload().size());
  return sizes;
}

TEST(Middlebox, ResegmentMovesTheBoundaries) {
  const Middlebox box = Resegment(300);
  auto out = Through(box, Data(1000, 500));  // 200 of it wait
  EXPECT_THAT(Sizes(out), testing::ElementsAre(300));
  TcpSpec next = Data(1500, 500);
  next.flags = kAck | kPsh;
  out = Through(box, next);
  ASSERT_THAT(Sizes(out), testing::ElementsAre(300, 300, 100));
  uint32_t seq = 1300;
  for (Packet& p : out) {
    const auto view = TcpView::Of(p.bytes);
    EXPECT_EQ(view->seq(), seq);
    EXPECT_EQ(view->has(kPsh), seq == 1900);
    EXPECT_FALSE(view->FindMptcp(kDss).empty());
    seq += static_cast<uint32_t>(view->payload().size());
  }
  // Bytes are those of the two packets, in order.
  const std::vector<uint8_t> first = Bytes(500);
  EXPECT_TRUE(std::ranges::equal(TcpView::Of(out[0].bytes)->payload().first(200),
                                 std::span(first).subspan(300)));
}

TEST(Middlebox, ResegmentKeepsABoundaryBetweenMappings) {
  const Middlebox box = Resegment(300);
  Through(box, Data(1000, 500));
  TcpSpec other = Data(1500, 500);
  other.options[0].second[9] = 99;
  const auto out = Through(box, other);
  EXPECT_THAT(Sizes(out), testing::ElementsAre(200, 300));
}

TEST(Middlebox, ResegmentLetsGoBeforeWhatIsNoData) {
  const Middlebox box = Resegment(300);
  EXPECT_TRUE(Through(box, Data(1000, 200)).empty());
  EXPECT_THAT(Sizes(Through(box, TcpSpec{})), testing::ElementsAre(200, 0));
}

TEST(Middlebox, ReorderLetsOthersOvertake) {
  const Middlebox box = Reorder(2, 1);
  EXPECT_EQ(Through(box, Data(1000, 10)).size(), 1u);
  EXPECT_TRUE(Through(box, Data(1010, 10)).empty());
  auto out = Through(box, Data(1020, 10));
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(TcpView::Of(out[0].bytes)->seq(), 1020u);
  EXPECT_EQ(TcpView::Of(out[1].bytes)->seq(), 1010u);
}

TEST(Middlebox, DuplicateComesLate) {
  const Middlebox box = Duplicate(2, 1);
  EXPECT_EQ(Through(box, Data(1000, 10)).size(), 1u);
  EXPECT_EQ(Through(box, Data(1010, 10)).size(), 1u);
  auto out = Through(box, Data(1020, 10));
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(TcpView::Of(out[1].bytes)->seq(), 1010u);
  EXPECT_EQ(Through(Duplicate(1, 0), Data(1, 1)).size(), 2u);  // at once
}

TEST(Middlebox, PortNatForgetsWhenItIsRebound) {
  PortNat nat;
  TcpSpec syn = Syn();
  auto out = Through(nat.outbound(), syn);
  const uint16_t own = TcpView::Of(out[0].bytes)->source_port();
  Packet original = Build(syn);
  EXPECT_EQ(own, TcpView::Of(original.bytes)->source_port());  // kept while it is free
  TcpSpec back;
  std::swap(back.source, back.destination);
  std::swap(back.source_port, back.destination_port);
  EXPECT_EQ(Through(nat.inbound(), back).size(), 1u);
  nat.Rebind();
  EXPECT_TRUE(Through(nat.inbound(), back).empty());
  out = Through(nat.outbound(), Data(1, 10));
  const uint16_t other = TcpView::Of(out[0].bytes)->source_port();
  EXPECT_NE(other, own);
  back.destination_port = other;
  out = Through(nat.inbound(), back);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(TcpView::Of(out[0].bytes)->destination_port(), own);
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

// One forged packet beside every second acknowledgement, whose own is untouched.
TEST(Middlebox, ForgeAddsAndChangesNothing) {
  const Middlebox box = Forge(2);
  std::vector<uint8_t> subtypes;
  for (int i = 0; i < 12; ++i) {
    const std::vector<Packet> out = Through(box, TcpSpec());
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(out[0].bytes, Build(TcpSpec()).bytes);
    if (out.size() < 2) continue;
    std::vector<uint8_t> bytes = out[1].bytes;
    subtypes.push_back(TcpView::Of(bytes)->FindOption(30)[2] >> 4);
  }
  EXPECT_THAT(subtypes, testing::ElementsAre(3, 7, 9, 3, 7));  // no join was there to be repeated
}

}  // namespace
}  // namespace mptcptls::sim
