// The state machine of one subflow: a sequence of segments near the interesting edges of its
// sequence spaces, of time, and of its owner's calls. After each operation its invariants must
// hold, the owner must have been told each thing once, and every packet must be whole.
//
// Input: how it opens, then operations of one byte and their operands; see Machine::Run().
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stack/tcp/subflow.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/sim/packet.h"

namespace mptcptls::fuzz {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxOperations = 400;
constexpr uint32_t kOurIsn = 0xffffff00, kPeerIsn = 0x7fffff00;  // both wrap soon, each its way

class Machine : public Environment, public SubflowOwner {
 public:
  void Run(Input* in) {
    Open(in);
    for (size_t n = 0; n < kMaxOperations && !in->empty(); ++n) {
      Operate(in);
      Check();
    }
    // Whatever happened, time ends it, or it waits for a peer that is still welcome.
    Advance(std::chrono::hours(3));
    Check();
    subflow_->Abort(now_);
    Check();
    FUZZ_CHECK(subflow_->state() == TcpState::kClosed && closed_ && timers_.Next() == kNever);
  }

  // Environment
  void Output(const OutgoingPacket& out) override {
    std::vector<uint8_t> bytes(out.headers.begin(), out.headers.end());
    for (int i = 0; i < out.payload_pieces; ++i) {
      const ByteSpan piece = out.payload[static_cast<size_t>(i)];
      bytes.insert(bytes.end(), piece.begin(), piece.end());
    }
    const auto view = sim::TcpView::Of(bytes);
    FUZZ_CHECK(view && view->checksum() == view->PseudoHeaderSum());
    FUZZ_CHECK(!closed_ || view->has(sim::kRst));
    FUZZ_CHECK(++outputs_ < 200'000);
    if (view->has(sim::kRst)) return;
    const uint32_t end = view->seq() + static_cast<uint32_t>(view->payload().size()) +
                         (view->has(sim::kSyn) || view->has(sim::kFin) ? 1 : 0);
    if (static_cast<int32_t>(end - sent_end_) > 0) sent_end_ = end;
    if (!view->has(sim::kAck)) return;
    // RFC 9293 3.4: what was acknowledged stays acknowledged.
    FUZZ_CHECK(!acked_ || static_cast<int32_t>(view->ack() - *acked_) >= 0);
    if (!acked_) first_ = view->ack();
    acked_ = view->ack();
  }
  void Random(std::span<uint8_t> out) override { std::ranges::fill(out, uint8_t{7}); }
  std::optional<uint32_t> RouteMtu(const IpAddress&, const IpAddress&) override { return 1500; }
  std::optional<IpAddress> PreferredSource(const IpAddress&) override { return {}; }
  std::span<const uint16_t> SourcePorts(bool) override { return {}; }

  // SubflowOwner
  void FillOptions(Subflow&, const SegmentPlan&, MptcpOptions*) override {}
  Verdict OnHandshake(Subflow&, Time, const Segment&) override { return Verdict::kAccept; }
  void OnEstablished(Subflow&, Time) override {
    FUZZ_CHECK(!established_ && !closed_);
    established_ = true;
  }
  Verdict OnSegment(Subflow&, Time, const Segment&) override { return verdict_; }
  void OnAcked(Subflow&, Time, uint32_t bytes) override {
    bytes_acked_ += bytes;
    FUZZ_CHECK(bytes_acked_ <= written_);
    buffer_.Release(bytes_acked_);
  }
  void OnPayload(Subflow&, Time, uint32_t ssn, ByteSpan bytes) override {
    // In order, each byte once, and the one that belongs there.
    FUZZ_CHECK(ssn == received_ + 1 && !fin_ && !closed_ && !bytes.empty());
    for (const uint8_t byte : bytes) FUZZ_CHECK(byte == ByteAt(received_++));
  }
  void OnFin(Subflow&, Time) override {
    FUZZ_CHECK(!fin_ && !closed_);
    fin_ = true;
  }
  void OnInputDone(Subflow&, Time) override { FUZZ_CHECK(!closed_); }
  void OnTimeout(Subflow&, Time, int consecutive) override { FUZZ_CHECK(consecutive >= 0); }
  void OnClosed(Subflow&, Time, CloseReason reason, const TcpRst*) override {
    FUZZ_CHECK(!closed_ && reason != CloseReason::kNone);
    closed_ = true;
  }
  uint64_t ReceiveWindow(const Subflow&) const override { return window_; }
  uint64_t ReceiveRoom(const Subflow&) const override { return room_; }

 private:
  // The peer's stream: what lies at an offset never changes, however often it is sent.
  static uint8_t ByteAt(uint64_t offset) { return static_cast<uint8_t>(offset * 31 >> 3); }

  Segment Blank() const {
    Segment s;
    s.tuple = config_.tuple;
    s.has_ack = true;
    s.window = 1000;
    return s;
  }

  void SynOptions(uint8_t how, Segment* s) const {
    s->options.mss = static_cast<uint16_t>((how & 1) != 0 ? 1460 : 88);
    s->options.sack_permitted = (how & 2) != 0;
    if ((how & 4) != 0) s->options.window_scale = static_cast<uint8_t>((how >> 4) & 15);
    if ((how & 8) != 0) s->options.timestamps = Timestamps{peer_clock_, 0};
  }

  void Open(Input* in) {
    const uint8_t how = in->U8();
    config_.tuple = {{IpAddress::V4(0x0a000001u), 40000}, {IpAddress::V4(0x0a000002u), 443}};
    config_.iss = Seq{kOurIsn};
    config_.windows_at_data_level = (how & 2) != 0;
    config_.segmentation = (how & 4) == 0;
    config_.retries = 4;
    subflow_ = std::make_unique<Subflow>(config_, this, this, &timers_, &counters_);
    if ((how & 1) != 0) {
      Segment syn = Blank();
      syn.has_ack = false;
      syn.syn = true;
      syn.seq = Seq{kPeerIsn};
      SynOptions(in->U8(), &syn);
      subflow_->Accept(now_, syn);
    } else {
      subflow_->Connect(now_);
    }
    Check();
  }

  void Operate(Input* in) {
    switch (in->U8() % 12) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Inject(in);
      case 4:
        return Advance(std::chrono::microseconds(in->U16()));
      case 5:
        return Advance(std::chrono::milliseconds(in->U16()));
      case 6:
        return Send(in->U16());
      case 7:
        return Icmp(in);
      case 8:
        return Acknowledge(in->U8());
      case 9:
        window_ = uint64_t{in->U16()} << (in->U8() % 8);
        return subflow_->WindowMayHaveOpened(now_);
      case 10:
        return Call(in->U8());
      default:
        room_ = in->U8() % 4 == 0 ? 0 : UINT64_MAX;
        verdict_ = in->U8() % 16 == 0 ? Verdict::kDrop : Verdict::kAccept;
    }
  }

  // The sequence numbers where things change: of what they expect from us or we from them.
  uint32_t Edge(uint8_t which) const {
    const uint32_t next = acked_.value_or(kPeerIsn);
    switch (which % 8) {
      case 0:
      case 1:
      case 2:
        return next;
      case 3:
        return next - 1;
      case 4:
        return next + static_cast<uint32_t>(window_);  // the edge of the window, more or less
      case 5:
        return kPeerIsn;
      case 6:
        return next + 1000;
      default:
        return next + 0x80000000u;
    }
  }

  void Inject(Input* in) {
    Segment s = Blank();
    const uint8_t flags = in->U8(), edges = in->U8();
    s.seq = Seq{Edge(edges) + static_cast<uint32_t>(static_cast<int8_t>(in->U8()))};
    // Mostly what we sent last, or our first byte.
    const uint32_t from = (edges & 8) != 0 ? kOurIsn : sent_end_;
    s.ack = Seq{from + static_cast<uint32_t>(static_cast<int16_t>(in->U16()))};
    if ((edges & 16) != 0) s.ack = Seq{sent_end_};
    s.has_ack = (flags & 1) == 0;
    s.syn = (flags & 6) == 6;
    s.fin = (flags & 0x18) == 0x18;
    s.rst = (flags & 0xe0) == 0xe0;
    s.window = in->U16();
    const uint8_t options = in->U8();
    if (s.syn) SynOptions(options, &s);
    if ((options & 8) != 0) {
      peer_clock_ += options & 3;
      s.options.timestamps = Timestamps{peer_clock_ - ((options & 0x40) != 0 ? 50 : 0), 0};
    }
    for (int blocks = (options >> 4) & 3; blocks > 0 && !s.syn; --blocks) {
      const uint32_t begin = kOurIsn + in->U16();
      s.options.sack[s.options.sack_count++] = {Seq{begin}, Seq{begin + in->U16()}};
    }
    const size_t size = s.syn || s.rst ? 0 : size_t{in->U8()} * (1 + in->U8() % 8);
    std::vector<uint8_t> payload(size);
    const uint32_t offset = s.seq.value - first_;
    for (size_t i = 0; i < size; ++i) payload[i] = ByteAt(static_cast<uint32_t>(offset + i));
    s.payload = payload;
    subflow_->Input(now_, s);
  }

  // Everything up to some part of what is in flight, as a good peer would.
  void Acknowledge(uint8_t part) {
    Segment s = Blank();
    s.seq = Seq{acked_.value_or(kPeerIsn + 1)};
    const auto in_flight = static_cast<uint32_t>(written_ - bytes_acked_);
    s.ack = Seq{sent_end_ - in_flight * (part % 4) / 4};
    s.window = 20'000;
    if ((part & 64) != 0) s.options.timestamps = Timestamps{peer_clock_, 0};
    if (!established_) {
      s.syn = !acked_;
      s.seq = Seq{acked_ ? *acked_ : kPeerIsn};
      if (s.syn) SynOptions(part | 7, &s);
    }
    subflow_->Input(now_, s);
  }

  void Advance(Duration d) {
    const Time until = now_ + d;
    for (int steps = 0; timers_.Next() <= until; ++steps) {
      FUZZ_CHECK(steps < 200'000);
      now_ = std::max(now_, timers_.Next());
      timers_.Advance(now_);
      Check();
    }
    now_ = until;
  }

  void Send(uint16_t want) {
    const bool probe = want == 1;
    if (!subflow_->MaySend() || subflow_->fin_sent()) return;
    size_t n = std::min({size_t{want}, subflow_->MaxSegment(), buffer_.space()});
    if (!probe) n = std::min(n, subflow_->SendRoom(now_));
    if (n == 0) return;
    const std::vector<uint8_t> bytes(n, 0x5a);
    n = buffer_.Append(bytes);
    if (n == 0) return;
    Mapping mapping;
    mapping.dsn = written_;
    mapping.length = static_cast<uint16_t>(n);
    const Payload payload = buffer_.Get(written_, n);
    written_ += n;
    subflow_->SendData(now_, payload, mapping, true);
  }

  void Icmp(Input* in) {
    IcmpError error;
    error.kind = static_cast<IcmpError::Kind>(in->U8() % 3);
    error.mtu = in->U16() % 1600;
    error.tuple = config_.tuple;
    error.seq = Seq{sent_end_ - in->U8()};
    subflow_->OnIcmpError(now_, error);
  }

  void Call(uint8_t which) {
    switch (which % 16) {
      case 0:
      case 1:
      case 2:
        return subflow_->Close(now_);
      case 3:
        return subflow_->Abort(now_);
      case 4:
        return subflow_->SetWindowsAtDataLevel((which & 0x80) != 0);
      case 5:
        return subflow_->SendBareAck(now_);
      default:
        return subflow_->SendAck(now_);
    }
  }

  void Check() {
    const std::string wrong = subflow_->CheckInvariants();
    if (!wrong.empty()) std::fprintf(stderr, "%s\n", wrong.c_str());
    FUZZ_CHECK(wrong.empty());
    FUZZ_CHECK(counters_.bugs == 0);
    FUZZ_CHECK((subflow_->state() == TcpState::kClosed) == closed_);
    uint64_t unacked = 0;
    subflow_->ForEachUnacked([&](const Mapping& mapping, const Payload& payload) {
      FUZZ_CHECK(mapping.length == payload.size() && mapping.dsn + payload.size() <= written_);
      unacked += payload.size();
    });
    FUZZ_CHECK(closed_ || unacked == written_ - bytes_acked_);
  }

  SubflowConfig config_;
  Time now_{100s};
  TimerQueue timers_;
  Counters counters_;
  BlockPool pool_{64};
  SendBuffer buffer_{&pool_, 1 << 20};
  uint64_t window_ = 65536, room_ = UINT64_MAX;
  Verdict verdict_ = Verdict::kAccept;
  bool established_ = false, fin_ = false, closed_ = false;
  uint64_t written_ = 0, bytes_acked_ = 0, received_ = 0, outputs_ = 0;
  uint32_t sent_end_ = kOurIsn, peer_clock_ = 1000;
  std::optional<uint32_t> acked_;
  uint32_t first_ = kPeerIsn + 1;     // sequence number of the peer's first byte
  std::unique_ptr<Subflow> subflow_;  // last: it goes first
};

}  // namespace
}  // namespace mptcptls::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mptcptls::fuzz::Input in(data, size);
  mptcptls::fuzz::Machine().Run(&in);
  return 0;
}
