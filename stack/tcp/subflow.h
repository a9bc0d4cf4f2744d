// One TCP connection on one path (RFC 9293), the carrier of an MPTCP connection or of a plain TCP
// one. It owns sequence space, retransmission, congestion control and subflow-level reassembly;
// what its bytes mean is its owner's affair.
//
// Theory of operation
// - Everything happens inside Input(), the senders and timers; each gets `now`. Packets leave
// through Environment::Output at once.
// - A segment is a byte range of any size up to ~64 KB (ARCHITECTURE.md 9): SendData() sends one
// range as one packet that
//   the device cuts; SACK and retransmission then work on sub-ranges, always with the mapping the
//   bytes were first sent with.
// - The owner is called back while a segment is processed. It must not destroy the subflow inside a
// callback: it marks it and
//   destroys it later (Host::Reap). Calling senders from callbacks is fine, they are re-entrant.
// - In order of one Input(): acceptability (RFC 9293 3.10.7.4, RFC 7323, RFC 5961) -> OnSegment ->
// ACK processing -> OnAcked
//   -> payload (OnPayload, in order only) -> FIN (OnFin) -> OnInputDone, where the owner pushes
//   more data; then the delayed or immediate ACK.
#ifndef MPTCPTLS_STACK_TCP_SUBFLOW_H_
#define MPTCPTLS_STACK_TCP_SUBFLOW_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "stack/buffer.h"
#include "stack/counters.h"
#include "stack/environment.h"
#include "stack/tcp/keepalive.h"
#include "stack/tcp/path_mtu.h"
#include "stack/tcp/policy.h"
#include "stack/tcp/time_wait.h"
#include "stack/timer.h"
#include "stack/types.h"
#include "stack/wire/icmp.h"
#include "stack/wire/segment.h"

namespace mptcptls {

enum class TcpState : uint8_t {
  kClosed,
  kSynSent,
  kSynReceived,
  kEstablished,
  kFinWait1,
  kFinWait2,
  kCloseWait,
  kClosing,
  kLastAck,
  kTimeWait,
};
const char* TcpStateName(TcpState state);  // as `ss` writes them

// What payload bytes mean at the data level (RFC 8684 3.3.1). In plain TCP `dsn` is the stream
// offset and nothing goes on the wire.
struct Mapping {
  uint64_t dsn = 0;     // absolute, of the first byte
  uint32_t ssn = 0;     // relative subflow sequence number, first byte of the subflow is 1
  uint16_t length = 0;  // payload bytes covered (DATA_FIN not counted); 0: no mapping
  bool data_fin = false;
  uint16_t checksum = 0;  // where negotiated, computed by the owner
};

// A segment about to leave, so that the owner can put the right MPTCP options on it.
struct SegmentPlan {
  enum class Kind : uint8_t { kSyn, kSynAck, kAck, kData, kFin, kReset };
  Kind kind = Kind::kAck;
  int transmission = 1;  // kSyn, kSynAck: 1 for the first, 2 for the first repeat ...
  size_t payload_size = 0;
  Mapping mapping;  // kData: that of the bytes, also when only a part of them is sent again
  size_t room = 0;  // option bytes that are left for kind 30
};

enum class Verdict : uint8_t {
  kAccept,
  kDrop,   // ignore this segment (counted by whoever decided)
  kReset,  // answer with RST (carrying what the owner's FillOptions gives for kReset) and close the
           // subflow
};

enum class CloseReason : uint8_t {
  kNone,
  kClosed,    // both FINs acknowledged (TIME_WAIT over, or LAST_ACK done)
  kReset,     // the peer's RST
  kRefused,   // RST in SYN_SENT
  kTimedOut,  // SYN or data retransmitted too often, or user timeout
  // ICMP said so and it was fatal in SYN_SENT, or it was the last that was heard before a time-out
  // (RFC 5461 2).
  kUnreachable,
  kNetUnreachable,
  kNoProtocol,
  kProhibited,
  kAborted,  // Abort() of this side
};

class Subflow;

// The level above. Time is that of the event.
class SubflowOwner {
 public:
  virtual ~SubflowOwner() = default;
  // Once per transmitted segment, retransmissions too: fill the MPTCP options, at most plan.room
  // bytes when encoded.
  virtual void FillOptions(Subflow& subflow, const SegmentPlan& plan, MptcpOptions* out) = 0;
  // SYN/ACK received in SYN_SENT, or the segment that would end SYN_RECEIVED: may it establish the
  // subflow?
  virtual Verdict OnHandshake(Subflow& subflow, Time now, const Segment& segment) = 0;
  virtual void OnEstablished(Subflow& subflow, Time now) = 0;
  // Every acceptable segment in a synchronized state, before its ACK and payload are processed
  // (DSS, ADD_ADDR, ...).
  virtual Verdict OnSegment(Subflow& subflow, Time now, const Segment& segment) = 0;
  // Bytes below snd_una became acknowledged (`bytes` new ones), or the window opened.
  virtual void OnAcked(Subflow& subflow, Time now, uint32_t bytes) = 0;
  // Payload in subflow order; `ssn` is the relative subflow sequence number of its first byte. Must
  // be taken whole.
  virtual void OnPayload(Subflow& subflow, Time now, uint32_t ssn, ByteSpan bytes) = 0;
  virtual void OnFin(Subflow& subflow, Time now) = 0;  // the peer's FIN, in order
  virtual void OnInputDone(Subflow& subflow, Time now) = 0;
  // The n-th consecutive retransmission timeout (n >= 1): time to reinject elsewhere.
  virtual void OnTimeout(Subflow& subflow, Time now, int consecutive) = 0;
  // Silence for two round trips while data is under way: a tail loss probe has left (RFC 8985 7).
  virtual void OnTailProbe(Subflow& /*subflow*/, Time /*now*/) {}
  // The subflow is dead; nothing is sent or received any more. `reset` is the peer's MP_TCPRST
  // where it sent one.
  virtual void OnClosed(Subflow& subflow, Time now, CloseReason reason, const TcpRst* reset) = 0;
  // Bytes of receive window to advertise (relative to the Data ACK in MPTCP, to rcv_nxt in plain
  // TCP).
  virtual uint64_t ReceiveWindow(const Subflow& subflow) const = 0;
  // Bytes that can be kept now: promises made before memory was short may have to wait.
  virtual uint64_t ReceiveRoom(const Subflow& /*subflow*/) const { return UINT64_MAX; }
  // MPTCP: what of earlier windows is not used up, relative to the Data ACK, and what the segment
  // that is about to leave says of it.
  virtual uint64_t ReceivePromise(const Subflow& /*subflow*/) const { return 0; }
  virtual void WindowTold(Subflow& /*subflow*/, uint64_t /*bytes*/) {}
};

class CongestionGroup;
class PathMtuCache;

struct SubflowConfig {
  FourTuple tuple;
  uint32_t mtu = 1500;
  Seq iss{};                      // RFC 6528, chosen by Host
  uint32_t timestamp_offset = 0;  // per connection, random
  int syn_retries = 6;            // net.ipv4.tcp_syn_retries
  int synack_retries = 5;
  int retries = 15;          // net.ipv4.tcp_retries2; a user timeout replaces it
  uint8_t window_scale = 9;  // what we offer
  bool windows_at_data_level =
      false;  // MPTCP: the window's right edge may be passed by repeated data (RFC 8684 3.3.5)
  size_t max_segment_bytes = 65000;  // payload per SendData(), before headers
  bool segmentation = true;          // false: never more than one MSS a packet
  TcpPolicy policy;
  CongestionGroup* congestion_group = nullptr;  // outlives the subflow; null: it is alone
  Duration time_wait = std::chrono::seconds(60);
  std::optional<KnownMtu> known_mtu;  // what an earlier connection learned of the path
  PathMtuCache* path_mtus = nullptr;  // where to tell what is learned; null: nowhere
  Patience patience;
  uint8_t traffic_class = 0;             // of every packet's IP header; ECN's two bits are not told
  TimeWaitBudget* time_waits = nullptr;  // null: unlimited
  EarlyBudget* early = nullptr;          // for what comes out of order; null: unlimited

  // What our timestamps say (RFC 7323 5.4): milliseconds, from an offset of the connection's own.
  uint32_t TimestampClock(Time now) const {
    return timestamp_offset +
           static_cast<uint32_t>(now.time_since_epoch() / std::chrono::milliseconds(1));
  }
};

// What loss and congestion do to the window, in the order of Linux's tcp_ca_state.
enum class RecoveryState : uint8_t { kOpen, kDisorder, kReduced, kRecovery, kLoss };

struct SubflowInfo {
  TcpState state = TcpState::kClosed;
  RecoveryState recovery = RecoveryState::kOpen;
  bool timestamps = false, sack = false, ecn = false;  // negotiated
  std::optional<uint8_t> send_scale, receive_scale;    // RFC 7323 2; nullopt: not negotiated
  uint64_t bytes_sent = 0, bytes_received = 0,
           bytes_retransmitted = 0;  // payload; sent counts each byte once
  uint64_t bytes_acked = 0;
  uint64_t segments_in = 0, segments_out = 0, segments_retransmitted = 0;
  Duration srtt{0}, rttvar{0}, rto{0}, min_rtt{0};
  uint32_t cwnd = 0, ssthresh = 0;  // bytes
  uint32_t in_flight = 0;           // bytes, SACKed and lost ones not counted
  uint32_t sacked = 0, lost = 0;    // bytes
  uint32_t mss = 0;                 // payload bytes per packet on the wire
  uint32_t path_mtu = 0;            // bytes, of an IP packet
  uint32_t peer_window = 0;         // bytes
  uint32_t receive_window = 0;      // bytes, as last advertised
  uint32_t timeouts = 0, fast_recoveries = 0;
  uint32_t consecutive_timeouts = 0, backoff = 0;
  uint64_t pacing_rate = 0;  // bytes per second; 0: none
  Duration receive_rtt{0};
  // Time{}: never.
  Time last_data_sent{}, last_data_received{}, last_received{};
};

class Subflow {
 public:
  // `environment`, `timers`, `counters` and `owner` outlive the subflow.
  Subflow(const SubflowConfig& config, SubflowOwner* owner, Environment* environment,
          TimerQueue* timers, Counters* counters);
  ~Subflow();
  Subflow(const Subflow&) = delete;
  Subflow& operator=(const Subflow&) = delete;

  // ---- Opening
  void Connect(Time now);                     // active: sends the SYN
  void Accept(Time now, const Segment& syn);  // passive: takes the SYN's options, sends the SYN/ACK
  // Passive, from a SYN cookie: the SYN/ACK went out without this object. `syn` is what the cookie
  // kept; the caller gives the segment that returned it to Input() next.
  void AcceptCookie(const Segment& syn);

  // ---- Packets that Host demultiplexed to this subflow
  void Input(Time now, const Segment& segment);
  // ICMP error quoting sequence number `seq` of ours; ignored unless in flight (RFC 5927).
  void OnIcmpError(Time now, const IcmpError& error);
  // The kernel found nobody to hand our SYN to.
  void OnNextHopFailed(Time now);

  // In TIME-WAIT: where a connection that `syn` opens between the same ends begins (RFC 6191);
  // nullopt: this one goes on.
  std::optional<Seq> IssOfNext(const Segment& syn) const;

  // ---- Sending
  // Payload bytes that congestion window, pacing and the peer's window (`respect_window`) allow
  // now, rounded so that a sender does not dribble (RFC 9293 3.8.6.2.1); 0 unless in a state that
  // may send data. Where pacing is the reason, OnInputDone() comes when its time is over.
  size_t SendRoom(Time now, bool respect_window = true) const;
  // Sends one range as one segment (<= MaxSegment()) with `mapping`; the caller made sure of
  // SendRoom() or knowingly probes (zero-window probe, reinjection). mapping.ssn is filled in here;
  // returns the mapping as sent.
  Mapping SendData(Time now, const Payload& payload, Mapping mapping, bool push);
  size_t MaxSegment() const;  // payload bytes one SendData() takes
  uint32_t next_ssn() const;  // relative subflow sequence number the next payload byte will have
  void SendAck(Time now);     // a pure ACK at once, with whatever options the owner has to say
  // The same without timestamps: room for 12 bytes more (ADD_ADDR with an IPv6 address and port).
  void SendBareAck(Time now);
  void Close(Time now);  // FIN after everything sent so far
  void Abort(Time now);  // RST (options: FillOptions with kReset), then closed
  // Its bytes have held those of other subflows up: it takes half as many from here on. Nothing
  // where loss recovery decides about the window.
  void Penalise();
  // Whose the window is, once it is known (SubflowConfig::windows_at_data_level): plain TCP's is
  // the subflow's.
  void SetWindowsAtDataLevel(bool on);
  void SetPatience(Time now, const Patience& patience);
  void SetTrafficClass(uint8_t traffic_class);
  // Closed without a word on the wire (owner is gone, host leaves).
  void Discard();

  // ---- State
  TcpState state() const;
  bool MaySend() const;      // ESTABLISHED or CLOSE_WAIT
  bool established() const;  // handshake done and not closed
  const FourTuple& tuple() const;
  bool fin_sent() const;
  uint32_t WindowOf(const Segment& segment) const;  // what its window field says, in bytes
  bool everything_acked() const;                    // nothing of ours is unacknowledged
  int consecutive_timeouts() const;                 // > 0: the path is not answering
  bool timed_out() const;  // why it closed, whatever reason ICMP gave for it
  Time last_received() const;
  Duration srtt() const;
  Duration rttvar() const;
  Duration rto() const;          // without back-off
  Duration receive_rtt() const;  // of a receiver, too; zero: not known
  uint32_t cwnd() const;
  uint32_t in_flight() const;  // bytes, SACKed and lost ones not counted
  uint32_t unacked() const;    // bytes sent and not acknowledged
  uint32_t mss() const;        // payload bytes of a full segment
  SubflowInfo Info() const;
  // Unacknowledged payload ranges in sequence order, as they were mapped: what must be reinjected
  // when this path dies.
  void ForEachUnacked(const std::function<void(const Mapping&, const Payload&)>& visit) const;
  // Of these the ones before the last that the peer has SACKed: the path is alive, but they are
  // late.
  void ForEachHole(const std::function<void(const Mapping&, const Payload&)>& visit) const;
  bool is_initiator() const;  // we sent the SYN
  // What must hold whenever no call is under way (subflow_invariants.cc); empty is right, else the
  // first thing that is wrong. For simulation and fuzzers, after every step.
  std::string CheckInvariants() const;

  // The program read: sends a window update when it is worth one (RFC 9293 3.8.6.2.2). A closed
  // window is the owner's to probe, with one byte through SendData(), as only it has unsent data.
  void WindowMayHaveOpened(Time now);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_SUBFLOW_H_
