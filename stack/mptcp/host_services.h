// The seam inside the stack between one connection (stack/mptcp/connection_impl.*) and the host
// that owns it (stack/host.cc). Division of labour (lead writes host.cc against this; the mptcp
// worker writes ConnectionImpl):
//
//   Host: demultiplexing by 4-tuple and by token, listeners and SYN queue bounds, source ports,
//   ISNs, RST for unknown
//         segments, TIME_WAIT reuse, capability cache ownership, deferred destruction, timers.
//   ConnectionImpl: everything about one connection: its Subflow objects (it owns them), MPTCP
//   options and state, keys, joins in both directions,
//         parking of early joins (ParkedJoins, per connection, global bound through
//         TakeParkingSlot), path manager, scheduler, data level.
//
// What Host calls on a ConnectionImpl (public methods it must have, beside Connection):
//   ConnectionImpl(HostServices*, uint64_t id, bool initiator);
//   bool Connect(Time, const FourTuple&, const LocalAddress&, const ConnectOptions&,
//   ConnectionObserver*);  // sends the SYN void Accept(Time, const Segment& syn, const
//   LocalAddress&, const ListenOptions&);   // responder: SYN (with or without MP_CAPABLE) Verdict
//   OnJoinSyn(Time, const Segment& syn, const LocalAddress&);  // Host found this connection by the
//   token: the connection makes a
//                                                                      // subflow (kAccept),
//                                                                      ignores or parks it (kDrop),
//                                                                      refuses (kReset: Host sends
//                                                                      // RST with the MP_TCPRST
//                                                                      that JoinRefusal() tells)
//   TcpRst JoinRefusal() const;                                        // of the last kReset
//   bool PortIsOurs(uint16_t local_port) const;                        // joins are looked up by
//   token, but only on the connection's own
//                                                                      // port or one announced by
//                                                                      ADD_ADDR
//   void OnLocalAddresses(Time);                                       //
//   services->local_addresses() changed void SetObserver(ConnectionObserver*); // responder, from
//   the listener's OnAccepted bool finished() const;                                             //
//   OnClosed was delivered and no subflow is left: may be destroyed
#ifndef MPTCPTLS_STACK_MPTCP_HOST_SERVICES_H_
#define MPTCPTLS_STACK_MPTCP_HOST_SERVICES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "stack/buffer.h"
#include "stack/counters.h"
#include "stack/environment.h"
#include "stack/host.h"
#include "stack/tcp/subflow.h"
#include "stack/timer.h"
#include "stack/types.h"
#include "stack/wire/mptcp_options.h"

namespace mptcptls {

class CapabilityCache;
class ConnectionImpl;

class HostServices {
 public:
  virtual ~HostServices() = default;

  virtual Environment* environment() = 0;
  virtual TimerQueue* timers() = 0;
  virtual Counters* counters() = 0;
  virtual BlockPool* blocks() = 0;
  virtual EarlyBudget* early() = 0;
  virtual const HostConfig& config() const = 0;
  virtual CapabilityCache* cache() = 0;
  virtual const std::vector<LocalAddress>& local_addresses() const = 0;

  // A subflow takes part in demultiplexing from Add to Remove. Add is false when the tuple is
  // taken.
  virtual bool AddSubflow(const FourTuple& tuple, Subflow* subflow) = 0;
  virtual void RemoveSubflow(const FourTuple& tuple) = 0;
  // An unused source port of the stack for this pair; nullopt when there is none.
  virtual std::optional<uint16_t> TakePort(const IpAddress& local, const Endpoint& remote) = 0;
  // Configuration of a new subflow: MTU by route, ISN (RFC 6528), timestamp offset. nullopt: no
  // route.
  virtual std::optional<SubflowConfig> NewSubflowConfig(Time now, const FourTuple& tuple) = 0;

  // Tokens are unique among all that are alive in this host, of both modes. False: taken, or zero.
  virtual bool ClaimToken(uint32_t token, ConnectionImpl* connection) = 0;
  virtual void ReleaseToken(uint32_t token) = 0;
  virtual uint32_t RandomToken() = 0;  // by the configured layout; not claimed yet

  // Global bound of parked joins (PROTOCOL.md 3): false when 1024 are parked in this engine or 4
  // from this source.
  virtual bool TakeParkingSlot(const IpAddress& source) = 0;
  virtual void ReturnParkingSlot(const IpAddress& source) = 0;

  // This side broke the connection of this subflow off, and said so (fast_close_memory.h).
  virtual void RememberFastClose(Time now, const FourTuple& tuple, const FastClose& option) = 0;

  // The connection has nothing under way and found no memory to write into: Host calls its
  // OnMemory() when there is some.
  virtual void AwaitMemory(ConnectionImpl* connection) = 0;

  // Orphans are bounded; false: there are too many (counted).
  virtual bool TakeOrphanSlot() = 0;
  virtual void ReturnOrphanSlot() = 0;

  // Responder: the first subflow is established. Host asks the listener for an observer and calls
  // SetObserver(); false: refused, abort.
  virtual bool Established(ConnectionImpl* connection, Time now) = 0;
  // The connection may have become finished(): Host looks at it when the current call from outside
  // returns.
  virtual void MayBeFinished(ConnectionImpl* connection) = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_HOST_SERVICES_H_
