// The monitor is silent about a right conversation and speaks of each broken promise.
#include "tests/sim/tcp_monitor.h"

#include <gmock/gmock.h>

#include "tests/sim/packets.h"

namespace mptcptls::sim {
namespace {

using testing::HasSubstr;

// What the watched host (10.0.0.1) says and hears. Sequence numbers: ours from 1000, the peer's
// from 5000; both scale by `scale`.
class Monitored : public testing::Test {
 protected:
  std::string Say(const TcpSpec& spec) {
    const Packet packet = Build(spec);
    std::vector<uint8_t> bytes = packet.bytes;
    return monitor_.Sent(*TcpView::Of(bytes));
  }
  void Hear(TcpSpec spec) {
    std::swap(spec.source, spec.destination);
    std::swap(spec.source_port, spec.destination_port);
    const Packet packet = Build(spec);
    std::vector<uint8_t> bytes = packet.bytes;
    monitor_.Received(*TcpView::Of(bytes));
  }
  static TcpSpec Segment(uint32_t seq, uint32_t ack, size_t payload, uint8_t flags = kAck) {
    TcpSpec spec;
    spec.seq = seq;
    spec.ack = ack;
    spec.flags = flags;
    spec.window = 1000;
    spec.payload = Bytes(payload);
    return spec;
  }
  void Open(uint8_t scale = 0, bool mptcp = false) {
    TcpSpec syn = Segment(1000, 0, 0, kSyn);
    syn.options = {{3, {scale}}};
    if (mptcp) syn.options.push_back({30, {0x01, 0x09}});
    EXPECT_EQ(Say(syn), "");
    syn.seq = 5000;
    syn.ack = 1001;
    syn.flags = kSyn | kAck;
    Hear(syn);
    EXPECT_EQ(Say(Segment(1001, 5001, 0)), "");
  }

  TcpMonitor monitor_;
};

TEST_F(Monitored, ARightConversationIsRight) {
  Open();
  EXPECT_EQ(Say(Segment(1001, 5001, 600)), "");
  EXPECT_EQ(Say(Segment(1601, 5001, 400)), "");  // to the very edge
  Hear(Segment(5001, 2001, 100));
  EXPECT_EQ(Say(Segment(2001, 5101, 0)), "");
  EXPECT_EQ(Say(Segment(1001, 5101, 600)), "");  // once more
  EXPECT_EQ(Say(Segment(2001, 5101, 0, kAck | kFin)), "");
  EXPECT_EQ(Say(Segment(2002, 5101, 0)), "");
}

TEST_F(Monitored, BeyondTheWindow) {
  Open();
  EXPECT_EQ(Say(Segment(1001, 5001, 1000)), "");
  EXPECT_EQ(Say(Segment(2001, 5001, 1)), "");  // a probe
  EXPECT_THAT(Say(Segment(2002, 5001, 2)), HasSubstr("3 bytes beyond the peer's window"));
}

TEST_F(Monitored, WindowsAreScaledAfterTheSyns) {
  Open(3);
  Hear(Segment(5001, 1001, 0));  // 1,000 << 3
  EXPECT_EQ(Say(Segment(1001, 5001, 8000)), "");
  EXPECT_THAT(Say(Segment(9001, 5001, 2)), HasSubstr("beyond"));
}

TEST_F(Monitored, GapsAndWhatFollowsAFin) {
  Open();
  EXPECT_THAT(Say(Segment(1002, 5001, 10)), HasSubstr("a gap"));
  EXPECT_THAT(Say(Segment(999, 5001, 0)), HasSubstr("before the initial"));
  EXPECT_EQ(Say(Segment(1001, 5001, 0, kAck | kFin)), "");
  EXPECT_THAT(Say(Segment(1002, 5001, 10)), HasSubstr("after the FIN"));
}

TEST_F(Monitored, Acknowledgements) {
  Open();
  Hear(Segment(5001, 1001, 100));
  EXPECT_THAT(Say(Segment(1001, 5102, 0)), HasSubstr("never received"));
  EXPECT_EQ(Say(Segment(1001, 5101, 0)), "");
  EXPECT_THAT(Say(Segment(1001, 5001, 0)), HasSubstr("takes an acknowledgement back"));
}

TEST_F(Monitored, WindowsThatShrink) {
  Open(2);
  TcpSpec less = Segment(1001, 5001, 0);
  less.window = 999;  // 4 bytes less than 1,000 << 2, where rounding takes 3
  EXPECT_THAT(Say(less), HasSubstr("the window shrinks by 4"));
}

TEST_F(Monitored, SelectiveAcknowledgements) {
  Open();
  Hear(Segment(5101, 1001, 100));
  TcpSpec sack = Segment(1001, 5001, 0);
  sack.options = {{1, {}}, {1, {}}, {5, {0, 0, 0x13, 0xed, 0, 0, 0x14, 0x51}}};  // 5101-5201
  EXPECT_EQ(Say(sack), "");
  sack.options[2].second[7] = 0x52;
  EXPECT_THAT(Say(sack), HasSubstr("SACKs what was never received"));
  sack.options[2].second = {0, 0, 0x13, 0xed, 0, 0, 0x13, 0xed};
  EXPECT_THAT(Say(sack), HasSubstr("empty SACK block"));
}

TEST_F(Monitored, TimestampsGoForward) {
  Open();
  TcpSpec spec = Segment(1001, 5001, 0);
  spec.options = {{8, {0, 0, 0, 9, 0, 0, 0, 0}}};
  EXPECT_EQ(Say(spec), "");
  spec.options[0].second[3] = 8;
  EXPECT_THAT(Say(spec), HasSubstr("a timestamp goes back"));
}

TEST_F(Monitored, AnswersToNothing) {
  EXPECT_THAT(Say(Segment(1000, 77, 0, kSyn | kAck)), HasSubstr("a SYN/ACK for no SYN"));
  Hear(Segment(5000, 0, 0, kSyn));
  EXPECT_EQ(Say(Segment(3000, 5001, 0, kSyn | kAck)), "");
}

// The same 4-tuple again is another connection.
TEST_F(Monitored, ReopenedFlowsBeginAnew) {
  Open();
  EXPECT_EQ(Say(Segment(1001, 5001, 500)), "");
  EXPECT_EQ(Say(Segment(900'000, 0, 0, kSyn)), "");
  Hear(Segment(70'000, 900'001, 0, kSyn | kAck));
  EXPECT_EQ(Say(Segment(900'001, 70'001, 500)), "");
}

// DSS: a Data ACK of four bytes, a mapping with a DSN of four.
TcpSpec WithDss(TcpSpec spec, uint8_t data_ack, uint8_t dsn, uint16_t length) {
  spec.options = {{30,
                   {0x20, 0x05, 0, 0, 0, data_ack, 0, 0, 0, dsn, 0, 0, 0, 1,
                    static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length)}}};
  return spec;
}

TEST_F(Monitored, TheDataLevelsWindowCountsFromItsOwnDataAck) {
  monitor_.set_one_connection(true);
  Open(0, true);
  Hear(WithDss(Segment(5001, 1001, 10), 100, 1, 10));  // 1,000 bytes from 100 on
  EXPECT_EQ(Say(WithDss(Segment(1001, 5011, 900), 11, 200, 900)), "");
  EXPECT_THAT(Say(WithDss(Segment(1901, 5011, 900), 11, 201, 900)),
              HasSubstr("1 bytes beyond the window"));
  EXPECT_THAT(Say(WithDss(Segment(1901, 5011, 1), 10, 100, 1)), HasSubstr("takes a Data ACK back"));
}

}  // namespace
}  // namespace mptcptls::sim
