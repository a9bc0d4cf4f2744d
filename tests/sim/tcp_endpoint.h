// One subflow as plain TCP, without a Host: the smallest owner that a Subflow can have. It sends a
// known pattern and checks the one it gets.
#ifndef MPTCPTLS_TESTS_SIM_TCP_ENDPOINT_H_
#define MPTCPTLS_TESTS_SIM_TCP_ENDPOINT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "stack/tcp/subflow.h"
#include "tests/sim/program.h"
#include "tests/sim/simulator.h"

namespace mptcptls::sim {

class TcpEndpoint : public Node, public Environment, public SubflowOwner {
 public:
  TcpEndpoint(Simulator* simulator, Network* network, const std::string& name,
              const Endpoint& local, const Endpoint& remote, const LinkConfig& up,
              const LinkConfig& down)
      : simulator_(simulator) {
    simulator->AddNode(this);
    uplink_ = simulator->AddUplink(this, network, name, {local.address}, up, down);
    config.tuple = {local, remote};
    config.iss = Seq{static_cast<uint32_t>(simulator->rng().Fork(local.port).Next())};
  }

  void Start() { subflow = std::make_unique<Subflow>(config, this, this, &timers, &counters); }
  void Connect() {
    Start();
    subflow->Connect(simulator_->now());
  }
  // Sends `bytes` in all, and then a FIN when `fin`.
  void Send(uint64_t bytes, bool fin = true) {
    to_send_ = bytes;
    fin_ = fin;
    Push(simulator_->now());
  }

  // Node
  void Receive(Packet packet) override {
    Segment segment;
    if (ParseSegment(packet.bytes, packet.partial_checksum, &segment) != DropReason::kNone) {
      ++bad_packets;
      return;
    }
    if (!subflow && segment.syn) {
      Start();
      subflow->Accept(simulator_->now(), segment);
    } else if (subflow) {
      subflow->Input(simulator_->now(), segment);
    }
  }
  Time NextTimer() const override { return timers.Next(); }
  void Advance(Time now) override { timers.Advance(now); }

  // Environment
  void Output(const OutgoingPacket& out) override {
    Packet packet;
    packet.gso_size = out.gso_size;
    packet.partial_checksum = true;
    packet.bytes.assign(out.headers.begin(), out.headers.end());
    for (int i = 0; i < out.payload_pieces; ++i) {
      const ByteSpan piece = out.payload[static_cast<size_t>(i)];
      packet.bytes.insert(packet.bytes.end(), piece.begin(), piece.end());
    }
    largest_segment = std::max(largest_segment, out.payload_size());
    uplink_->up().Send(std::move(packet));
  }
  void Random(std::span<uint8_t> out) override { std::ranges::fill(out, uint8_t{0}); }
  std::optional<uint32_t> RouteMtu(const IpAddress&, const IpAddress&) override { return 1500; }
  std::optional<IpAddress> PreferredSource(const IpAddress&) override { return std::nullopt; }
  std::span<const uint16_t> SourcePorts(bool) override { return {}; }

  // SubflowOwner
  void FillOptions(Subflow&, const SegmentPlan&, MptcpOptions*) override {}
  Verdict OnHandshake(Subflow&, Time, const Segment&) override { return Verdict::kAccept; }
  void OnEstablished(Subflow&, Time now) override {
    established_at = now;
    Push(now);
  }
  Verdict OnSegment(Subflow&, Time, const Segment&) override { return Verdict::kAccept; }
  void OnAcked(Subflow&, Time now, uint32_t bytes) override {
    acked += bytes;
    buffer_.Release(acked);
    Push(now);
  }
  void OnPayload(Subflow&, Time, uint32_t ssn, ByteSpan bytes) override {
    if (ssn != static_cast<uint32_t>(received + 1)) wrong = true;
    if (CheckPattern(kPattern, received, bytes)) wrong = true;
    received += bytes.size();
    if (!reading) unread += bytes.size();
  }
  void OnFin(Subflow&, Time now) override { fin_at = now; }
  void OnInputDone(Subflow&, Time now) override { Push(now); }
  void OnTimeout(Subflow&, Time, int) override { ++timeouts; }
  void OnClosed(Subflow&, Time now, CloseReason reason, const TcpRst*) override {
    closed = reason;
    closed_at = now;
  }
  uint64_t ReceiveWindow(const Subflow&) const override {
    return receive_buffer > unread ? receive_buffer - unread : 0;
  }

  // The program reads again.
  void ReadAll() {
    reading = true;
    unread = 0;
    subflow->WindowMayHaveOpened(simulator_->now());
  }

  Link& up() { return uplink_->up(); }
  static constexpr uint64_t kPattern = 99;

  SubflowConfig config;
  TimerQueue timers;
  Counters counters;
  uint64_t receive_buffer = 6 << 20, unread = 0;
  bool reading = true, wrong = false;
  uint64_t received = 0, acked = 0, bad_packets = 0;
  size_t largest_segment = 0;
  int timeouts = 0;
  Time established_at = kNever, fin_at = kNever, closed_at = kNever;
  std::optional<CloseReason> closed;

 private:
  void Push(Time now) {
    if (!subflow || !subflow->MaySend()) return;
    // Written as far as the buffer takes it.
    while (written_ < to_send_ && buffer_.space() > 0) {
      std::array<uint8_t, 65536> bytes;
      const size_t n =
          std::min({bytes.size(), static_cast<size_t>(to_send_ - written_), buffer_.space()});
      FillPattern(kPattern, written_, std::span(bytes).first(n));
      written_ += buffer_.Append(std::span(bytes).first(n));
    }
    while (sent_ < written_) {
      const size_t left = static_cast<size_t>(written_ - sent_);
      size_t n = std::min({subflow->SendRoom(now), subflow->MaxSegment(), left});
      // A closed window is the owner's to probe.
      if (n == 0 && subflow->everything_acked() && subflow->Info().peer_window == 0) n = 1;
      if (n == 0) return;
      Mapping mapping;
      mapping.dsn = sent_;
      mapping.length = static_cast<uint16_t>(n);
      const Payload payload = buffer_.Get(sent_, n);
      sent_ += n;
      subflow->SendData(now, payload, mapping, sent_ == to_send_);
    }
    if (fin_ && sent_ == to_send_ && !subflow->fin_sent()) subflow->Close(now);
  }

  Simulator* simulator_;
  Uplink* uplink_;
  BlockPool pool_{1024};
  SendBuffer buffer_{&pool_, 4 << 20};
  uint64_t to_send_ = 0, written_ = 0, sent_ = 0;
  bool fin_ = false;

 public:
  std::unique_ptr<Subflow> subflow;  // last: it goes first
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_TCP_ENDPOINT_H_
