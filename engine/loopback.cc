#include "engine/loopback.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace mptcptls {
namespace {

constexpr uint32_t kMtu = 65520;  // one packet is what OutgoingPacket may hold
using Length = uint32_t;

HostConfig OnePath(HostConfig config) {
  config.paths.max_subflows = 1;
  config.paths.announce = false;
  config.paths.accept_joins = false;
  // The peer is this very program, and ports of loopback are soon another's.
  config.cache_lifetime = Duration::zero();
  return config;
}

}  // namespace

Loopback::Loopback(const HostConfig& config, Environment* outer, Dumps* dumps)
    : outer_(outer), dumps_(dumps), host_(Host::Create(OnePath(config), this)) {}

bool Loopback::Admit(Time now, const Endpoint& remote, ConnectOptions* options) {
  if (!host_->Listens(remote)) return false;
  if (!options->local_address) options->local_address = PreferredSource(remote.address);
  return options->local_address && Know(now, remote.address) && Know(now, *options->local_address);
}

bool Loopback::Know(Time now, const IpAddress& address) {
  std::vector<LocalAddress> known = host_->local_addresses();
  if (std::ranges::find(known, address, &LocalAddress::address) != known.end()) return true;
  if (known.size() >= kMaxAddresses) return false;
  known.push_back({.address = address, .uplink = "lo", .mtu = kMtu});
  host_->SetLocalAddresses(now, std::move(known));
  return true;
}

std::optional<uint32_t> Loopback::RouteMtu(const IpAddress& local, const IpAddress& remote) {
  return local.family == remote.family ? std::optional(kMtu) : std::nullopt;
}

std::optional<IpAddress> Loopback::PreferredSource(const IpAddress& remote) {
  return outer_->PreferredSource(remote);
}

void Loopback::Output(const OutgoingPacket& packet) {
  const size_t size = packet.headers.size() + packet.payload_size();
  if (sent_.size() + sizeof(Length) + size > kMaxQueued) {
    ++dropped_;
    return;
  }
  const auto length = static_cast<Length>(size);
  const auto* const prefix = reinterpret_cast<const uint8_t*>(&length);
  sent_.insert(sent_.end(), prefix, prefix + sizeof length);
  std::array<iovec, 4> pieces;
  int count = 0;
  const auto add = [&](ByteSpan bytes) {
    sent_.insert(sent_.end(), bytes.begin(), bytes.end());
    pieces[static_cast<size_t>(count++)] = {const_cast<uint8_t*>(bytes.data()), bytes.size()};
  };
  add(packet.headers);
  for (int i = 0; i < packet.payload_pieces; ++i) add(packet.payload[static_cast<size_t>(i)]);
  if (!dumps_->empty())
    dumps_->Write(CaptureFile::Direction::kOut, pieces.data(), count, packet.tcp_offset);
}

bool Loopback::Deliver(Time now) {
  if (sent_.empty()) return false;
  delivering_.swap(sent_);
  for (ByteSpan rest = delivering_; !rest.empty();) {
    Length length;
    memcpy(&length, rest.data(), sizeof length);
    host_->Input(now, rest.subspan(sizeof length, length), true);
    rest = rest.subspan(sizeof length + length);
  }
  delivering_.clear();
  return true;
}

void Loopback::GiveMemoryBack() {
  if (host_->connection_count() > 0) return;
  sent_.shrink_to_fit();
  delivering_.shrink_to_fit();
}

}  // namespace mptcptls
