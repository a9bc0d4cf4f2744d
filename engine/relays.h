// All captured connections of the engine, and what is looked up among them: by id (names, options),
// by TLS client random (keys), how failed connects ended, and the last ones that closed.
#ifndef MPTCPTLS_ENGINE_RELAYS_H_
#define MPTCPTLS_ENGINE_RELAYS_H_

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/client_random.h"
#include "engine/control.h"
#include "engine/event_loop.h"
#include "engine/relay.h"
#include "stack/mptcp/connection.h"

namespace mptcptls {

// What `mptcptls status` tells of a connection.
struct ConnectionRecord {
  uint64_t id = 0;
  Program program;
  ConnectionInfo info;
  Time began{};
};

class Relays {
 public:
  static constexpr size_t kMaxClosed = 64;     // records kept of connections that closed
  static constexpr size_t kMaxResults = 1024;  // remembered ends of failed connects

  // `on_port_released`: a port that a program had bound and connected from is free again.
  Relays(EventLoop* loop, std::function<void(uint16_t)> on_port_released)
      : loop_(loop), on_port_released_(std::move(on_port_released)) {}

  EventLoop* loop() const { return loop_; }
  // A relay with a fresh random id, owned here until it retires.
  Relay* Make(Program program);
  Relay* Find(uint64_t id) const;
  size_t size() const { return by_id_.size(); }
  // In order of creation.
  std::vector<ConnectionRecord> Open() const;
  const std::deque<ConnectionRecord>& closed() const { return closed_; }
  // Responders of a listener that no program has accepted yet.
  size_t Waiting(uint64_t listener) const;

  // The relay has work at the end of the batch; several calls are as good as one.
  void MarkDirty(Relay* relay);
  // Pumps what is dirty and destroys what has retired. True when work is left.
  bool PumpDirty();

  // ---- Called by relays
  void Retire(Relay* relay);
  void Closed(const Relay& relay, const ConnectionInfo& info);
  void RememberResult(uint64_t id, int error);
  // `end`: which one of the TLS session the stream's program has. An echo of it counts no more.
  void RememberRandom(const ClientRandom& random, uint64_t id, control::TlsEnd end);
  void CountWaiting(uint64_t listener, int change);

  // The errno of a failed connect(), 0 when it did not fail (or nobody knows).
  int Result(uint64_t id) const;
  // The relay whose stream carried this random, at this end, if `uid` may give it a
  // key (its owner or root), and no two carried it; null otherwise.
  Relay* FindByRandom(const ClientRandom& random, uid_t uid, control::TlsEnd end) const;
  // Whether a key of the session of this random may be this connection's: not when its stream
  // began with the ClientHello of another one (TLS within TLS).
  bool MayBeOf(uint64_t id, const ClientRandom& random) const;

  // Every program sees ECONNRESET.
  void AbortAll(Time now);

 private:
  struct Entry {
    std::unique_ptr<Relay> relay;
    Time began{};
    uint64_t order = 0;
    bool dirty = false;
    bool retired = false;
    std::vector<ClientRandom> randoms;
  };
  struct Carrier {
    uint64_t id = 0;
    control::TlsEnd end = control::TlsEnd::kUnknown;
  };

  EventLoop* loop_;
  std::function<void(uint16_t)> on_port_released_;
  absl::flat_hash_map<uint64_t, Entry> by_id_;
  uint64_t order_ = 0;
  std::vector<uint64_t> dirty_, retired_;
  std::deque<ConnectionRecord> closed_;
  absl::flat_hash_map<uint64_t, int> results_;
  std::deque<uint64_t> result_order_;
  absl::flat_hash_map<ClientRandom, std::vector<Carrier>> by_random_;
  absl::flat_hash_map<uint64_t, size_t> waiting_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_RELAYS_H_
