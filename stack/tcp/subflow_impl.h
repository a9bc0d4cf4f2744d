// The state behind Subflow, and its parts by role: opening and closing (subflow_state.cc), arrival
// of segments (subflow_input.cc), what an acknowledgement tells (subflow_ack.cc), loss recovery
// (subflow_recovery.cc) and how it is taken back (subflow_undo.cc), explicit congestion
// notification (subflow_ecn.cc), sending (subflow_output.cc). Names are those of RFC 9293 3.3.1.
//
// Timers: `retransmit_` runs while anything that we sent is unacknowledged (RFC 6298 5); `probe_`
// before it, once per flight, for the tail (RFC 8985 7); `reorder_` when RACK waits for late
// packets (RFC 8985 6); `pace_` while there may be more to send but not yet; `delayed_ack_` while
// an acknowledgement is owed; `time_wait_` at the end; `keepalive_timer_` while the program
// wants to know whether a silent peer lives.
#ifndef MPTCPTLS_STACK_TCP_SUBFLOW_IMPL_H_
#define MPTCPTLS_STACK_TCP_SUBFLOW_IMPL_H_

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "stack/tcp/congestion.h"
#include "stack/tcp/delayed_ack.h"
#include "stack/tcp/out_of_order.h"
#include "stack/tcp/pacer.h"
#include "stack/tcp/path_mtu.h"
#include "stack/tcp/receive_rtt.h"
#include "stack/tcp/reordering.h"
#include "stack/tcp/rtt.h"
#include "stack/tcp/sent_queue.h"
#include "stack/tcp/subflow.h"

namespace mptcptls {

// Time stamps compare modulo 2^32 (RFC 7323 5.2).
inline bool Older(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) < 0; }

class Subflow::Impl {
 public:
  Impl(Subflow* self, const SubflowConfig& config, SubflowOwner* owner, Environment* environment,
       TimerQueue* timers, Counters* counters);
  ~Impl() { LeaveTimeWait(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  // ---- subflow_state.cc
  void Connect(Time now);
  void Accept(Time now, const Segment& syn);
  void AcceptCookie(const Segment& syn);
  void Close(Time now);
  void Abort(Time now);
  void Discard();
  void TakeSynOptions(const Segment& segment);
  void Establish(Time now, const Segment& segment);
  void EnterTimeWait(Time now);
  void LeaveTimeWait();
  void CancelTimers();
  std::optional<Seq> IssOfNext(const Segment& syn) const;
  void Finish(Time now, CloseReason reason, const TcpRst* reset);
  void LimitMtu();
  void SetMtu();

  // ---- subflow_icmp.cc
  void OnIcmpError(Time now, const IcmpError& error);
  void OnNextHopFailed(Time now);
  void OnTooBig(Time now, const IcmpError& error);
  void RevertBackoff(Time now);
  void LearnMtu(Time now);
  void SuspectBlackHole();
  void PacketDelivered(Time now, const SentRange& range);
  void LoseProbe(Time now, SentRange* range);
  size_t ProbePayload(Time now);
  uint32_t MostProbePayload() const;
  uint32_t PacketSize(const SentRange& range) const;
  SentRange* Find(Seq seq);
  void SendMtuProbe(Time now, const SentRange& range);

  // ---- subflow_input.cc
  void Input(Time now, const Segment& segment);
  void InputSynSent(Time now, const Segment& segment);
  void InputSynchronized(Time now, const Segment& segment);
  bool PassesPaws(const Segment& segment) const;
  bool Acceptable(const Segment& segment) const;
  void AnswerUnacceptable(Time now, const Segment& segment);
  void InputReset(Time now, const Segment& segment);
  bool InputSynReceived(Time now, const Segment& segment);
  bool AckIsPlausible(const Segment& segment) const;
  bool Obey(Time now, Verdict verdict);  // true: go on
  void NoteOld(const Segment& segment);
  void NoteFin(const Segment& segment);
  ByteSpan BeforeFin(uint64_t begin, ByteSpan bytes) const;
  void InputPayload(Time now, const Segment& segment);
  void DeliverOutOfOrder(Time now);
  void InputFin(Time now, const Segment& segment);
  uint64_t OffsetOf(Seq seq) const {
    return rcv_offset_ + static_cast<uint64_t>(static_cast<int64_t>(
                             static_cast<int32_t>(seq.value - rcv_nxt_.value)));
  }

  // ---- subflow_window.cc
  void NoteArrival(Time now, const Segment& segment);
  void FlushAck(Time now);
  void OnDelayedAckTimer(Time now);
  uint32_t Promised() const;
  uint16_t TakeWindow(bool syn);
  void WindowMayHaveOpened(Time now);

  // ---- subflow_ack.cc
  // What one acknowledgement tells.
  struct News {
    uint32_t delivered = 0;              // sequence numbers of which it is the first sign
    uint32_t original = 0;               // of these: sent once, and before recovery began
    uint32_t payload = 0;                // bytes below snd_una now
    bool advanced = false;               // snd_una did
    std::optional<SackBlock> duplicate;  // DSACK (RFC 2883): arrived twice
    std::optional<Duration> oldest_rtt;  // of the first that was sent once
    std::optional<Duration> newest_rtt;  // of the last one
  };
  void ProcessAck(Time now, const Segment& segment);
  void TakeSacks(Time now, const Segment& segment, News* news);
  bool TakeDuplicate(const Segment& segment, News* news) const;
  void MeasureLateness(Time now, const SentRange& range);
  void TakeCumulative(Time now, Seq ack, News* news);
  void Delivered(Time now, const SentRange& range, News* news);
  void MeasureRtt(Time now, const News& news);
  std::optional<uint32_t> EchoOf(const Segment& segment) const;
  void UpdateWindow(const Segment& segment);
  void FinAcked(Time now);
  void WindowOpened(Time now);

  // ---- subflow_recovery.cc
  void MarkOverdue(Time now);
  Duration ReorderingWindow() const;
  void DetectWithoutSack(const Segment& segment, uint32_t acked);
  void AdvanceRecovery(Time now, const News& news);
  void EnterRecovery(Time now, uint32_t delivered);
  void ReduceProportionally(const News& news, bool more_lost);
  void Reduce(uint32_t in_flight);
  bool reducing() const { return in_recovery_ || in_cwr_; }
  void CheckProbe(const Segment& segment, const News& news);
  void ProbeWindow(Time now);
  void OnRetransmitTimer(Time now);
  void OnProbeTimer(Time now);
  void OnReorderTimer(Time now);
  void ArmRetransmit(Time now);
  void ArmProbe(Time now);

  // ---- keepalive.cc
  void SetPatience(Time now, const Patience& patience);
  void ArmKeepalive(Time now);
  void OnKeepaliveTimer(Time now);
  bool UserTimeoutOver(Time now) const;
  int MaxRetries() const {
    return config_.patience.user_timeout > Duration::zero() ? INT_MAX : config_.retries;
  }

  // ---- subflow_undo.cc
  void RememberForUndo();
  void NoteRetransmission(const SentRange& range);
  void NoteDuplicate(Time now, const News& news);
  void DetectSpurious(Time now, const News& news);
  void Undo(Time now);
  void AdvanceFrto(const Segment& segment, const News& news);
  void EndFrtoHold(Time now);

  // ---- subflow_ecn.cc
  void NegotiateEcn(const Segment& syn);
  void TakeEcn(const Segment& segment);
  void TakeCongestionEcho(const Segment& segment);
  void MarkEcn(const SegmentPlan& plan, SegmentHeaders* headers);

  // ---- subflow_output.cc
  size_t SendRoom(Time now, bool respect_window) const;
  Mapping SendData(Time now, const Payload& payload, Mapping mapping, bool push);
  size_t MaxSegment() const;
  size_t SegmentLimit() const;  // without a path MTU probe
  void SendSyn(Time now);
  void SendAck(Time now);
  void ChallengeAck(Time now);
  void SendResetSegment(Time now);
  void RetransmitLost(Time now);
  void Retransmit(Time now, size_t index);
  uint32_t RetransmissionStamp(Time now, uint32_t before);
  void TransmitRange(Time now, const SentRange& range);
  void Transmit(Time now, SegmentHeaders* headers, const SegmentPlan& plan, const Payload& payload);
  void AddSackBlocks(TcpOptions* options);
  void Pace(Time now, size_t bytes);
  void OnPaceTimer(Time now);
  uint32_t TimestampClock(Time now) const { return config_.TimestampClock(now); }

  // ---- subflow_invariants.cc
  std::string CheckInvariants() const;
  std::string CheckSender() const;
  std::string CheckReceiver() const;

  RecoveryState Recovery() const;
  Mapping MappingOf(const SentRange& range) const;
  Seq EmptySeq() const;
  // Less window than this is told as none (RFC 9293 3.8.6.2.2).
  uint32_t WindowStep() const { return std::min(mss_, max_rcv_wnd_ / 2); }
  bool synchronized() const { return state_ != TcpState::kClosed && state_ != TcpState::kSynSent; }
  bool may_receive() const {
    return state_ == TcpState::kEstablished || state_ == TcpState::kFinWait1 ||
           state_ == TcpState::kFinWait2;
  }
  bool may_send() const {
    return state_ == TcpState::kEstablished || state_ == TcpState::kCloseWait;
  }

  Subflow* self_;
  SubflowConfig config_;
  SubflowOwner* owner_;
  Environment* environment_;
  Counters* counters_;

  TcpState state_ = TcpState::kClosed;
  bool initiator_ = false, was_established_ = false, close_when_established_ = false;
  bool counted_time_wait_ = false;  // in config_.time_waits

  // Options of the connection (RFC 7323, RFC 2018), fixed by the SYNs.
  bool timestamps_ = true, sack_ = true, scaling_ = true;
  uint8_t snd_scale_ = 0;
  uint32_t peer_mss_ = 536;  // RFC 9293 3.7.1; 1220 over IPv6
  PathMtu path_mtu_;
  uint32_t mtu_ = 0;            // what a packet to the peer may have
  uint32_t data_headers_ = 0;   // of the last packet with payload, IP's included
  size_t probe_payload_ = 0;    // the next data begins with a path MTU probe of this size; 0: none
  bool sending_probe_ = false;  // the segment under way is a path MTU probe
  bool timed_out_ = false;
  std::optional<CloseReason> icmp_error_;  // heard since something last arrived at the peer
  uint32_t mss_ = 536;  // payload bytes a packet surely takes, whatever options it has

  // Send sequence space
  Seq iss_, snd_una_, snd_nxt_, snd_wl1_, snd_wl2_;
  uint32_t snd_wnd_ = 0, max_snd_wnd_ = 0;
  bool fin_sent_ = false, fin_acked_ = false;
  SentQueue sent_;

  // Receive sequence space
  Seq irs_, rcv_nxt_, rcv_adv_;
  uint64_t rcv_offset_ = 0;                 // rcv_nxt_ - irs_, never wraps
  uint32_t rcv_wnd_ = 0, max_rcv_wnd_ = 0;  // as last advertised; the largest so far
  std::optional<uint64_t> fin_offset_;      // of a FIN that came ahead of its time
  OutOfOrder early_;
  uint32_t ts_recent_ = 0;
  std::optional<uint32_t> retransmission_stamp_;  // TSval of the last one
  Seq last_ack_sent_;
  bool ack_now_ = false;
  bool bare_ = false;           // the ACK under way goes without timestamps
  uint32_t unacked_bytes_ = 0;  // received since the last acknowledgement
  DelayedAck acks_;
  ReceiveRtt receive_rtt_;

  std::optional<OutOfOrder::Range> duplicate_;  // to be reported once (RFC 2883 4)

  // Congestion and recovery
  std::unique_ptr<CongestionControl> congestion_;
  RttEstimator rtt_;
  Pacer pacer_;
  bool in_recovery_ = false, in_loss_ = false;  // after SACKs; after a timeout
  bool in_cwr_ = false;                         // after a congestion echo (RFC 3168 6.1.2)
  Seq recovery_point_;                          // any of the three ends there
  uint32_t prr_delivered_ = 0, prr_out_ = 0, recover_fs_ = 0;  // RFC 6937
  bool newly_lost_ = false;  // found since recovery was last looked at
  Seq round_end_;            // of the round trip that HyStart++ measures
  bool cwnd_limited_ = false;
  int duplicate_acks_ = 0;
  std::optional<uint32_t> echo_;  // of the acknowledgement under way: our time stamp
  Time rack_time_{};              // RFC 8985 6.2
  Seq rack_end_, fack_;
  Duration rack_rtt_{0};
  Reordering reordering_;
  bool sacks_told_ = true;      // by the last segment, if there is anything to tell
  std::optional<Seq> tlp_end_;  // of a tail loss probe that was not judged yet
  // What would show that the current or last reduction was for nothing (subflow_undo.cc).
  struct UndoState {
    bool armed = false;
    Seq marker;                     // snd_una when the episode began
    bool retransmitted = false;     // anything, in this episode
    uint32_t outstanding = 0;       // retransmitted and not reported as arrived twice
    std::optional<uint32_t> stamp;  // time stamp of the first retransmission
  } undo_;
  bool frto_ = false;       // RFC 5682: the timeout may have been for nothing
  bool frto_hold_ = false;  // new data instead of retransmissions: step 2b
  bool ecn_ = false;        // negotiated
  bool ecn_echo_ = false;   // owed to the peer until it says CWR
  bool cwr_due_ = false;    // to be told with the next new data
  int backoff_ = 0, consecutive_timeouts_ = 0, unanswered_timeouts_ = 0;
  int syn_transmissions_ = 0;
  Time syn_sent_at_{};

  Time last_data_sent_{}, last_received_{};
  Time challenge_window_{};
  int challenges_left_ = 10;  // kChallengesPerSecond
  uint16_t ip_id_ = 0;
  SubflowInfo info_;

  Keepalive keepalive_;
  UserTimeout user_timeout_;

  Timer retransmit_, probe_, reorder_, pace_, delayed_ack_, time_wait_, keepalive_timer_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_SUBFLOW_IMPL_H_
