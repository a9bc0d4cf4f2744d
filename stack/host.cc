#include <algorithm>

#include "stack/host_impl.h"
#include "stack/mptcp/crypto.h"
#include "stack/wire/bytes.h"

namespace mptcptls {
namespace {

// A packet's data must fit one SendData() (SubflowConfig::max_segment_bytes).
constexpr uint32_t kMostMtu = 65000;
constexpr size_t kMaxParked = 1024, kMaxParkedPerSource = 4;  // PROTOCOL.md 3

// One source: an IPv4 address or an IPv6 /64.
IpAddress SourcePrefix(IpAddress address) {
  if (address.family == Family::kV6) {
    std::fill(address.bytes.begin() + 8, address.bytes.end(), uint8_t{0});
  }
  return address;
}

}  // namespace

std::unique_ptr<Host> Host::Create(const HostConfig& config, Environment* environment) {
  return std::make_unique<HostImpl>(config, environment);
}

HostImpl::HostImpl(const HostConfig& config, Environment* environment)
    : config_(config),
      environment_(environment),
      blocks_(config.max_blocks),
      early_(config.max_early),
      time_waits_{config.max_time_waits},
      cache_(config.cache_lifetime),
      fast_closes_(&timers_),
      isns_(environment),
      syn_queue_(config.max_syn_queue, config.max_syn_queue_per_listener),
      cookies_(environment) {}

HostImpl::~HostImpl() { connections_.clear(); }

Time HostImpl::NextTimer() const {
  const bool at_once = !maybe_finished_.empty() || (!starved_.empty() && blocks_.MaySend(0));
  return at_once ? Time{} : timers_.Next();
}

void HostImpl::Advance(Time now) {
  Scope scope(this);
  timers_.Advance(now);
  FeedStarved(now);
}

void HostImpl::AwaitMemory(ConnectionImpl* connection) { starved_.push_back(connection->id()); }

void HostImpl::FeedStarved(Time now) {
  for (size_t waiting = starved_.size(); waiting > 0 && blocks_.MaySend(0); --waiting) {
    const auto it = connections_.find(starved_.front());
    starved_.pop_front();
    if (it != connections_.end()) it->second->OnMemory(now);
  }
}

void HostImpl::Reap() {
  // Destroying a connection may end nothing else, but its observer's last call may have.
  while (!maybe_finished_.empty()) {
    std::vector<uint64_t> ids;
    ids.swap(maybe_finished_);
    for (const uint64_t id : ids) {
      const auto it = connections_.find(id);
      if (it == connections_.end()) continue;
      it->second->Sweep();
      if (!it->second->finished()) continue;
      syn_queue_.Remove(id);
      connections_.erase(it);
    }
  }
}

void HostImpl::SetLocalAddresses(Time now, std::vector<LocalAddress> addresses) {
  Scope scope(this);
  if (addresses == addresses_) return;
  addresses_ = std::move(addresses);
  // A connection may end others from its callbacks, but is destroyed only at the end.
  for (const auto& [id, connection] : connections_) connection->OnLocalAddresses(now);
}

void HostImpl::RoutesChanged(Time now) {
  Scope scope(this);
  for (const auto& [id, connection] : connections_) connection->OnRoutes(now);
}

void HostImpl::NextHopFailed(Time now, absl::FunctionRef<bool(const FourTuple&)> through) {
  Scope scope(this);
  for (const auto& [id, connection] : connections_) connection->OnNextHopFailed(now, through);
}

const LocalAddress* HostImpl::FindLocal(const IpAddress& address) const {
  const auto it = std::ranges::find(addresses_, address, &LocalAddress::address);
  return it == addresses_.end() ? nullptr : &*it;
}

Connection* HostImpl::Connect(Time now, const Endpoint& remote, const ConnectOptions& options,
                              ConnectionObserver* observer, EndReason* why) {
  Scope scope(this);
  *why = EndReason::kUnreachable;
  if (connections_.size() >= config_.max_connections) return nullptr;
  const auto source =
      options.local_address ? options.local_address : environment_->PreferredSource(remote.address);
  const LocalAddress* local = source ? FindLocal(*source) : nullptr;
  if (local == nullptr) return nullptr;
  const auto port = options.local_port != 0 ? std::optional(options.local_port)
                                            : TakePort(local->address, remote);
  if (!port) return nullptr;
  const uint64_t id = ++last_id_;
  auto owned = std::make_unique<ConnectionImpl>(this, id, true);
  ConnectionImpl* connection = owned.get();
  connections_[id] = std::move(owned);
  const FourTuple tuple{{local->address, *port}, remote};
  if (!connection->Connect(now, tuple, *local, options, observer)) {
    connections_.erase(id);
    return nullptr;
  }
  *why = EndReason::kNone;
  return connection;
}

ListenerId HostImpl::Listen(const Endpoint& endpoint, const ListenOptions& options,
                            ListenerObserver* observer) {
  ListenOptions complete = options;
  complete.wildcard = endpoint.address.IsUnspecified();
  complete.wildcard_both =
      complete.wildcard && endpoint.address.family == Family::kV6 && !options.v6only;
  return listeners_.Add(endpoint, complete, observer);
}

void HostImpl::CloseListener(Time now, ListenerId id) {
  Scope scope(this);
  listeners_.Remove(id);
  for (const uint64_t half_open : syn_queue_.Of(id)) {
    syn_queue_.Remove(half_open);
    connections_.at(half_open)->Abort(now);
  }
}

bool HostImpl::Established(ConnectionImpl* connection, Time now) {
  const auto id = syn_queue_.Remove(connection->id());
  const Listener* listener = id ? listeners_.Get(*id) : nullptr;
  if (listener == nullptr) return false;
  ConnectionObserver* observer = listener->observer->OnAccepted(*connection, now);
  if (observer == nullptr) return false;
  connection->SetObserver(observer);
  return true;
}

void HostImpl::MayBeFinished(ConnectionImpl* connection) {
  maybe_finished_.push_back(connection->id());
}

Connection* HostImpl::Find(uint64_t connection_id) {
  const auto it = connections_.find(connection_id);
  return it == connections_.end() ? nullptr : it->second.get();
}

void HostImpl::ForEachConnection(const std::function<void(Connection&)>& visit) {
  Scope scope(this);
  for (const auto& [id, connection] : connections_) visit(*connection);
}

// As net.ipv4.tcp_max_orphans.
bool HostImpl::TakeOrphanSlot() {
  if (orphans_ >= config_.max_orphans) {
    ++counters_.orphans_reset;
    return false;
  }
  ++orphans_;
  return true;
}

// ---- Subflows and ports

bool HostImpl::AddSubflow(const FourTuple& tuple, Subflow* subflow) {
  if (!subflows_.emplace(tuple, subflow).second) return false;
  ++port_uses_[tuple.local.port];
  return true;
}

void HostImpl::RemoveSubflow(const FourTuple& tuple) {
  if (subflows_.erase(tuple) == 0) return;
  const auto uses = port_uses_.find(tuple.local.port);
  if (--uses->second == 0) port_uses_.erase(uses);
}

bool HostImpl::PortInUse(uint16_t port) const {
  return port_uses_.contains(port) || listeners_.PortInUse(port);
}

std::optional<uint16_t> HostImpl::TakePort(const IpAddress& local, const Endpoint& remote) {
  const auto taken = [&](uint16_t port) {
    return subflows_.contains(FourTuple{{local, port}, remote}) || listeners_.PortInUse(port);
  };
  const uint32_t destination = isns_.PortGroup({{local, 0}, remote});
  std::array<uint8_t, 4> bytes;
  environment_->Random(bytes);
  const auto random = LoadBig<uint32_t>(bytes.data());
  std::span<const uint16_t> ports = environment_->SourcePorts(false);
  if (const auto port = source_ports_.Next(destination, ports, random, taken)) return port;
  // Where there were no more the last time, asking again costs more than a longer search.
  if (!more_ports_) {
    if (const auto port = SourcePorts::Any(ports, taken)) return port;
  }
  const size_t before = ports.size();
  ports = environment_->SourcePorts(true);
  more_ports_ = ports.size() > before;
  if (more_ports_) source_ports_.Continue(destination, before);
  const auto port = source_ports_.Next(destination, ports, random, taken);
  return port ? port : SourcePorts::Any(ports, taken);
}

std::optional<SubflowConfig> HostImpl::NewSubflowConfig(Time now, const FourTuple& tuple) {
  const auto mtu = environment_->RouteMtu(tuple.local.address, tuple.remote.address);
  if (!mtu) return std::nullopt;
  SubflowConfig config;
  config.tuple = tuple;
  config.mtu = std::min(*mtu, kMostMtu);
  const bool again = reuse_ && reuse_->first == tuple;
  config.iss = again ? reuse_->second : isns_.Isn(now, tuple);
  config.timestamp_offset = isns_.TimestampOffset(tuple);
  config.segmentation = config_.segmentation;
  config.policy = config_.tcp;
  config.time_wait = config_.time_wait;
  config.time_waits = &time_waits_;
  config.early = &early_;
  config.known_mtu = path_mtus_.Find(now, tuple.local.address, tuple.remote.address);
  config.path_mtus = &path_mtus_;
  // The least scale that can tell of the whole buffer: a larger one only rounds more.
  config.window_scale = 0;
  while (config.window_scale < 14 &&
         size_t{65535} << config.window_scale < config_.receive_buffer) {
    ++config.window_scale;
  }
  return config;
}

// ---- Tokens and parking

bool HostImpl::ClaimToken(uint32_t token, ConnectionImpl* connection) {
  return token != 0 && by_token_.emplace(token, connection).second;
}

void HostImpl::ReleaseToken(uint32_t token) { by_token_.erase(token); }

uint32_t HostImpl::RandomToken() {
  std::array<uint8_t, 4> random;
  environment_->Random(random);
  return LayOutToken(LoadBig<uint32_t>(random.data()));
}

uint32_t HostImpl::LayOutToken(uint32_t random) const {
  const size_t bits = std::min<size_t>(config_.token_server_id_bits, 16);
  if (bits == 0) return random;
  // PROTOCOL.md 6: the server's id on top, and over all of it a cipher if there is a key.
  const uint32_t id = config_.token_server_id & ((1u << bits) - 1);
  const uint32_t plain = id << (32 - bits) | random >> bits;
  return config_.token_key ? EncryptToken(*config_.token_key, plain) : plain;
}

bool HostImpl::TakeParkingSlot(const IpAddress& source) {
  if (parked_ >= kMaxParked) return false;
  size_t& count = parked_by_source_[SourcePrefix(source)];
  if (count >= kMaxParkedPerSource) return false;
  ++count;
  ++parked_;
  return true;
}

void HostImpl::ReturnParkingSlot(const IpAddress& source) {
  const auto it = parked_by_source_.find(SourcePrefix(source));
  if (it == parked_by_source_.end()) return;
  --parked_;
  if (--it->second == 0) parked_by_source_.erase(it);
}

}  // namespace mptcptls
