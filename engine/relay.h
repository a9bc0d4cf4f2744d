// One captured socket of a program: carries bytes between its AF_UNIX stream (engine/control.h) and
// a Connection, with TCP's ends mapped one to one (ARCHITECTURE.md 1 to 4):
//
//   program shuts down writing   -> Connection::Shutdown()     program closed, all read -> Orphan()
//   program closed, some unread  -> Connection::Abort()
//   OnPeerClosed                 -> shutdown(SHUT_WR)          OnClosed(kClean)         -> close()
//   OnClosed, anything else      -> close() with a byte unread: the program sees ECONNRESET
//
// A reset must never look like a clean end, also when the engine is killed: the last byte that the
// program sent is always left unread in the socket ("held back"), though it was forwarded, because
// closing a unix socket with unread bytes is what resets the other end (FACTS.md).
#ifndef MPTCPTLS_ENGINE_RELAY_H_
#define MPTCPTLS_ENGINE_RELAY_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control.h"
#include "engine/descriptor.h"
#include "engine/event_loop.h"
#include "engine/tls_watch.h"
#include "stack/mptcp/connection.h"
#include "stack/timer.h"

namespace mptcptls {

class Relays;

// For people: why a handshake gave no key.
std::string NoKeyReason(control::NoKey why);

struct SavedOption;
using InheritedOptions = std::shared_ptr<const std::vector<SavedOption>>;

// Whose connection it is. `uid` is known once the program's first message came with its
// credentials.
struct Program {
  std::string name;
  uint32_t pid = 0;
  std::optional<uid_t> uid;
};

class Relay final : public ConnectionObserver, public EventHandler {
 public:
  Relay(Relays* table, uint64_t id, Program program);
  ~Relay() override;
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Before anything else.
  void Attach(Connection* connection) { connection_ = connection; }
  // The program's end of a captured connect(): its control socket, on which a PendingRequest comes.
  // `kernel` is the TCP socket that was replaced: it holds the program's options, and `bound_port`
  // where the program chose one (else 0).
  void TakeInitiator(Descriptor socket, Descriptor kernel, uint16_t bound_port);
  // The connect() could not even start; the socket stays where it is.
  void Cancel(uint16_t bound_port);
  // Brings an accepted connection to the program's listener, whose name and options these are; when
  // its first bytes are there, or its end, or after `defer` (TCP_DEFER_ACCEPT).
  void DeliverTo(const control::Name& listener, InheritedOptions inherited, Duration defer = {});

  // ConnectionObserver
  void OnConnected(Connection& connection, Time now) override;
  size_t OnData(Connection& connection, Time now, ByteSpan bytes) override;
  void OnPeerClosed(Connection& connection, Time now) override;
  void OnWritable(Connection& connection, Time now) override;
  void OnClosed(Connection& connection, Time now, EndReason end) override;

  void OnEvents(uint32_t events) override;
  // Moves what can be moved, both ways, a bounded amount; true when there is more to do at once.
  bool Pump();

  uint64_t id() const { return id_; }
  const Program& program() const { return program_; }
  Connection* connection() const { return connection_; }  // null once it is closed
  bool is_initiator() const { return initiator_; }
  // A responder that no program has accepted yet.
  bool waiting() const { return !initiator_ && !taken_; }
  // An initiator whose connect() is not decided yet.
  bool pending() const { return stage_ == Stage::kPending || stage_ == Stage::kDraining; }
  uint64_t listener() const { return listener_.id; }  // responder: whose accept() it is for
  uint16_t bound_port() const { return bound_port_; }
  int kernel_socket();  // holds the socket options; made on demand, -1 when that fails
  // Everything the program wrote so far is with the connection (before keys are set, so that the
  // Finished leaves first).
  void PumpFromProgram();
  bool peer_ended() const { return peer_ended_; }
  bool program_ended() const { return end_told_; }
  // What the program wrote and the connection has had no room for.
  size_t unread() const;
  // From the program's key log: gives the key when the handshake is complete. False when it is no
  // secret.
  bool TakeSecret(const control::SecretMessage& message);

 private:
  enum class Stage : uint8_t {
    kPending,     // initiator: the PendingRequest is not complete, or the connection is not up
    kDraining,    // initiator: up, the pad is being read
    kDelivering,  // responder: silent yet, or the listener's backlog is full: tried again later
    kOpen,
    kGone  // the socket is closed
  };

  void PrepareSocket();
  void ReadPending();
  void Open();
  void Drain();
  void HasSpoken();
  void TryDeliver(Time now);
  void TakeAcceptMark();
  void FailedToDeliver(Time now);
  bool ReadProgram();   // false: nothing more for now
  void ProgramEnded();  // its direction, after the last byte
  bool WriteProgram();  // false: nothing more for now
  size_t Send(ByteSpan bytes);
  void Look(TlsWatch::From from, ByteSpan bytes);
  void GiveLoggedKey();
  void EndSocket();
  void CloseSocket();
  void Retire();
  Time now() const;

  Relays* table_;
  uint64_t id_;
  Program program_;
  Connection* connection_ = nullptr;
  Descriptor socket_;
  Descriptor kernel_;
  InheritedOptions inherited_;  // responder
  control::Name listener_;      // responder
  control::Name name_;          // responder: our end's
  Timer retry_;                 // kDelivering
  Duration retry_wait_{};

  Stage stage_ = Stage::kPending;
  bool initiator_ = false;
  bool taken_ = false;            // the program's credentials came: it has the socket
  bool deferred_ = false;         // kDelivering: not before it has spoken
  bool connected_ = false;        // initiator: the handshake is done
  bool held_back_ = false;        // the first byte in the socket was forwarded already
  bool held_marked_ = false;      // and begins what was sent with MSG_MORE
  bool program_ended_ = false;    // EPOLLRDHUP
  bool program_gone_ = false;     // EPOLLHUP
  bool program_reset_ = false;    // it closed with bytes unread
  bool end_told_ = false;         // the connection knows of program_ended_
  bool gone_told_ = false;        // the connection knows of program_gone_
  bool peer_ended_ = false;       // OnPeerClosed
  bool to_program_full_ = false;  // wait for EPOLLOUT
  bool deaf_ = false;             // the program reads no more: what comes is discarded
  bool discarded_ = false;
  EndReason end_ = EndReason::kNone;  // after OnClosed
  uint32_t pending_length_ = 0;       // of the PendingRequest; what is left of it while draining
  uint32_t pad_left_ = 0;             // before the held-back byte, still in the socket
  uint16_t bound_port_ = 0;
  TlsWatch tls_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_RELAY_H_
