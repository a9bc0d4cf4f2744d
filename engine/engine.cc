#include "engine/engine.h"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/control_verbs.h"

namespace mptcptls {
namespace {

constexpr int kPacketsPerBatch = 64;
constexpr Duration kTick = std::chrono::seconds(1);
constexpr size_t kMaxDeclined = 64;
constexpr size_t kMaxSpared = 4096;
constexpr int kMostBatches = 64;      // of packets that wait when a listener is given back
constexpr size_t kManyBlocks = 1024;  // 64 MiB
constexpr char kTunName[] = "mptcptls%d";

HostConfig ToHostConfig(const Config& config, bool segmentation) {
  HostConfig host;
  host.cache_lifetime = config.cache_lifetime;
  host.send_buffer = config.send_buffer;
  host.receive_buffer = config.receive_buffer;
  host.segmentation = segmentation;
  host.tcp = config.tcp;
  host.paths = config.paths;
  host.scheduler = config.scheduler;
  host.token_server_id_bits = config.token_server_id_bits;
  host.token_server_id = config.token_server_id;
  host.token_key = config.token_key;
  host.max_syn_queue = config.syn_queue;
  host.max_syn_queue_per_listener = (config.syn_queue + 1) / 2;
  host.max_orphans = config.max_orphans;
  host.max_time_waits = config.max_time_waits;
  return host;
}

template <typename SteeredListeners>
std::set<uint16_t> PortsOf(const SteeredListeners& listeners) {
  std::set<uint16_t> ports;
  for (const SteeredListener& listener : listeners) ports.insert(listener.port);
  return ports;
}

// Whether a packet could be for both. An unspecified IPv6 address is IPv4's as well.
bool Meet(const Endpoint& one, const SteeredListener& other) {
  const bool any = one.address.IsUnspecified();
  const bool family =
      one.address.family == other.address.family || (any && one.address.family == Family::kV6);
  return one.port == other.port &&
         (one.address == other.address || (family && (any || other.address.IsUnspecified())));
}

bool KernelListens(const SteeredListener& where) {
  return std::ranges::any_of(KernelListenersOn(where.port), [&](const Endpoint& listener) {
    return !listener.address.IsLoopback() && Meet(listener, where);
  });
}

}  // namespace

Engine::Engine(Config config, EventLoop* loop)
    : config_(std::move(config)),
      loop_(loop),
      began_(loop->now()),
      idle_since_(loop->now()),
      dumps_(loop),
      relays_(loop, [this](uint16_t port) { ReleasePort(port); }),
      streams_(loop),
      on_tun_([this] { ReadTun(); }),
      on_uplinks_([this] { ReadUplinks(); }),
      on_neighbours_([this] { ReadNeighbours(); }),
      tick_(loop->timers(), [this](Time now) { Tick(now); }),
      packet_(size_t{1} << 16) {}

Engine::~Engine() {
  if (tun_ != nullptr) loop_->Remove(tun_->fd(), &on_tun_);
  if (uplinks_ != nullptr) loop_->Remove(uplinks_->fd(), &on_uplinks_);
  if (neighbours_ != nullptr) loop_->Remove(neighbours_->fd(), &on_neighbours_);
}

std::unique_ptr<Engine> Engine::Start(Config config, EventLoop* loop, std::string* error) {
  std::unique_ptr<Engine> engine(new Engine(std::move(config), loop));
  if (!engine->SetUp(error)) return nullptr;
  return engine;
}

bool Engine::SetUp(std::string* error) {
  tun_ = TunDevice::Open(kTunName, error);
  if (tun_ == nullptr) return false;
  uplinks_ = UplinkMonitor::Open(
      {.exclude_ifindex = tun_->ifindex(), .extra_interfaces = config_.interfaces}, error);
  if (uplinks_ == nullptr) return false;
  // After the TUN exists: its rules name an interface's index (FACTS.md).
  steering_ = Steering::Open(tun_->ifindex(), tun_->name(), error);
  if (steering_ == nullptr || !ports_.Grow(error)) return false;
  environment_ = std::make_unique<TunEnvironment>(tun_.get(), uplinks_.get(), &ports_, &dumps_,
                                                  [this] { ApplySteering(); });
  const HostConfig host = ToHostConfig(config_, tun_->segmentation());
  host_ = Host::Create(host, environment_.get());
  loopback_ = std::make_unique<Loopback>(host, environment_.get(), &dumps_);
  if (!ApplySteering()) {
    *error = steering_error_;
    return false;
  }
  TellAddresses();
  loop_->Add(tun_->fd(), EPOLLIN, &on_tun_);
  loop_->Add(uplinks_->fd(), EPOLLIN, &on_uplinks_);
  std::string without;
  neighbours_ = NeighbourMonitor::Open(&without);
  if (neighbours_ != nullptr)
    loop_->Add(neighbours_->fd(), EPOLLIN, &on_neighbours_);
  else
    spdlog::warn("{}: who is not there is found out by time-outs alone", without);
  tick_.Set(loop_->now() + kTick);
  return true;
}

void Engine::Serve(Descriptor name) {
  ControlVerbs verbs(this);
  server_ = std::make_unique<ControlServer>(
      loop_, std::move(name),
      [&verbs](ControlPeer& peer, ControlMessage& message) { verbs.OnRequest(peer, message); });
  idle_since_ = loop_->now();
  loop_->Run(this);
  server_.reset();
}

void Engine::Stop() {
  if (std::exchange(stopping_, true)) return;
  spdlog::info("ending, with {} connections",
               host_->connection_count() + loopback_->host()->connection_count());
  relays_.AbortAll(loop_->now());
  loop_->Stop();
}

// ---- The wire

bool Engine::ReadTun() {
  for (int i = 0; i < kPacketsPerBatch; ++i) {
    Offload offload;
    const ssize_t length = tun_->Read(packet_.data(), packet_.size(), &offload);
    if (length <= 0) {
      if (length < 0)
        spdlog::warn("reading the TUN device: {}", strerror(static_cast<int>(-length)));
      return false;
    }
    if (!dumps_.empty()) {
      const iovec piece{packet_.data(), static_cast<size_t>(length)};
      dumps_.Write(CaptureFile::Direction::kIn, &piece, 1,
                   offload.partial_checksum ? offload.tcp_offset : uint16_t{0});
    }
    host_->Input(loop_->now(), ByteSpan(packet_.data(), static_cast<size_t>(length)),
                 offload.partial_checksum || offload.checksum_valid);
  }
  return true;
}

void Engine::ReadUplinks() {
  if (!uplinks_->Process()) return;
  // The way first, then the packets.
  ApplySteering();
  TellAddresses();
  host_->RoutesChanged(loop_->now());
}

void Engine::ReadNeighbours() {
  for (const Neighbour& failed : neighbours_->TakeFailed()) {
    host_->NextHopFailed(loop_->now(), [&](const FourTuple& tuple) {
      return uplinks_->NextHopTo(tuple.local.address, tuple.remote.address) == failed;
    });
  }
}

void Engine::TellAddresses() {
  std::vector<LocalAddress> addresses;
  for (const UplinkAddress& uplink : uplinks_->addresses()) {
    if (!uplink.running) continue;
    const auto address = ApplyRules(config_.uplinks, {uplink.address, uplink.ifname, uplink.mtu});
    if (address) addresses.push_back(*address);
  }
  host_->SetLocalAddresses(loop_->now(), std::move(addresses));
}

bool Engine::ApplySteering() {
  std::vector<PortRange> ports = ports_.ranges();
  for (const auto& [port, uses] : bound_ports_) ports.push_back({port, port});
  std::vector<SteeredListener> listeners(draining_.begin(), draining_.end());
  for (const auto& [id, listener] : listeners_) {
    const auto steered = listener->Steered();
    listeners.insert(listeners.end(), steered.begin(), steered.end());
  }
  steering_->Take(outliving_);
  std::string error;
  const bool applied =
      steering_->Apply(uplinks_->addresses(), uplinks_->next_hops(), ports, listeners, &error);
  if (!applied && error != steering_error_) spdlog::error("steering: {}", error);
  steering_error_ = error;
  return applied;
}

std::vector<std::string> Engine::Installed() const {
  std::vector<std::string> lines = {"TUN device " + tun_->name() + " (vanishes with this process)"};
  const auto steering = steering_->Describe();
  lines.insert(lines.end(), steering.begin(), steering.end());
  return lines;
}

bool Engine::TakeBoundPort(uint16_t port) {
  if (++bound_ports_[port] > 1 || ApplySteering()) return true;
  bound_ports_.erase(port);
  return false;
}

void Engine::ReleasePort(uint16_t port) {
  const auto it = bound_ports_.find(port);
  if (it == bound_ports_.end() || --it->second > 0) return;
  bound_ports_.erase(it);
  ApplySteering();
}

// ---- Listeners

std::string Engine::SpareConnections(uint16_t port) {
  auto found = KernelConnectionsOn(port);
  if (!found) return "the kernel does not tell its connections (sock_diag), which it must keep";
  if (spared_.size() + found->size() > kMaxSpared)
    return "the kernel has too many connections on this port, which it must keep";
  spared_.merge(*found);
  steering_->Spare(spared_);
  return "";
}

bool Engine::ForgetSpared() {
  if (spared_.empty()) return false;
  std::set<FourTuple> alive;
  std::set<uint16_t> ports;
  for (const FourTuple& connection : spared_) ports.insert(connection.local.port);
  for (const uint16_t port : ports) {
    auto found = KernelConnectionsOn(port);
    if (!found) return false;
    alive.merge(*found);
  }
  const size_t gone = std::erase_if(spared_, [&](const auto& one) { return !alive.contains(one); });
  if (gone > 0) steering_->Spare(spared_);
  return gone > 0;
}

int Engine::AddListener(const CapturedListener::Options& options, Descriptor kernel) {
  auto listener = std::make_unique<CapturedListener>(options, std::move(kernel), loop_, host_.get(),
                                                     loopback_->host(), &relays_, &streams_);
  const int error = listener->Start();
  if (error != 0) return error;
  const auto [it, added] = listeners_.emplace(options.name.id, std::move(listener));
  if (!added) return EADDRINUSE;
  // Once more: between the two the kernel may have taken others in.
  if (!ApplySteering() || (options.inherited && !SpareConnections(options.endpoint.port).empty()) ||
      !ApplySteering()) {
    listeners_.erase(it);
    return ENETDOWN;
  }
  std::erase_if(declined_, [&](const auto& d) { return d.endpoint == options.endpoint; });
  spdlog::info("{} listens on {}", options.program.name, options.endpoint.ToString());
  return 0;
}

void Engine::Decline(DeclinedListener listener) {
  spdlog::warn("{} is not captured: {}", listener.endpoint.ToString(), listener.reason);
  std::erase_if(declined_, [&](const auto& d) { return d.endpoint == listener.endpoint; });
  declined_.push_back(std::move(listener));
  if (declined_.size() > kMaxDeclined) declined_.pop_front();
}

template <typename Predicate>
bool Engine::ReleaseIf(Predicate dead) {
  std::vector<std::unique_ptr<CapturedListener>> released;
  for (auto it = listeners_.begin(); it != listeners_.end();) {
    if (!dead(*it->second)) {
      ++it;
      continue;
    }
    spdlog::info("{} is gone", it->second->options().endpoint.ToString());
    released.push_back(std::move(it->second));
    it = listeners_.erase(it);
  }
  if (released.empty()) return false;
  std::vector<SteeredListener> inherited;
  for (const auto& listener : released) {
    const auto steered = listener->Steered();
    if (listener->options().inherited)
      inherited.insert(inherited.end(), steered.begin(), steered.end());
    else
      draining_.insert(steered.begin(), steered.end());
  }
  outliving_.merge(Accepted(PortsOf(inherited)));
  ForgetOutlived();
  bool applied = ApplySteering();
  if (inherited.empty()) return applied;
  // Clients that came until now are for whoever listens on the kernel's socket as well, at their
  // next SYN: the stack must not refuse them.
  for (int i = 0; i < kMostBatches && ReadTun(); ++i) {
  }
  released.clear();
  // Where nobody does, it was given away for good.
  const size_t before = draining_.size();
  std::ranges::copy_if(inherited, std::inserter(draining_, draining_.end()),
                       [](const auto& steered) { return !KernelListens(steered); });
  if (draining_.size() > before) applied = ApplySteering();
  return applied;
}

std::set<FourTuple> Engine::Accepted(const std::set<uint16_t>& ports) const {
  std::set<FourTuple> found;
  host_->ForEachConnection([&](Connection& connection) {
    const ConnectionInfo info = connection.Info(loop_->now());
    if (info.initiator || !ports.contains(info.local.port)) return;
    for (const SubflowStatus& subflow : info.subflows) {
      if (!subflow.ended && subflow.tcp.state != TcpState::kTimeWait) found.insert(subflow.tuple);
    }
  });
  return found;
}

bool Engine::ForgetOutlived() {
  if (draining_.empty() && outliving_.empty()) return false;
  std::set<uint16_t> ports = PortsOf(draining_);
  for (const FourTuple& connection : outliving_) ports.insert(connection.local.port);
  const std::set<FourTuple> alive = Accepted(ports);
  const size_t over = std::erase_if(draining_, [&](const SteeredListener& gone) {
    return std::ranges::none_of(alive,
                                [&](const FourTuple& one) { return one.local.port == gone.port; });
  });
  return std::erase_if(outliving_, [&](const auto& one) { return !alive.contains(one); }) + over >
         0;
}

bool Engine::HandPortsOver() {
  std::vector<SteeredListener> theirs;
  for (const SteeredListener& gone : draining_) {
    const bool ours = std::ranges::any_of(listeners_, [&](const auto& entry) {
      const auto steered = entry.second->Steered();
      return std::ranges::any_of(steered, [&](const auto& one) {
        return Meet({one.address, one.port}, gone);
      });
    });
    if (!ours && KernelListens(gone)) theirs.push_back(gone);
  }
  if (theirs.empty()) return false;
  outliving_.merge(Accepted(PortsOf(theirs)));
  for (const SteeredListener& gone : theirs) draining_.erase(gone);
  return true;
}

bool Engine::ReleaseDead(uint16_t port) {
  return ReleaseIf([port](const CapturedListener& listener) {
    return listener.options().endpoint.port == port && listener.IsDead();
  });
}

// ---- Time

Time Engine::NextDeadline() {
  if (more_work_) return loop_->now();
  return std::min(host_->NextTimer(), loopback_->host()->NextTimer());
}

void Engine::Advance(Time now) {
  for (Host* const host : {host_.get(), loopback_->host()}) {
    if (host->NextTimer() <= now) host->Advance(now);
  }
}

void Engine::OnBatchDone(Time now) {
  const bool pump = relays_.PumpDirty();
  more_work_ = loopback_->Deliver(now) || pump;
  streams_.Sweep();
  dumps_.Sweep();
  if (server_ != nullptr) server_->Sweep();
}

bool Engine::Idle() const {
  return host_->connection_count() == 0 && loopback_->host()->connection_count() == 0 &&
         listeners_.empty() && relays_.size() == 0 && streams_.size() == 0 && dumps_.empty();
}

// The C library keeps what a burst left for ever; the next one is not soon.
void Engine::GiveMemoryBack() {
  loopback_->GiveMemoryBack();
  const size_t blocks = host_->blocks_in_use() + loopback_->host()->blocks_in_use();
  most_blocks_ = std::max(most_blocks_, blocks);
  if (most_blocks_ < kManyBlocks || blocks > most_blocks_ / 8) return;
  most_blocks_ = 0;
  malloc_trim(0);
}

void Engine::Tick(Time now) {
  tick_.Set(now + kTick);
  GiveMemoryBack();
  ReleaseIf([](const CapturedListener& listener) { return listener.IsDead(); });
  const bool spares_less = ForgetSpared();
  const bool handed_over = HandPortsOver();
  if (ForgetOutlived() || handed_over || spares_less || !steering_error_.empty()) ApplySteering();
  if (!Idle()) {
    idle_since_ = now;
    return;
  }
  if (now - idle_since_ < config_.idle_timeout) return;
  idle_since_ = now;
  if (!server_->Close()) return;
  spdlog::info("idle: ending");
  loop_->Stop();
}

}  // namespace mptcptls
