// One subflow against packets built and read by libtins: send this, expect exactly that and nothing
// more, at time t. The rig is a plain TCP owner that takes every byte.
#ifndef MPTCPTLS_TESTS_UNIT_TCP_SUBFLOW_RIG_H_
#define MPTCPTLS_TESTS_UNIT_TCP_SUBFLOW_RIG_H_

#include <gmock/gmock.h>
#include <tins/tins.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stack/tcp/subflow.h"

namespace mptcptls {

// A segment from the peer. Sequence numbers are relative: seq to the peer's ISN, ack to ours.
struct Peer {
  uint32_t seq = 1, ack = 1;
  uint16_t flags = Tins::TCP::ACK;
  uint16_t window = 1000;  // unscaled on the wire; the peer's scale is 0
  std::string payload{};
  std::optional<uint32_t> timestamp{};
  std::vector<std::pair<uint32_t, uint32_t>> sack{};  // relative to our ISN
  uint16_t urgent = 0;                                // the pointer; URG is one of the flags
  std::optional<uint32_t> echo{};                     // of our time stamps; none: 0
  uint8_t ecn = 0;                                    // the IP header's two bits
};

class SubflowRig : public Environment, public SubflowOwner {
 public:
  static constexpr uint32_t kPeerIsn = 0xfffffff0;  // wraps within the first bytes
  static constexpr uint32_t kOurIsn = 0x7ffffff8;

  explicit SubflowRig(bool timestamps = true, bool sack = true)
      : timestamps_(timestamps), sack_(sack) {
    config.tuple = {{IpAddress::V4(0x0a000001u), 40000}, {IpAddress::V4(0x0a000002u), 443}};
    config.iss = Seq{kOurIsn};
  }

  // Handshake as initiator, over a round trip of 20 ms; the SYN and the third ACK are taken off the
  // record.
  void Open(uint16_t answer_flags = 0) {
    subflow = std::make_unique<Subflow>(config, this, this, &timers, &counters);
    subflow->Connect(now);
    Advance(std::chrono::milliseconds(20));
    Input({.seq = 0,
           .ack = 1,
           .flags = static_cast<uint16_t>(Tins::TCP::SYN | Tins::TCP::ACK | answer_flags)});
    EXPECT_EQ(subflow->state(), TcpState::kEstablished);
    handshake = std::move(sent);
    sent.clear();
  }

  // Handshake as the one that answers.
  void Accept(uint16_t syn_flags = 0) {
    passive_ = std::make_unique<Subflow>(config, this, this, &timers, &counters);
    Input({.seq = 0, .flags = static_cast<uint16_t>(Tins::TCP::SYN | syn_flags)});
    Advance(std::chrono::milliseconds(20));
    Input({});
    EXPECT_EQ(subflow->state(), TcpState::kEstablished);
    handshake = std::move(sent);
    sent.clear();
  }

  void Input(const Peer& p) {
    Tins::TCP tcp(40000, 443);
    tcp.seq(kPeerIsn + p.seq);
    tcp.flags(p.flags);
    if (p.flags & Tins::TCP::ACK) tcp.ack_seq(kOurIsn + p.ack);
    tcp.window(p.window);
    tcp.urg_ptr(p.urgent);
    if (p.flags & Tins::TCP::SYN) {
      tcp.mss(1460);
      if (sack_) tcp.sack_permitted();
      tcp.winscale(0);
    }
    if (timestamps_) tcp.timestamp(p.timestamp.value_or(peer_clock), p.echo.value_or(0));
    if (!p.sack.empty()) {
      Tins::TCP::sack_type edges;
      for (const auto& [begin, end] : p.sack) {
        edges.push_back(kOurIsn + begin);
        edges.push_back(kOurIsn + end);
      }
      tcp.sack(edges);
    }
    Tins::IP ip("10.0.0.1", "10.0.0.2");
    ip.tos(p.ecn);
    auto packet = ip / tcp / Tins::RawPDU(p.payload);
    const std::vector<uint8_t> bytes = packet.serialize();
    Segment segment;
    ASSERT_EQ(ParseSegment(bytes, false, &segment), DropReason::kNone);
    if (passive_) {
      subflow = std::move(passive_);
      return subflow->Accept(now, segment);
    }
    subflow->Input(now, segment);
    EXPECT_EQ(subflow->CheckInvariants(), "");
  }

  // Sends `n` bytes of our stream as one segment.
  void Send(size_t n) {
    const std::vector<uint8_t> bytes(n, 'x');
    buffer.Append(bytes);
    Mapping mapping;
    mapping.dsn = stream_;
    mapping.length = static_cast<uint16_t>(n);
    subflow->SendData(now, buffer.Get(stream_, n), mapping, true);
    stream_ += n;
  }

  void Advance(Duration d) {
    const Time until = now + d;
    while (timers.Next() <= until) {
      now = timers.Next();
      timers.Advance(now);
      EXPECT_EQ(subflow->CheckInvariants(), "");
    }
    now = until;
  }

  struct Sent {
    uint32_t seq, ack;  // relative
    uint16_t flags, window;
    size_t payload;
    uint16_t gso_size;
    uint8_t ecn;            // the IP header's two bits
    uint8_t traffic_class;  // its other six, in place
    uint32_t timestamp;
    std::vector<std::pair<uint32_t, uint32_t>> sack;  // relative to the peer's ISN
  };
  // The next packet that left, exactly.
  void ExpectSent(uint16_t flags, uint32_t seq, uint32_t ack, size_t payload) {
    ASSERT_FALSE(sent.empty()) << "nothing was sent";
    const Sent s = sent.front();
    sent.pop_front();
    EXPECT_EQ(s.flags, flags);
    EXPECT_EQ(s.seq, seq);
    EXPECT_EQ(s.ack, ack);
    EXPECT_EQ(s.payload, payload);
  }
  void ExpectNothing() { EXPECT_TRUE(sent.empty()) << sent.size() << " packets more"; }

  // Environment
  void Output(const OutgoingPacket& out) override {
    std::vector<uint8_t> bytes(out.headers.begin(), out.headers.end());
    for (int i = 0; i < out.payload_pieces; ++i) {
      const ByteSpan piece = out.payload[static_cast<size_t>(i)];
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    Tins::IP ip(bytes.data(), static_cast<uint32_t>(bytes.size()));
    const auto& tcp = ip.rfind_pdu<Tins::TCP>();
    Sent s{};
    s.seq = tcp.seq() - kOurIsn;
    s.ack = tcp.ack_seq() - kPeerIsn;
    s.flags = tcp.flags();
    s.window = tcp.window();
    s.payload = out.payload_size();
    s.gso_size = out.gso_size;
    s.ecn = ip.tos() & 3;
    s.traffic_class = ip.tos() & 0xfc;
    if (tcp.search_option(Tins::TCP::TSOPT) != nullptr) s.timestamp = tcp.timestamp().first;
    if (const auto* option = tcp.search_option(Tins::TCP::SACK)) {
      const auto edges = option->to<Tins::TCP::sack_type>();
      for (size_t i = 0; i + 1 < edges.size(); i += 2) {
        s.sack.emplace_back(edges[i] - kPeerIsn, edges[i + 1] - kPeerIsn);
      }
    }
    sent.push_back(s);
  }
  void Random(std::span<uint8_t>) override {}
  std::optional<uint32_t> RouteMtu(const IpAddress&, const IpAddress&) override { return 1500; }
  std::optional<IpAddress> PreferredSource(const IpAddress&) override { return {}; }
  std::span<const uint16_t> SourcePorts(bool) override { return {}; }

  // SubflowOwner
  void FillOptions(Subflow&, const SegmentPlan&, MptcpOptions*) override {}
  Verdict OnHandshake(Subflow&, Time, const Segment&) override { return Verdict::kAccept; }
  void OnEstablished(Subflow&, Time) override {}
  Verdict OnSegment(Subflow&, Time, const Segment&) override { return Verdict::kAccept; }
  void OnAcked(Subflow&, Time, uint32_t bytes) override { acked += bytes; }
  void OnPayload(Subflow&, Time, uint32_t ssn, ByteSpan bytes) override {
    EXPECT_EQ(ssn, received.size() + 1);
    received.append(bytes.begin(), bytes.end());
  }
  void OnFin(Subflow&, Time) override { fin = true; }
  void OnInputDone(Subflow&, Time) override {
    if (when_done) when_done();
  }
  void OnTimeout(Subflow&, Time, int) override {}
  void OnClosed(Subflow&, Time, CloseReason reason, const TcpRst*) override { closed = reason; }
  uint64_t ReceiveWindow(const Subflow&) const override { return window; }

  SubflowConfig config;
  TimerQueue timers;
  Counters counters;
  BlockPool pool{64};
  SendBuffer buffer{&pool, 1 << 20};
  Time now{std::chrono::seconds(100)};
  uint32_t peer_clock = 5000;
  uint64_t window = 65536;
  std::deque<Sent> sent, handshake;
  std::string received;
  uint64_t acked = 0;
  bool fin = false;
  std::optional<CloseReason> closed;
  std::function<void()> when_done;  // in OnInputDone()
  std::unique_ptr<Subflow> subflow;

 private:
  bool timestamps_, sack_;
  std::unique_ptr<Subflow> passive_;  // waits for the SYN
  uint64_t stream_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TESTS_UNIT_TCP_SUBFLOW_RIG_H_
