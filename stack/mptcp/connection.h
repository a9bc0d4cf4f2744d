// One connection as the program sees it: a byte stream each way, over one subflow (plain TCP, or
// MPTCP before any join) or several. Made by Host::Connect() or by a listener; destroyed by Host
// after OnClosed(). This header is what the engine's relay and the simulator use; how it works
// inside is in connection_impl.h and its neighbours.
//
// Callbacks come from within Host::Input(), Host::Advance() and the calls below. The observer may
// call any method from a callback.
#ifndef MPTCPTLS_STACK_MPTCP_CONNECTION_H_
#define MPTCPTLS_STACK_MPTCP_CONNECTION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stack/mptcp/crypto.h"
#include "stack/mptcp/scheduler.h"
#include "stack/tcp/subflow.h"
#include "stack/types.h"

namespace mptcptls {

enum class Mode : uint8_t { kTlsAuth, kKeys, kTcp };           // the three outcomes, PROTOCOL.md 1
enum class AuthPolicy : uint8_t { kAuto, kTls, kKeys, kTcp };  // PROTOCOL.md 1, "Policy"
enum class KeyState : uint8_t { kNone, kPresent, kRefused };   // kRefused: TLS ended without a key
enum class PeerKey : uint8_t { kUnknown, kHolds, kDiffers };   // what NEW_KEY says, PROTOCOL.md 8

// Why a connection ended, as errno values are made of it at the edge.
enum class EndReason : uint8_t {
  kNone,
  kClean,           // both directions ended and were acknowledged
  kReset,           // ECONNRESET
  kRefused,         // ECONNREFUSED
  kTimedOut,        // ETIMEDOUT
  kUnreachable,     // EHOSTUNREACH
  kNetUnreachable,  // ENETUNREACH
  kNoProtocol,      // ENOPROTOOPT
  kProhibited,      // EACCES
  kAborted,         // by this side
};

// What the program's socket options ask of a connection.
struct StreamOptions {
  Patience patience;                             // of every subflow
  Duration fin_wait = std::chrono::seconds(60);  // TCP_LINGER2; negative: none
  bool no_delay = false;                         // TCP_NODELAY
  bool cork = false;                             // TCP_CORK
  uint8_t tos = 0, traffic_class = 0;  // IP_TOS of IPv4 subflows, IPV6_TCLASS of those of IPv6

  uint8_t TrafficClass(Family family) const { return family == Family::kV4 ? tos : traffic_class; }
};

struct SubflowStatus {
  uint32_t id = 0;  // counts from 1, in order of creation
  uint8_t local_id = 0, remote_id = 0;
  FourTuple tuple;
  std::string uplink;          // interface name
  bool joined = false;         // MP_JOIN (else MP_CAPABLE)
  bool authenticated = false;  // its handshake proved the keys
  bool backup = false;
  bool stale = false;  // not answering; its data was reinjected
  bool ended = false;  // no part of the connection any more; `tcp` is of its last moment
  SubflowInfo tcp;
};

struct UnusedPath {
  IpAddress local;
  Endpoint remote;
  std::string reason;  // "no key yet", "refused by the peer (reason 1)", "back-off, next try in 3.2
                       // s", "no route", ...
};

struct ConnectionInfo {
  uint64_t id = 0;
  bool initiator = false;
  Mode mode = Mode::kTcp;
  KeyState key = KeyState::kNone;
  std::string key_reason;  // why refused
  PeerKey peer_key = PeerKey::kUnknown;
  uint32_t keys_replaced = 0;                           // times that later keys took over
  Endpoint local, remote;                               // of the first subflow
  SchedulerKind scheduler = SchedulerKind::kLowestRtt;  // of MPTCP; plain TCP has nothing to choose
  bool connected = false;
  bool fallback = false;  // began as MPTCP, is plain TCP now
  uint32_t local_token = 0, remote_token = 0;
  uint64_t bytes_sent = 0, bytes_received = 0,
           bytes_reinjected = 0;  // stream bytes accepted from and delivered to the program
  // MPTCP's data level (RFC 8684 3.3): sequence numbers, absolute; in plain TCP stream offsets.
  uint64_t write_dsn = 0;           // of the next byte that the program writes
  uint64_t unacknowledged_dsn = 0;  // the first without a Data ACK
  uint64_t expected_dsn = 0;        // of the next byte in order from the peer
  uint64_t bytes_carried = 0;       // of bytes_sent: have left, each counted once
  uint64_t bytes_acknowledged = 0;  // of these: by a Data ACK
  uint32_t data_timeouts = 0;       // consecutive ones, at the data level
  bool checksum = false;            // negotiated
  // Path management: what is in use, and its bounds.
  size_t addresses_announced = 0;  // ours, by ADD_ADDR
  size_t addresses_accepted = 0;   // the peer's, by ADD_ADDR
  size_t local_addresses = 0;      // that subflows may use
  size_t max_subflows = 0, max_addresses_accepted = 0;
  EndReason end = EndReason::kNone;
  std::vector<SubflowStatus>
      subflows;  // alive ones first, then ended ones (bounded), in order of creation
  std::vector<UnusedPath> unused_paths;
};

class Connection;

class ConnectionObserver {
 public:
  virtual ~ConnectionObserver() = default;
  virtual void OnConnected(Connection& connection,
                           Time now) = 0;  // initiator only; responders are accepted connected
  // Stream bytes in order, straight from the packet. Returns how many were taken; the rest is kept
  // and offered again by Connection::Read() when the observer can take more (it must ask, there is
  // no second call for the same bytes).
  virtual size_t OnData(Connection& connection, Time now, ByteSpan bytes) = 0;
  // The peer ended its direction and every byte before it was taken.
  virtual void OnPeerClosed(Connection& connection, Time now) = 0;
  // There is room to write again after WriteRegions() came back empty.
  virtual void OnWritable(Connection& connection, Time now) = 0;
  // The connection is over; `end` tells how. For kClean both directions were done before. The last
  // call; the Connection is destroyed when the current Host call returns. On anything but kClean
  // bytes not yet taken are gone.
  virtual void OnClosed(Connection& connection, Time now, EndReason end) = 0;
};

// What follows the bytes that a program wrote.
enum class Coming : uint8_t {
  kNothing,
  kNow,    // more in this instant: a short segment waits for it
  kLater,  // more, says the program (MSG_MORE): as under TCP_CORK, for these bytes alone
};

class Connection {
 public:
  virtual ~Connection() = default;

  virtual uint64_t id() const = 0;
  virtual Endpoint local() const = 0;
  virtual Endpoint remote() const = 0;
  virtual Mode mode() const = 0;

  // ---- Sending: fill the regions (recv() straight into them), then commit. No copy beyond that
  // one.
  virtual size_t WriteRegions(std::array<std::span<uint8_t>, 2>*
                                  regions) = 0;  // returns total room, 0: wait for OnWritable
  virtual void Commit(Time now, size_t bytes, Coming coming) = 0;
  virtual size_t Write(Time now, ByteSpan bytes) = 0;  // copying convenience (tests, small things)
  virtual void Shutdown(Time now) = 0;  // no more bytes: DATA_FIN / FIN after what was committed
  // RST (MP_FASTCLOSE where it can be proven). OnClosed(kAborted) follows.
  virtual void Abort(Time now) = 0;

  // ---- Receiving what OnData() did not take
  virtual ByteSpan Readable() const = 0;  // first contiguous piece
  virtual void Consume(Time now,
                       size_t bytes) = 0;  // opens the window; OnPeerClosed may come from here

  // ---- Keys (PROTOCOL.md 3). Only the first call counts.
  virtual void SetKeys(Time now, const ConnectionKeys& keys) = 0;
  // A later handshake on the connection (TLS 1.2's renegotiation) made others. They are used once
  // the peer has shown that it holds them, and those of before end with the first join under them
  // (PROTOCOL.md 8). Nothing happens where the first keys were never confirmed.
  virtual void ReplaceKeys(Time /*now*/, const ConnectionKeys& /*keys*/) {}
  virtual void RefuseKeys(Time now, std::string reason) = 0;
  virtual bool WantsKeys() const = 0;  // TLS-auth mode, neither SetKeys nor RefuseKeys came yet
  // Taking away cork, and setting no_delay, also sends what they kept back.
  virtual void SetOptions(Time /*now*/, const StreamOptions& /*options*/) {}
  // The stream carried a ClientHello: however this ends, the peer is no destination without TLS.
  virtual void NoteTls() {}

  // The program is gone without a word (its descriptor closed cleanly): finish sending, then leave;
  // the observer gets only OnClosed.
  virtual void Orphan(Time now) = 0;

  virtual ConnectionInfo Info(Time now) const = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_CONNECTION_H_
