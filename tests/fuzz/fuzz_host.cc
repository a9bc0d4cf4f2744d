// One host, and a peer that says anything: segments for real connections (the 4-tuple, the checksum
// and, where the input wants it, sequence numbers are right, so that they get deep), raw bytes,
// time, calls of the programs. Nothing may crash, run for ever, or count a bug.
//
// Input: commands of one byte and their operands; see Run().
#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "stack/host.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/sim/packet.h"
#include "tests/sim/rng.h"

namespace mptcptls::fuzz {
namespace {

using sim::Packet;
using sim::TcpView;

constexpr uint16_t kListening = 443;
constexpr size_t kMaxCommands = 300;

class World : public Environment, public ListenerObserver, public ConnectionObserver {
 public:
  World() {
    for (uint16_t i = 0; i < 256; ++i) ports_.push_back(static_cast<uint16_t>(40000 + i));
    HostConfig config;
    config.max_connections = 16;
    config.max_blocks = 256;
    config.send_buffer = 1 << 20;
    config.receive_buffer = 1 << 20;
    host_ = Host::Create(config, this);
    host_->SetLocalAddresses(now_, Addresses(3));
    ListenOptions listen;
    listen.tls_hooked = true;
    host_->Listen({IpAddress::V4(0u), kListening}, listen, this);
  }

  void Run(Input* in) {
    for (size_t n = 0; n < kMaxCommands && !in->empty(); ++n) {
      const uint8_t command = in->U8();
      switch (command % 16) {
        case 0:
          Connect(in->U8());
          break;
        case 1:
        case 2:
        case 3:
        case 4:
          Crafted(in);
          break;
        case 5:
          RawBytes(in);
          break;
        case 6:
          Mirror(in);
          break;
        case 7:
        case 8:
          Advance(in->U16());
          break;
        case 9:
          Write(in->U16());
          break;
        case 10:
          if (Connection* c = Pick(in->U8())) c->Shutdown(now_);
          break;
        case 11:
          if (Connection* c = Pick(in->U8())) c->Abort(now_);
          break;
        case 12:
          Keys(in->U8());
          break;
        case 13:
          Consume(in->U16());
          break;
        case 14:
          host_->SetLocalAddresses(now_, Addresses(in->U8()));
          break;
        case 15:
          if (Connection* c = Pick(in->U8())) c->Orphan(now_);
          break;
      }
    }
    Advance(0xffff);
    host_->ForEachConnection([this](Connection& c) { c.Info(now_); });
    FUZZ_CHECK(host_->counters().bugs == 0);
    FUZZ_CHECK(host_->connection_count() <= 16);
  }

  // Environment
  void Output(const OutgoingPacket& out) override {
    Packet packet;
    packet.bytes.assign(out.headers.begin(), out.headers.end());
    for (int i = 0; i < out.payload_pieces; ++i) {
      const ByteSpan p = out.payload[static_cast<size_t>(i)];
      packet.bytes.insert(packet.bytes.end(), p.begin(), p.end());
    }
    const auto view = TcpView::Of(packet.bytes);
    FUZZ_CHECK(view);
    FUZZ_CHECK(view->checksum() == view->PseudoHeaderSum());
    Flow& flow = flows_[view->tuple()];
    flow.next_in = view->ack();
    flow.next_out = view->seq() + static_cast<uint32_t>(view->payload().size()) +
                    (view->has(sim::kSyn) || view->has(sim::kFin) ? 1 : 0);
    sent_.push_back(std::move(packet));
    if (sent_.size() > 64) sent_.pop_front();
    FUZZ_CHECK(++outputs_ < 200'000);
  }
  void Random(std::span<uint8_t> out) override { rng_.Fill(out); }
  std::optional<uint32_t> RouteMtu(const IpAddress& local, const IpAddress& remote) override {
    if (local.family != remote.family) return std::nullopt;
    return 1500;
  }
  std::optional<IpAddress> PreferredSource(const IpAddress& remote) override {
    if (remote.family == Family::kV6) return std::nullopt;
    return IpAddress::V4(0x0a000001u);
  }
  std::span<const uint16_t> SourcePorts(bool) override { return ports_; }

  // ListenerObserver, ConnectionObserver
  bool CanAccept() override { return true; }
  ConnectionObserver* OnAccepted(Connection& c, Time) override {
    alive_.push_back(&c);
    return this;
  }
  void OnConnected(Connection&, Time) override {}
  size_t OnData(Connection&, Time, ByteSpan bytes) override {
    return take_all_ ? bytes.size() : bytes.size() / 2;
  }
  void OnPeerClosed(Connection&, Time) override {}
  void OnWritable(Connection&, Time) override {}
  void OnClosed(Connection& c, Time, EndReason) override { std::erase(alive_, &c); }

 private:
  struct Flow {
    uint32_t next_in = 1000, next_out = 0;
  };

  static std::vector<LocalAddress> Addresses(uint8_t set) {
    std::vector<LocalAddress> out;
    for (uint32_t i = 0; i < 4; ++i) {
      if ((set & (1 << i)) == 0) continue;
      out.push_back({IpAddress::V4(0x0a000001u + (i << 8)), "u" + std::to_string(i), 1500});
    }
    return out;
  }
  Connection* Pick(uint8_t which) {
    return alive_.empty() ? nullptr : alive_[which % alive_.size()];
  }

  void Connect(uint8_t how) {
    ConnectOptions options;
    options.auth = static_cast<AuthPolicy>(how % 4);
    options.tls_hooked = (how & 4) != 0;
    EndReason why;
    Connection* c = host_->Connect(now_, {IpAddress::V4(0x0a000002u), 80}, options, this, &why);
    if (c != nullptr) alive_.push_back(c);
  }

  // A segment: which flow, flags, offsets from what is expected, options and payload as given.
  void Crafted(Input* in) {
    const uint8_t which = in->U8(), flags = in->U8();
    FourTuple tuple{{IpAddress::V4(0x0a000001u), kListening},
                    {IpAddress::V4(0x0a000002u), static_cast<uint16_t>(1000 + (which & 15))}};
    if ((which & 0x80) != 0 && !flows_.empty()) {
      tuple = std::next(flows_.begin(), static_cast<long>((which & 0x7f) % flows_.size()))->first;
    }
    const Flow flow = flows_.contains(tuple) ? flows_[tuple] : Flow{};
    const uint32_t seq = flow.next_in + static_cast<uint32_t>(static_cast<int16_t>(in->U16()));
    const uint32_t ack = flow.next_out + static_cast<uint32_t>(static_cast<int8_t>(in->U8()));
    const uint16_t window = in->U16();
    const auto options = in->Take(in->U8() % 41);
    const size_t payload = in->U8() % 64 * (1 + in->U8() % 100);
    Packet packet;
    packet.bytes = Headers(tuple, seq, ack, flags, window, options);
    for (size_t i = 0; i < payload; ++i) packet.bytes.push_back(static_cast<uint8_t>(i));
    sim::Seal(&packet);
    Deliver(packet);
  }

  static std::vector<uint8_t> Headers(const FourTuple& tuple, uint32_t seq, uint32_t ack,
                                      uint8_t flags, uint16_t window,
                                      std::span<const uint8_t> options) {
    std::vector<uint8_t> b = {0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0};
    const auto put32 = [&b](uint32_t v) {
      for (int shift = 24; shift >= 0; shift -= 8) b.push_back(static_cast<uint8_t>(v >> shift));
    };
    const ByteSpan from = tuple.remote.address.span(), to = tuple.local.address.span();
    b.insert(b.end(), from.begin(), from.end());
    b.insert(b.end(), to.begin(), to.end());
    put32(static_cast<uint32_t>(tuple.remote.port) << 16 | tuple.local.port);
    put32(seq);
    put32(ack);
    const size_t padded = (options.size() + 3) / 4 * 4;
    b.push_back(static_cast<uint8_t>((5 + padded / 4) << 4));
    b.push_back(flags);
    b.push_back(static_cast<uint8_t>(window >> 8));
    b.push_back(static_cast<uint8_t>(window));
    put32(0);
    b.insert(b.end(), options.begin(), options.end());
    b.resize(40 + padded, 0);
    return b;
  }

  void RawBytes(Input* in) {
    const bool partial = (in->U8() & 1) != 0;
    const auto bytes = in->Take(in->U8());
    const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
    host_->Input(now_, copy, partial);
  }

  // One of the host's own last packets comes back with ends exchanged and some bytes changed: the
  // options of a plausible peer.
  void Mirror(Input* in) {
    if (sent_.empty()) return;
    Packet packet = sent_[in->U8() % sent_.size()];
    auto view = TcpView::Of(packet.bytes);
    const FourTuple t = view->tuple();
    const Flow flow = flows_[t];
    view->set_source(t.remote.address);
    view->set_destination(t.local.address);
    const size_t tcp = view->tcp_offset();
    std::swap(packet.bytes[tcp], packet.bytes[tcp + 2]);
    std::swap(packet.bytes[tcp + 1], packet.bytes[tcp + 3]);
    view->set_seq(flow.next_in);
    for (int i = 0; i < 4; ++i) {
      packet.bytes[tcp + 8 + static_cast<size_t>(i)] =
          static_cast<uint8_t>(flow.next_out >> (24 - 8 * i));
    }
    view->set_flags(in->U8());
    for (int changes = in->U8() % 8; changes > 0; --changes) {
      const size_t at = tcp + 20 + in->U8() % 60;
      const uint8_t value = in->U8();
      if (at < packet.bytes.size()) packet.bytes[at] = value;
    }
    sim::Seal(&packet);
    Deliver(packet);
  }

  void Deliver(const Packet& packet) {
    const std::vector<uint8_t> exact = packet.bytes;
    host_->Input(now_, exact, false);
  }

  void Advance(uint16_t milliseconds) {
    const Time until = now_ + std::chrono::milliseconds(milliseconds);
    for (int steps = 0; host_->NextTimer() <= until; ++steps) {
      FUZZ_CHECK(steps < 100'000);
      now_ = std::max(now_, host_->NextTimer());
      host_->Advance(now_);
    }
    now_ = until;
  }

  void Write(uint16_t size) {
    if (Connection* c = Pick(static_cast<uint8_t>(size))) {
      const std::vector<uint8_t> bytes(size, 0x5a);
      c->Write(now_, bytes);
    }
  }

  void Keys(uint8_t which) {
    Connection* c = Pick(which);
    if (c == nullptr) return;
    std::array<uint8_t, 16> ekm{};
    if ((which & 0x80) != 0) return c->RefuseKeys(now_, "no");
    c->SetKeys(now_, ConnectionKeys::FromExporter(ekm));
  }

  void Consume(uint16_t size) {
    Connection* c = Pick(static_cast<uint8_t>(size >> 8));
    take_all_ = (size & 1) != 0;
    if (c != nullptr) c->Consume(now_, std::min<size_t>(size, c->Readable().size()));
  }

  Time now_{std::chrono::seconds(1)};
  sim::Rng rng_{1};
  std::vector<uint16_t> ports_;
  std::vector<Connection*> alive_;
  std::map<FourTuple, Flow> flows_;  // seen from the host
  std::deque<Packet> sent_;
  uint64_t outputs_ = 0;
  bool take_all_ = true;
  std::unique_ptr<Host> host_;  // last: it goes first
};

}  // namespace
}  // namespace mptcptls::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mptcptls::fuzz::Input input(data, size);
  mptcptls::fuzz::World world;
  world.Run(&input);
  return 0;
}
