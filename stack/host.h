// The whole stack of one host, sans-I/O: demultiplexes packets to subflows, listeners and
// connections; owns the tables, the timers, the capability cache and the counters. One thread
// drives it: Input() per packet, Advance() when NextTimer() is due. Same calls in the same order
// with the same times and the same Environment answers give the same packets, in every process.
#ifndef MPTCPTLS_STACK_HOST_H_
#define MPTCPTLS_STACK_HOST_H_

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "stack/counters.h"
#include "stack/environment.h"
#include "stack/mptcp/connection.h"
#include "stack/mptcp/path_policy.h"
#include "stack/mptcp/scheduler.h"
#include "stack/tcp/policy.h"
#include "stack/types.h"

namespace mptcptls {

// An address of this host that subflows may use.
struct LocalAddress {
  IpAddress address;
  std::string uplink;  // interface name, for status and rules
  uint32_t mtu = 1500;
  UplinkUse use = UplinkUse::kNormal;
  size_t subflows = 1;  // that the uplink wants, and that a pair of addresses may have
  auto operator<=>(const LocalAddress&) const = default;
};

using TokenKey = std::array<uint8_t, 16>;  // of AES-128

struct HostConfig {
  size_t max_connections = 65536;
  size_t max_blocks = 16384;          // of 64 KiB, all buffers together
  size_t max_early = 256u << 20;      // bytes that came ahead of their turn, all together
  size_t send_buffer = 8u << 20;      // bytes per connection
  size_t receive_buffer = 12u << 20;  // bytes per connection: what the advertised window may reach
  // Half-open connections; a SYN beyond them is answered by a SYN cookie.
  size_t max_syn_queue = 1024, max_syn_queue_per_listener = 512;
  bool segmentation = true;  // the device takes 64 KiB segments
  bool checksum = false;     // flag A in what we offer
  TcpPolicy tcp;
  PathPolicy paths;
  SchedulerKind scheduler = SchedulerKind::kLowestRtt;  // of connections that choose none
  Duration cache_lifetime = std::chrono::minutes(10);
  Duration time_wait = std::chrono::seconds(60);
  size_t max_orphans = 8192;        // connections that are not over and whose program is gone
  size_t max_time_waits = 16384;    // subflows in TIME-WAIT
  size_t token_server_id_bits = 0;  // 0: random layout (PROTOCOL.md 6)
  uint16_t token_server_id = 0;
  std::optional<TokenKey> token_key;  // encrypted layout
};

struct ConnectOptions {
  AuthPolicy auth = AuthPolicy::kAuto;
  bool tls_hooked = false;                 // auto: offer E only where keys can come
  bool clear_port = false;                 // auto: the remote port is one of clear_ports
  std::optional<IpAddress> local_address;  // what the program bound
  uint16_t local_port = 0;                 // what the program bound; 0: one of SourcePorts()
  int syn_retries = 6;                     // TCP_SYNCNT
  StreamOptions stream;
  std::optional<SchedulerKind> scheduler;  // nullopt: the host's
};

struct ListenOptions {
  AuthPolicy auth = AuthPolicy::kAuto;
  bool tls_hooked = false;
  bool clear = false;
  std::optional<SchedulerKind> scheduler;  // nullopt: the host's
  bool wildcard = false;                   // set by Host: no address was given
  bool wildcard_both = false;              // set by Host: and of both families
  bool v6only = true;  // a wildcard IPv6 listener that is not v6only also takes IPv4
};

class ListenerObserver {
 public:
  virtual ~ListenerObserver() = default;
  // Asked on each SYN: false makes the stack ignore it, as the kernel does with a full backlog.
  virtual bool CanAccept() = 0;
  // A connection is established (third ACK valid). Returns its observer, null to refuse (it is then
  // aborted).
  virtual ConnectionObserver* OnAccepted(Connection& connection, Time now) = 0;
};

using ListenerId = uint64_t;

class Host {
 public:
  // `environment` outlives the host.
  static std::unique_ptr<Host> Create(const HostConfig& config, Environment* environment);
  virtual ~Host() = default;

  // One IP packet (GSO-sized or not). `partial_checksum`: the kernel vouches for it (vnet header
  // NEEDS_CSUM or DATA_VALID).
  virtual void Input(Time now, ByteSpan packet, bool partial_checksum) = 0;
  virtual Time NextTimer() const = 0;
  virtual void Advance(Time now) = 0;

  // Addresses in order of preference. Gone ones lose their subflows (REMOVE_ADDR is sent on
  // others), new ones are used and announced.
  virtual void SetLocalAddresses(Time now, std::vector<LocalAddress> addresses) = 0;
  virtual const std::vector<LocalAddress>& local_addresses() const = 0;
  // Environment::RouteMtu() answers otherwise than before: what led nowhere may lead somewhere now.
  virtual void RoutesChanged(Time now) = 0;

  // The next hop of these connections does not answer (ARP, neighbour discovery): attempts to
  // connect end as with ICMP's "host unreachable" (RFC 5461 3.1), as Linux does it; those that are
  // up go on.
  virtual void NextHopFailed(Time now, absl::FunctionRef<bool(const FourTuple&)> through) = 0;

  // Starts connecting. Null and an EndReason (kUnreachable ...) when it cannot even start (no
  // route, no port, limits).
  virtual Connection* Connect(Time now, const Endpoint& remote, const ConnectOptions& options,
                              ConnectionObserver* observer, EndReason* why) = 0;

  // `endpoint.address` unspecified: every local address. Several listeners may share an endpoint
  // (SO_REUSEPORT): connections go to them in turn.
  virtual ListenerId Listen(const Endpoint& endpoint, const ListenOptions& options,
                            ListenerObserver* observer) = 0;
  virtual void CloseListener(Time now,
                             ListenerId id) = 0;  // half-open connections of it are dropped

  virtual Connection* Find(uint64_t connection_id) = 0;
  virtual void ForEachConnection(
      const std::function<void(Connection&)>& visit) = 0;  // in order of creation
  virtual size_t connection_count() const = 0;             // TIME_WAIT included
  virtual size_t blocks_in_use() const = 0;  // of 64 KiB; 0 when no connection is left
  virtual bool PortInUse(uint16_t port) const = 0;
  virtual bool Listens(const Endpoint& local) const = 0;  // whether a SYN there has a listener
  // What must hold of every connection whenever no call is under way; empty is right, else the
  // first thing that is wrong. For simulation and fuzzers, after every step.
  virtual std::string CheckInvariants() const = 0;

  virtual const Counters& counters() const = 0;
  virtual Counters& mutable_counters() = 0;

  // Capability cache (PROTOCOL.md 1), observable and clearable.
  struct CacheEntry {
    IpAddress local;
    Endpoint remote;
    std::string capability;  // "tls-auth", "keys", "tcp", "clear"
    Duration expires_in{0};
    bool confirms_keys = false;  // says NEW_KEY
  };
  virtual std::vector<CacheEntry> Cache(Time now) const = 0;
  // Forgets a destination (port 0: all of its ports), or everything; returns how many entries.
  virtual size_t ClearCache(const std::optional<Endpoint>& remote) = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_HOST_H_
