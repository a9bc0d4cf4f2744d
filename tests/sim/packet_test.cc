// The simulator's view of packets, its checksums, and what it does in place of the kernel's GSO and
// GRO, checked with packets that libtins built.
#include "tests/sim/packet.h"

#include <gmock/gmock.h>

#include "tests/sim/packets.h"

namespace mptcptls::sim {
namespace {

const std::vector<uint8_t> kDssBytes = {0x20, 0x05, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 9};

TcpSpec Spec(Family family) {
  TcpSpec spec;
  if (family == Family::kV6) {
    spec.source = "2001:db8::1";
    spec.destination = "2001:db8::2";
  }
  return spec;
}

class PacketTest : public testing::TestWithParam<Family> {};
INSTANTIATE_TEST_SUITE_P(Families, PacketTest, testing::Values(Family::kV4, Family::kV6),
                         [](const auto& i) { return i.param == Family::kV4 ? "v4" : "v6"; });

TEST_P(PacketTest, ViewReadsWhatLibtinsWrote) {
  TcpSpec spec = Spec(GetParam());
  spec.flags = kAck | kPsh;
  spec.options = {{30, kDssBytes}, {1, {}}};
  spec.payload = Bytes(9);
  Packet packet = Build(spec);
  const auto view = TcpView::Of(packet.bytes);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->source(), IpAddress::Parse(spec.source));
  EXPECT_EQ(view->destination(), IpAddress::Parse(spec.destination));
  EXPECT_EQ(view->source_port(), 40000);
  EXPECT_EQ(view->destination_port(), 443);
  EXPECT_EQ(view->seq(), 1000u);
  EXPECT_EQ(view->ack(), 2000u);
  EXPECT_EQ(view->window(), 500);
  EXPECT_EQ(view->flags(), kAck | kPsh);
  EXPECT_TRUE(std::ranges::equal(view->payload(), spec.payload));
  EXPECT_EQ(view->FindMptcp(kDss).size(), kDssBytes.size() + 2);
  EXPECT_TRUE(view->FindMptcp(kMpJoin).empty());
  EXPECT_TRUE(view->FindOption(8).empty());
  EXPECT_EQ(view->Checksum(), view->checksum());
  EXPECT_TRUE(view->Ipv4HeaderValid());
}

TEST_P(PacketTest, TruncatedPacketsHaveNoView) {
  TcpSpec spec = Spec(GetParam());
  spec.options = {{30, kDssBytes}};
  Packet packet = Build(spec);
  for (size_t n = 0; n < packet.bytes.size(); ++n) {
    EXPECT_FALSE(TcpView::Of(std::span(packet.bytes).first(n))) << n;
  }
}

TEST_P(PacketTest, CutRepeatsOptionsAndAdvancesTheRest) {
  TcpSpec spec = Spec(GetParam());
  spec.options = {{30, kDssBytes}};
  spec.flags = kAck | kPsh | kFin | kCwr;
  spec.payload = Bytes(3500);
  Packet whole = Build(spec);
  whole.gso_size = 1400;
  whole.partial_checksum = true;
  Seal(&whole);
  std::vector<Packet> pieces = Cut(whole);
  ASSERT_EQ(pieces.size(), 3u);
  std::vector<uint8_t> joined;
  for (size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ(pieces[i].gso_size, 0);
    CompleteChecksum(&pieces[i]);
    const auto view = TcpView::Of(pieces[i].bytes);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->seq(), 1000 + 1400 * i);
    EXPECT_EQ(view->FindMptcp(kDss).size(), kDssBytes.size() + 2);
    EXPECT_EQ(view->has(kCwr), i == 0);
    EXPECT_EQ(view->has(kFin), i == 2);
    EXPECT_EQ(view->has(kPsh), i == 2);
    if (GetParam() == Family::kV4) {
      EXPECT_EQ(view->ip_id(), 7 + i);
      EXPECT_TRUE(view->Ipv4HeaderValid());
    }
    EXPECT_EQ(view->checksum(), TinsChecksum(pieces[i]));
    joined.insert(joined.end(), view->payload().begin(), view->payload().end());
  }
  EXPECT_EQ(joined, spec.payload);
}

TEST_P(PacketTest, MergeUndoesCut) {
  TcpSpec spec = Spec(GetParam());
  spec.options = {{30, kDssBytes}};
  spec.flags = kAck | kPsh;
  spec.payload = Bytes(3500);
  Packet whole = Build(spec);
  whole.gso_size = 1400;
  whole.partial_checksum = true;
  Seal(&whole);
  std::vector<Packet> pieces = Cut(whole);
  Packet first = pieces[0];
  EXPECT_TRUE(Merge(&first, pieces[1]));
  EXPECT_TRUE(Merge(&first, pieces[2]));
  EXPECT_EQ(first.bytes, whole.bytes);
  EXPECT_EQ(first.gso_size, 1400);
  EXPECT_TRUE(first.partial_checksum);
}

TEST_P(PacketTest, MergeRefusesWhatGroRefuses) {
  TcpSpec a = Spec(GetParam());
  a.options = {{30, kDssBytes}};
  a.payload = Bytes(100);
  TcpSpec b = a;
  b.seq += 100;
  b.ip_id += 1;
  const auto merges = [](const TcpSpec& next, const TcpSpec& head) {
    Packet first = Build(head);
    return Merge(&first, Build(next));
  };
  EXPECT_TRUE(merges(b, a));
  TcpSpec other = b;
  other.seq += 1;
  EXPECT_FALSE(merges(other, a)) << "a hole";
  other = b;
  other.options[0].second[5] ^= 1;
  EXPECT_FALSE(merges(other, a)) << "another DSS";
  other = b;
  other.ack += 1;
  EXPECT_FALSE(merges(other, a)) << "another ACK";
  other = b;
  other.window += 1;
  EXPECT_FALSE(merges(other, a)) << "another window";
  other = b;
  other.source_port += 1;
  EXPECT_FALSE(merges(other, a)) << "another flow";
  other = b;
  other.payload = Bytes(101);
  EXPECT_FALSE(merges(other, a)) << "larger than the first";
  other = b;
  other.flags |= kRst;
  EXPECT_FALSE(merges(other, a)) << "a reset";
  TcpSpec pushed = a;
  pushed.flags |= kPsh;
  EXPECT_FALSE(merges(b, pushed)) << "the first was pushed";
  if (GetParam() == Family::kV4) {
    other = b;
    other.ip_id += 1;
    EXPECT_FALSE(merges(other, a)) << "IPID skips";
  }
}

TEST(Packet, OddPayloadChecksum) {
  TcpSpec spec;
  spec.payload = Bytes(7);
  Packet packet = Build(spec);
  const auto view = TcpView::Of(packet.bytes);
  EXPECT_EQ(view->Checksum(), TinsChecksum(packet));
}

}  // namespace
}  // namespace mptcptls::sim
