#include "tests/sim/sim_host.h"

#include <algorithm>

namespace mptcptls::sim {
namespace {

constexpr size_t kLargestPacket = 65521;  // Environment: one IP packet
constexpr size_t kMaxViolations = 10;     // the first ones tell

}  // namespace

SimHost::SimHost(Simulator* simulator, std::string name, const HostConfig& config,
                 uint16_t first_port)
    : simulator_(simulator),
      name_(std::move(name)),
      config_(config),
      rng_(simulator->rng().Fork(0x10000 + first_port)),
      first_port_(first_port) {
  simulator->AddNode(this);
  SourcePorts(true);
}

Uplink* SimHost::AddUplink(Network* network, std::vector<IpAddress> addresses, const LinkConfig& up,
                           const LinkConfig& down) {
  const std::string name = name_ + std::to_string(uplinks_.size());
  uplinks_.push_back(
      {simulator_->AddUplink(this, network, name, std::move(addresses), up, down), true});
  return uplinks_.back().uplink;
}

std::vector<LocalAddress> SimHost::Addresses() const {
  std::vector<LocalAddress> out;
  for (const Interface& i : uplinks_) {
    if (!i.up) continue;
    for (const IpAddress& a : i.uplink->addresses()) {
      out.push_back({a, i.uplink->name(), i.uplink->up().config().mtu, i.use, i.subflows});
    }
  }
  return out;
}

void SimHost::Start() {
  host_ = Host::Create(config_, this);
  host_->SetLocalAddresses(simulator_->now(), Addresses());
}

void SimHost::SetUplinkUp(size_t index, bool up) {
  uplinks_[index].up = up;
  uplinks_[index].uplink->set_black_hole(!up);
  simulator_->trace().Note(simulator_->now(),
                           uplinks_[index].uplink->name() + (up ? " up" : " down"));
  host_->SetLocalAddresses(simulator_->now(), Addresses());
}

void SimHost::SetRouted(size_t index, bool routed) {
  uplinks_[index].routed = routed;
  host_->RoutesChanged(simulator_->now());
}

void SimHost::SetUse(size_t index, UplinkUse use, size_t subflows) {
  uplinks_[index].use = use;
  uplinks_[index].subflows = subflows;
  host_->SetLocalAddresses(simulator_->now(), Addresses());
}

void SimHost::Receive(Packet packet) {
  if (const auto view = TcpView::Of(packet.bytes)) monitor_.Received(*view);
  if (host_) host_->Input(simulator_->now(), packet.bytes, packet.partial_checksum);
}

SimHost::Interface* SimHost::Owner(const IpAddress& address) {
  for (Interface& i : uplinks_) {
    if (std::ranges::find(i.uplink->addresses(), address) != i.uplink->addresses().end()) return &i;
  }
  return nullptr;
}

void SimHost::Output(const OutgoingPacket& outgoing) {
  Packet packet;
  packet.gso_size = outgoing.gso_size;
  packet.partial_checksum = true;
  packet.bytes.reserve(outgoing.headers.size() + outgoing.payload_size());
  packet.bytes.assign(outgoing.headers.begin(), outgoing.headers.end());
  for (int i = 0; i < outgoing.payload_pieces; ++i) {
    const ByteSpan piece = outgoing.payload[static_cast<size_t>(i)];
    packet.bytes.insert(packet.bytes.end(), piece.begin(), piece.end());
  }
  const auto view = TcpView::Of(packet.bytes);
  const Interface* from = view ? Owner(view->source()) : nullptr;
  Check(outgoing, &packet, from);
  if (from != nullptr && from->up) from->uplink->up().Send(std::move(packet));
}

void SimHost::Check(const OutgoingPacket& outgoing, Packet* packet, const Interface* from) {
  const auto view = TcpView::Of(packet->bytes);
  if (!view) return Violation("not a TCP packet", *packet);
  if (from == nullptr) return Violation("source address is not ours", *packet);
  if (view->payload_offset() + view->payload().size() != packet->bytes.size()) {
    Violation("IP length and packet disagree", *packet);
  }
  if (outgoing.family != view->family() || outgoing.tcp_offset != view->tcp_offset() ||
      outgoing.headers.size() != view->payload_offset()) {
    Violation("OutgoingPacket describes another packet", *packet);
  }
  if (packet->bytes.size() > kLargestPacket) Violation("larger than a TUN takes", *packet);
  if (!view->Ipv4HeaderValid()) Violation("IPv4 header checksum", *packet);
  // RFC 1191 3: nobody on the way may make fragments of it. TcpView reads none.
  if (view->family() == Family::kV4 && (packet->bytes[6] & 0xc0) != 0x40) {
    Violation("IPv4 without DF", *packet);
  }
  if (view->checksum() != view->PseudoHeaderSum()) Violation("partial checksum", *packet);
  const uint32_t mtu = from->uplink->up().config().mtu;
  const size_t wire =
      outgoing.gso_size != 0 ? view->payload_offset() + outgoing.gso_size : packet->bytes.size();
  if (from->up && wire > mtu) Violation("above the MTU", *packet);
  const std::string wrong = monitor_.Sent(*view);
  if (!wrong.empty()) Violation(wrong, *packet);
  if (outgoing.gso_size != 0 && view->has(kSyn)) Violation("GSO on a SYN", *packet);
  if (outgoing.gso_size != 0 && view->payload().size() <= outgoing.gso_size) {
    Violation("gso_size on a packet that needs no cut", *packet);
  }
}

void SimHost::Violation(const std::string& what, const Packet& packet) {
  std::vector<uint8_t> bytes = packet.bytes;
  const auto view = TcpView::Of(bytes);
  Report(what + ": " + (view ? view->ToString() : std::to_string(bytes.size()) + " bytes"));
}

void SimHost::Report(const std::string& what) {
  if (violations_.size() >= kMaxViolations) return;
  violations_.push_back(name_ + ": " + what);
  simulator_->trace().Note(simulator_->now(), "VIOLATION " + violations_.back());
}

void SimHost::CheckInvariants() {
  if (!host_ || broken_) return;
  const std::string wrong = host_->CheckInvariants();
  if (wrong.empty()) return;
  broken_ = true;
  Report("invariant: " + wrong);
}

std::optional<uint32_t> SimHost::RouteMtu(const IpAddress& local, const IpAddress& remote) {
  const Interface* from = Owner(local);
  if (from == nullptr || !from->up || !from->routed || local.family != remote.family ||
      !from->uplink->network()->Reaches(remote)) {
    return std::nullopt;
  }
  return from->uplink->up().config().mtu;
}

std::optional<IpAddress> SimHost::PreferredSource(const IpAddress& remote) {
  for (const Interface& i : uplinks_) {
    if (!i.up || !i.uplink->network()->Reaches(remote)) continue;
    for (const IpAddress& a : i.uplink->addresses()) {
      if (a.family == remote.family) return a;
    }
  }
  return std::nullopt;
}

std::span<const uint16_t> SimHost::SourcePorts(bool more) {
  if (more) {
    for (int i = 0; i < 256; ++i) {
      ports_.push_back(static_cast<uint16_t>(first_port_ + ports_.size()));
    }
  }
  return ports_;
}

}  // namespace mptcptls::sim
