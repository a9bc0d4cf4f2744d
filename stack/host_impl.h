// The host's tables and the services that connections get from them (host_services.h).
//
// Calls nest: Input() -> subflow -> connection -> observer -> connection ... A connection that is
// over is destroyed when the outermost call from outside returns (Scope); where a program's own
// call ended it, by the Advance() that NextTimer() asks for at once.
#ifndef MPTCPTLS_STACK_HOST_IMPL_H_
#define MPTCPTLS_STACK_HOST_IMPL_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "stack/buffer.h"
#include "stack/host.h"
#include "stack/isn.h"
#include "stack/listeners.h"
#include "stack/mptcp/capability_cache.h"
#include "stack/mptcp/connection_impl.h"
#include "stack/mptcp/fast_close_memory.h"
#include "stack/mptcp/host_services.h"
#include "stack/path_mtu_cache.h"
#include "stack/source_ports.h"
#include "stack/syn_cookie.h"
#include "stack/syn_queue.h"
#include "stack/timer.h"
#include "stack/wire/segment.h"

namespace mptcptls {

class HostImpl final : public Host, public HostServices {
 public:
  HostImpl(const HostConfig& config, Environment* environment);
  ~HostImpl() override;

  // ---- Host
  void Input(Time now, ByteSpan packet, bool partial_checksum) override;
  Time NextTimer() const override;
  void Advance(Time now) override;
  void RoutesChanged(Time now) override;
  void NextHopFailed(Time now, absl::FunctionRef<bool(const FourTuple&)> through) override;
  void SetLocalAddresses(Time now, std::vector<LocalAddress> addresses) override;
  const std::vector<LocalAddress>& local_addresses() const override { return addresses_; }
  Connection* Connect(Time now, const Endpoint& remote, const ConnectOptions& options,
                      ConnectionObserver* observer, EndReason* why) override;
  ListenerId Listen(const Endpoint& endpoint, const ListenOptions& options,
                    ListenerObserver* observer) override;
  void CloseListener(Time now, ListenerId id) override;
  Connection* Find(uint64_t connection_id) override;
  void ForEachConnection(const std::function<void(Connection&)>& visit) override;
  size_t connection_count() const override { return connections_.size(); }
  size_t blocks_in_use() const override { return blocks_.in_use(); }
  bool PortInUse(uint16_t port) const override;
  bool Listens(const Endpoint& local) const override { return listeners_.Any(local); }
  std::string CheckInvariants() const override;
  const Counters& counters() const override { return counters_; }
  Counters& mutable_counters() override { return counters_; }
  std::vector<CacheEntry> Cache(Time now) const override { return cache_.Entries(now); }
  size_t ClearCache(const std::optional<Endpoint>& remote) override {
    return cache_.Forget(remote);
  }

  // ---- HostServices
  Environment* environment() override { return environment_; }
  TimerQueue* timers() override { return &timers_; }
  Counters* counters() override { return &counters_; }
  BlockPool* blocks() override { return &blocks_; }
  EarlyBudget* early() override { return &early_; }
  const HostConfig& config() const override { return config_; }
  CapabilityCache* cache() override { return &cache_; }
  bool AddSubflow(const FourTuple& tuple, Subflow* subflow) override;
  void RemoveSubflow(const FourTuple& tuple) override;
  std::optional<uint16_t> TakePort(const IpAddress& local, const Endpoint& remote) override;
  std::optional<SubflowConfig> NewSubflowConfig(Time now, const FourTuple& tuple) override;
  bool ClaimToken(uint32_t token, ConnectionImpl* connection) override;
  void ReleaseToken(uint32_t token) override;
  uint32_t RandomToken() override;
  bool TakeParkingSlot(const IpAddress& source) override;
  void ReturnParkingSlot(const IpAddress& source) override;
  void RememberFastClose(Time now, const FourTuple& tuple, const FastClose& option) override {
    fast_closes_.Remember(now, tuple, option);
  }
  void AwaitMemory(ConnectionImpl* connection) override;
  bool TakeOrphanSlot() override;
  void ReturnOrphanSlot() override { --orphans_; }
  bool Established(ConnectionImpl* connection, Time now) override;
  void MayBeFinished(ConnectionImpl* connection) override;

 private:
  class Scope {
   public:
    explicit Scope(HostImpl* host) : host_(host) { ++host_->depth_; }
    ~Scope() {
      if (--host_->depth_ == 0) host_->Reap();
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    HostImpl* host_;
  };

  bool CountDrop(DropReason reason);
  void InputIcmp(Time now, ByteSpan packet);
  void InputUnknown(Time now, const Segment& segment);
  bool MayOpen(const Segment& syn) const;
  // host_syn.cc
  void InputSyn(Time now, const Segment& segment, const LocalAddress& local);
  ConnectionImpl* NewResponder(ListenerId listener);
  void AnswerByCookie(Time now, const Segment& syn, const Listener& listener);
  bool InputCookie(Time now, const Segment& segment, const LocalAddress& local);
  uint32_t LayOutToken(uint32_t random) const;
  void InputJoin(Time now, const Segment& segment, const LocalAddress& local);
  void RefuseUnknown(const Segment& segment);
  void Refuse(const Segment& segment, const MptcpOptions& said);
  const LocalAddress* FindLocal(const IpAddress& address) const;
  void Reap();
  void FeedStarved(Time now);

  HostConfig config_;
  Environment* environment_;
  Counters counters_;
  TimerQueue timers_;
  BlockPool blocks_;
  EarlyBudget early_;
  TimeWaitBudget time_waits_;
  CapabilityCache cache_;
  PathMtuCache path_mtus_;
  FastCloseMemory fast_closes_;
  IsnGenerator isns_;
  SourcePorts source_ports_;
  bool more_ports_ = true;  // the environment had some, when it was asked last
  std::vector<LocalAddress> addresses_;
  Listeners listeners_;
  absl::flat_hash_map<FourTuple, Subflow*> subflows_;        // looked up, never walked
  absl::flat_hash_map<uint32_t, ConnectionImpl*> by_token_;  // likewise
  std::map<uint16_t, size_t> port_uses_;                     // by local port of subflows
  SynQueue syn_queue_;                                       // connections before their third ACK
  SynCookies cookies_;
  // While a SYN is processed that ended a TIME-WAIT: its ends, and where our side begins.
  std::optional<std::pair<FourTuple, Seq>> reuse_;
  size_t orphans_ = 0;
  std::map<IpAddress, size_t> parked_by_source_;  // by /32 or /64
  size_t parked_ = 0;
  uint64_t last_id_ = 0;
  int depth_ = 0;
  std::vector<uint64_t> maybe_finished_;
  std::deque<uint64_t> starved_;  // connections that wait for memory, first come first served
  std::map<uint64_t, std::unique_ptr<ConnectionImpl>> connections_;  // last: they go first
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_HOST_IMPL_H_
