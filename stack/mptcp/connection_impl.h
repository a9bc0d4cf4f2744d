// The state behind Connection, and its parts by role: life and death (connection_impl.cc), the
// first handshake and fallback (handshake.cc), further subflows (join.cc), which of them there
// should be (path_manager.cc), what is told of addresses (announcements.cc), sending (data_send.cc)
// by a scheduler's choice (scheduler.h), what goes again (reinjection.cc), receiving
// (data_receive.cc), what goes on each segment (segment_options.cc).
//
// Stream offsets are 64-bit and begin at 0 in both directions; DSN = IDSN + 1 + offset (RFC
// 8684 3.1). In plain TCP the same offsets are used and nothing of them goes on the wire.
#ifndef MPTCPTLS_STACK_MPTCP_CONNECTION_IMPL_H_
#define MPTCPTLS_STACK_MPTCP_CONNECTION_IMPL_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "stack/buffer.h"
#include "stack/mptcp/carriers.h"
#include "stack/mptcp/connection.h"
#include "stack/mptcp/crypto.h"
#include "stack/mptcp/host_services.h"
#include "stack/mptcp/key_confirmation.h"
#include "stack/mptcp/mapping_queue.h"
#include "stack/mptcp/nagle.h"
#include "stack/mptcp/range_set.h"
#include "stack/mptcp/reassembly.h"
#include "stack/mptcp/receive_tuning.h"
#include "stack/mptcp/scheduler.h"
#include "stack/mptcp/send_tuning.h"
#include "stack/syn_cookie.h"
#include "stack/tcp/congestion_group.h"

namespace mptcptls {

class ConnectionImpl final : public Connection, public SubflowOwner {
 public:
  ConnectionImpl(HostServices* services, uint64_t id, bool initiator);
  ~ConnectionImpl() override;

  // ---- What Host calls (host_services.h)
  bool Connect(Time now, const FourTuple& tuple, const LocalAddress& local,
               const ConnectOptions& options, ConnectionObserver* observer);
  void Accept(Time now, const Segment& syn, const LocalAddress& local,
              const ListenOptions& options);
  // Responder, from the segment that returned a SYN cookie.
  void AcceptCookie(Time now, const Segment& segment, const LocalAddress& local,
                    const ListenOptions& options, const SynCookie& cookie);
  // What answers a SYN's MP_CAPABLE in a SYN cookie's SYN/ACK; nullopt: nothing does.
  static std::optional<MpCapable> AnswerWithoutState(const MpCapable& offer,
                                                     const ListenOptions& options,
                                                     const HostConfig& config,
                                                     const SynCookie& cookie);
  // The token that follows from an answer to MP_CAPABLE.
  static uint32_t TokenOf(const MpCapable& answer);
  Verdict OnJoinSyn(Time now, const Segment& syn, const LocalAddress& local);
  TcpRst JoinRefusal() const { return join_refusal_; }
  bool PortIsOurs(uint16_t local_port) const;
  void OnLocalAddresses(Time now);
  void OnRoutes(Time now);
  void OnNextHopFailed(Time now, absl::FunctionRef<bool(const FourTuple&)> through);
  void SetObserver(ConnectionObserver* observer) { observer_ = observer; }
  // There may be memory to write into again (HostServices::AwaitMemory).
  void OnMemory(Time now);
  // Destroys subflows that ended; called when no callback is under way.
  void Sweep();
  bool finished() const { return closed_ && paths_.empty(); }
  // What must hold whenever no call is under way, in the subflows too (connection_invariants.cc);
  // empty is right.
  std::string CheckInvariants() const;

  // ---- Connection
  uint64_t id() const override { return id_; }
  Endpoint local() const override { return first_.local; }
  Endpoint remote() const override { return first_.remote; }
  Mode mode() const override { return mode_; }
  size_t WriteRegions(std::array<std::span<uint8_t>, 2>* regions) override;
  void Commit(Time now, size_t bytes, Coming coming) override;
  size_t Write(Time now, ByteSpan bytes) override;
  void Shutdown(Time now) override;
  void Abort(Time now) override;
  ByteSpan Readable() const override { return unread_.Front(); }
  void Consume(Time now, size_t bytes) override;
  void SetKeys(Time now, const ConnectionKeys& keys) override;
  void ReplaceKeys(Time now, const ConnectionKeys& keys) override;
  void RefuseKeys(Time now, std::string reason) override;
  bool WantsKeys() const override;
  void SetOptions(Time now, const StreamOptions& options) override;
  void NoteTls() override { tls_seen_ = true; }
  void Orphan(Time now) override;
  ConnectionInfo Info(Time now) const override;

  // ---- SubflowOwner
  void FillOptions(Subflow& subflow, const SegmentPlan& plan, MptcpOptions* out) override;
  Verdict OnHandshake(Subflow& subflow, Time now, const Segment& segment) override;
  void OnEstablished(Subflow& subflow, Time now) override;
  Verdict OnSegment(Subflow& subflow, Time now, const Segment& segment) override;
  void OnAcked(Subflow& subflow, Time now, uint32_t bytes) override;
  void OnPayload(Subflow& subflow, Time now, uint32_t ssn, ByteSpan bytes) override;
  void OnFin(Subflow& subflow, Time now) override;
  void OnInputDone(Subflow& subflow, Time now) override;
  void OnTimeout(Subflow& subflow, Time now, int consecutive) override;
  void OnTailProbe(Subflow& subflow, Time now) override;
  void OnClosed(Subflow& subflow, Time now, CloseReason reason, const TcpRst* reset) override;
  uint64_t ReceiveWindow(const Subflow& subflow) const override;
  uint64_t ReceiveRoom(const Subflow& subflow) const override;
  uint64_t ReceivePromise(const Subflow& subflow) const override;
  void WindowTold(Subflow& subflow, uint64_t bytes) override;

 private:
  static constexpr size_t kMaxMapping = 65000;  // length is 16 bits

  // One subflow and what it is to this connection.
  struct Path {
    uint32_t id = 0;  // PathView::id
    std::unique_ptr<Subflow> subflow;
    FourTuple tuple;
    std::string uplink;
    uint8_t local_id = 0, remote_id = 0;
    bool joined = false, initiator = false, authenticated = false;
    bool peer_backup = false;  // the peer asked us to send on it last
    bool own_backup = false;   // our uplink is one
    bool told_backup = false;  // what the peer knows of that
    int priorities_sent = 0;   // MP_PRIOs since it changed
    Time next_priority = kNever;
    bool stale = false;            // not answering: its data went elsewhere
    bool silent = false;           // not answering, and no other could take over
    bool behind = false;           // has held the stream up, and nothing was acknowledged since
    bool dead = false;             // OnClosed came
    bool usable = false;           // data may flow: established, and for a join, confirmed
    bool confirm_pending = false;  // third ACK of a join sent, its answer not seen
    bool under_next = false;       // its join is under next_keys_
    uint32_t nonce_local = 0, nonce_remote = 0;
    int third_acks = 0;
    Time next_third_ack = kNever, check_alive_at = kNever;
    Time probed_at{};
    uint64_t sent_to = 0;  // PathView::sent_to
    Time penalised_at{};
    MappingQueue mappings;
    uint16_t join_port = 0;
    TcpRst reset;  // what our RST says
    bool reset_set = false;
    bool fail_due = false;  // MP_FAIL on our RST

    bool backup() const { return peer_backup || own_backup; }
  };

  // An address of the peer that joins may go to.
  struct RemoteAddress {
    uint8_t id = 0;
    Endpoint endpoint;
  };

  // An address of ours that is announced.
  struct Announcement {
    uint8_t id = 0;
    IpAddress address;
    std::optional<uint16_t> port;
    int sent = 0;
    bool echoed = false;
    Time next = kNever;
  };

  struct Retry {
    int failures = 0;
    Time next{};
    std::string reason;
  };

  struct ParkedJoin {
    Segment syn;  // without payload
    LocalAddress local;
    Time expires;
  };

  struct HeldAddAddr {
    AddAddr option;
  };

  enum class Offer : uint8_t { kNone, kKeys, kTls };

  // ---- connection_impl.cc
  bool mptcp() const { return mode_ != Mode::kTcp; }
  std::unique_ptr<Path> NewPath();
  Path* Of(const Subflow& subflow);
  const Path* Of(const Subflow& subflow) const;
  void Finish(Time now, EndReason end);
  void MaybeFinish(Time now);
  void LosePath(Time now, Path* path);
  void Bury(Path* path);
  bool AnyAlive() const;
  bool IsLastAlive(const Path& path) const;
  SubflowStatus StatusOf(const Path& path) const;
  void CloseSubflows(Time now);
  void AbortSubflows(Time now);
  void DeliverPeerClosed(Time now);
  bool LocalEndAcked() const;
  void LearnOnEnd(Time now, EndReason end);
  void CheckOrphan(Time now);
  void AwaitPeersFin(Time now);
  void ReturnOrphanSlot();

  // ---- handshake.cc
  Offer ChooseOffer(Time now, const ConnectOptions& options);
  void MakeSecrets();
  Verdict TakeSynAck(Time now, const Segment& segment);
  Verdict TakeThirdAck(Time now, const Segment& segment);
  static Offer AnswerTo(const MpCapable& offer, const ListenOptions& options);
  void ChooseAnswer(const MpCapable& offer, const ListenOptions& options, const SynCookie* cookie);
  static MpCapable SynAckOption(Offer answer, bool checksum, const PathPolicy& paths,
                                uint64_t sender);
  void NewPassivePath(Time now, const FourTuple& tuple, const LocalAddress& local,
                      const std::optional<SubflowConfig>& config);
  void BecomeMptcp(Mode mode, const MpCapable& peer);
  void BecomeTcp();
  void RecordAnswer(Time now, Mode answer);
  void FallBack(Time now);
  bool MustFallBack(const Path& path, const Segment& segment) const;

  // ---- join.cc
  bool MayJoin() const;
  bool StartJoin(Time now, const LocalAddress& local, const RemoteAddress& remote);
  Verdict TakeJoinSynAck(Path* path, const Segment& segment);
  Verdict TakeJoinThirdAck(Path* path, const Segment& segment);
  Verdict AcceptJoin(Time now, const Segment& syn, const LocalAddress& local);
  Verdict Park(Time now, const Segment& syn, const LocalAddress& local);
  void ServeParked(Time now);
  void DropParked(Time now, bool all);
  Mac OwnHmac(const Path& path, bool own) const;
  void RefuseHmac(Path* path);
  size_t CountUsable() const;

  // ---- new_key.cc
  void BeginConfirmation(Time now);
  void TakeNewKey(Time now, const NewKey& option);
  void TakeSecondNewKey(Time now, const NewKey& option);
  bool FillNewKey(const SegmentPlan& plan, MptcpOptions* out);
  KeyConfirmation* DueConfirmation(Time now);
  bool NextIsConfirmed() const;
  const ConnectionKeys& SendingKeys() const;
  const ConnectionKeys& SecondKeys() const;
  const ConnectionKeys& KeysOf(const Path& path) const;
  template <typename Check>
  bool UnderAnyKey(Check check) const {
    const bool current = check(keys_);
    return (next_keys_ && check(*next_keys_)) || current;
  }
  void TakeOverKeys();
  bool AwaitsPeersKey(Time now) const;

  // ---- path_manager.cc
  void ManagePaths(Time now);
  void OpenMissing(Time now);
  template <typename Predicate>
  size_t CountAlive(Predicate of) const;
  size_t Alive() const;
  size_t Between(const IpAddress& local, const Endpoint& remote) const;
  bool LocalUsed(const IpAddress& local) const;
  size_t OnUplink(const std::string& uplink) const;
  size_t AtRemote(const Endpoint& remote) const;
  bool MeteredWaits(const LocalAddress& local) const;
  UplinkUse UseOf(const Path& path) const;
  bool SpeaksFirstFamily(const LocalAddress& local, const RemoteAddress& remote) const;
  int Urgency(const LocalAddress& local, const RemoteAddress& remote) const;
  bool WantedAgain(const IpAddress& local, const Endpoint& remote) const;
  void PathFailed(Time now, const Path& path, const std::string& reason);
  uint8_t LocalId(const IpAddress& address);
  Duration Hold() const;
  void ArmPathTimer(Time now);
  void OnPathTimer(Time now);

  // ---- announcements.cc
  void AnnounceMissing(Time now);
  size_t AddressesTaken() const;
  void TakeAddAddr(Time now, const AddAddr& option);
  void TakeVerifiedAddAddr(Time now, const AddAddr& option);
  void TakeRemoveAddr(Time now, const RemoveAddr& option);
  void SendControl(Time now);
  bool ControlDue(Time now) const;
  bool MayAnnounce(Time now, const Announcement& announcement) const;
  void TakePrio(Time now, Path* path, const MpPrio& option);
  void SetOwnBackup(Time now, Path* path, bool backup);
  void SendPriorities(Time now);

  // ---- connection_info.cc
  void FillDataLevel(ConnectionInfo* info) const;
  void ExplainUnused(Time now, ConnectionInfo* info) const;
  std::string WhyNoJoin(Time now, const LocalAddress& local) const;

  // ---- data_send.cc
  uint64_t WindowEdge() const { return peer_edge_; }
  void Push(Time now);
  void TuneSendBuffer();
  // What a scheduler sees, and whose each line is.
  struct Picture {
    absl::InlinedVector<PathView, 4> views;
    absl::InlinedVector<Path*, 4> paths;
    SendView view;  // without `paths`: a copy of the picture would keep the other one's
    const SendView& Seen() {
      view.paths = {views.data(), views.size()};
      return view;
    }
  };
  Picture Look(Time now) const;
  size_t Available() const;
  bool PushNew(Time now);
  size_t HoldShort(Time now, const Path& path, size_t size);
  void Flush(Time now);
  size_t SendRange(Time now, Path* path, uint64_t offset, size_t size);
  void ProbeClosedWindow(Time now);
  void TakeDataAck(Time now, uint64_t dsn);
  void TakeDataWindow(uint64_t dsn, uint32_t window);
  void MaybeSendFin(Time now);
  void SendDataFin(Time now);

  // ---- reinjection.cc
  bool PushReinjections(Time now);
  bool PushAgain(Time now);
  size_t SendAgain(Time now, Path* path, uint64_t begin, uint64_t end);
  void Penalise(Time now, Path* path);
  void Reinject(Time now, Path* path);
  const Path* FastestAnswering(const Path* but = nullptr) const;
  Path* CarrierOf(const Carriers::Range& range) const;
  bool ReinjectHoles(const Path& carrier, uint64_t limit);
  void ReinjectBehind();
  void ArmStallTimer(Time now);
  void OnStallTimer(Time now);
  void GoRound(Time now, Path* carrier);
  void OnDataTimer(Time now);
  void ArmDataTimer(Time now);
  void OnFinTimer(Time now);

  // ---- data_receive.cc
  void TakeDss(Time now, Path* path, const Segment& segment);
  void TakeMapping(Time now, Path* path, ReceivedMapping mapping);
  void TakeDataFin(Time now, uint64_t offset);
  bool TakeFastClose(Time now, const FastClose& option, const Path* reset);
  void ReceiveAt(Time now, Path* path, uint64_t offset, ByteSpan bytes);
  void ChecksummedPayload(Time now, Path* path, ReceivedMapping* mapping, ByteSpan bytes);
  void BadChecksum(Time now, Path* path, uint64_t dsn);
  void FallBackByFail(Time now, Path* path);
  void TakeFail(Time now, Path* path);
  void ToProgram(Time now, ByteSpan bytes);
  void NoteRead(Time now, size_t bytes);
  void UnmappedPayload(Time now, Path* path);
  void ResetPath(Time now, Path* path, uint8_t reason);
  uint64_t SendDsn(uint64_t offset) const { return send_idsn_ + 1 + offset; }
  uint64_t ReceiveOffset(uint64_t dsn) const { return dsn - receive_idsn_ - 1; }
  uint64_t ExpandReceiveDsn(uint64_t low) const;
  uint64_t DataAckValue() const;

  // ---- segment_options.cc
  void FillReset(const Path& path, MptcpOptions* out) const;
  std::optional<FastClose> OwnFastClose() const;
  void FillJoin(Path& path, const SegmentPlan& plan, MptcpOptions* out);
  void FillDss(const SegmentPlan& plan, MptcpOptions* out);
  void FillControl(Path& path, const SegmentPlan& plan, MptcpOptions* out);
  MpCapable ThirdAck(const SegmentPlan& plan) const;

  HostServices* services_;
  const uint64_t id_;
  const bool initiator_;
  ConnectionObserver* observer_ = nullptr;
  FourTuple first_;
  CongestionGroup congestion_group_;  // before the subflows, which leave it when they go
  std::vector<std::unique_ptr<Path>> paths_;
  uint32_t last_path_id_ = 0;
  std::deque<SubflowStatus> ended_;

  // Mode and keys
  Mode mode_ = Mode::kTcp;
  Offer offer_ = Offer::kNone;  // ours as initiator; what we answered as responder
  AuthPolicy auth_ = AuthPolicy::kAuto;
  bool offer_dropped_ = false;                    // the third SYN went out without
  bool wildcard_ = true, wildcard_both_ = false;  // the listener; both: of either family
  bool connected_ = false, fallback_ = false, began_mptcp_ = false;
  bool checksum_ = false;
  bool dss_seen_ = false;     // the peer's, with a Data ACK
  bool mapped_seen_ = false;  // the peer mapped payload
  bool joined_ever_ = false;
  bool tls_seen_ = false;  // NoteTls()
  int infinite_left_ = 0;  // segments that still carry the infinite mapping
  bool fail_due_ = false;  // beside it: MP_FAIL
  uint64_t fail_dsn_ = 0;
  uint32_t local_token_ = 0, remote_token_ = 0;
  bool token_claimed_ = false;
  Key local_key_, remote_key_;  // RFC 8684 mode
  KeyState key_ = KeyState::kNone;
  std::string key_reason_;
  ConnectionKeys keys_;
  KeyConfirmation confirmation_;
  std::optional<ConnectionKeys> next_keys_;  // of a later handshake, until a join is under them
  KeyConfirmation next_confirmation_;
  uint32_t keys_replaced_ = 0;
  KeyConfirmation* saying_ = nullptr;  // what the ACK that SendControl() makes says of a key
  Time connected_at_{};

  // Sending
  SendBuffer send_;
  uint64_t send_idsn_ = 0;
  uint64_t next_ = 0;       // first offset never sent
  uint64_t una_ = 0;        // first offset without a Data ACK
  uint64_t peer_edge_ = 0;  // first offset beyond the peer's window
  SendTuning send_tuning_;
  RangeSet reinject_;
  std::unique_ptr<Scheduler> scheduler_;
  Carriers carriers_;    // of [una_, next_), in MPTCP
  Time una_moved_at_{};  // or where nothing was under way, when something was sent
  StreamOptions options_;
  Nagle nagle_;
  uint64_t corked_from_ = 0;  // where the segment begins that cork_timer_ waits for
  bool shutdown_ = false, fin_sent_ = false, fin_acked_ = false, write_blocked_ = false;
  bool starving_ = false;  // the host knows that we wait for memory
  bool fin_due_ = false;   // the next pure ACK carries DATA_FIN
  int fin_transmissions_ = 0, data_timeouts_ = 0;
  bool pushing_ = false;
  uint64_t bytes_reinjected_ = 0;

  // Receiving
  uint64_t receive_idsn_ = 0;
  Reassembly reassembly_;
  ReceiveBuffer unread_;
  ReceiveTuning receive_tuning_;
  uint64_t promised_edge_ = 0;        // first offset beyond all windows that were ever told
  std::optional<uint64_t> peer_fin_;  // its offset
  bool peer_fin_reached_ = false, peer_closed_told_ = false;
  uint64_t tcp_received_ = 0;

  // Ending
  bool closed_ = false, orphaned_ = false, orphan_counted_ = false, closing_subflows_ = false,
       aborting_ = false;
  EndReason end_ = EndReason::kNone;
  Time no_path_since_ = kNever;
  Time linger_until_ = kNever;
  Time orphan_check_ = kNever;  // whether the peer still takes what the program left
  uint64_t orphan_una_ = 0;     // una_ at the last check

  // Paths
  TcpRst join_refusal_;
  std::vector<RemoteAddress> remotes_;
  std::map<IpAddress, uint8_t> local_ids_;
  uint8_t last_local_id_ = 0;
  std::vector<Announcement> announcements_;
  std::deque<AddAddr> echoes_;    // to be sent
  std::deque<uint8_t> removals_;  // local ids to take back
  std::deque<AddAddr> held_;      // not verifiable yet
  std::map<std::pair<IpAddress, Endpoint>, Retry> retries_;
  std::deque<ParkedJoin> parked_;
  Subflow* control_on_ = nullptr;   // the subflow whose next ACK carries control options
  Subflow* priority_on_ = nullptr;  // and MP_PRIO

  Timer path_timer_, data_timer_, stall_timer_, fin_timer_, push_timer_, cork_timer_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_CONNECTION_IMPL_H_
