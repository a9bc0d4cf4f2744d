// A program's captured listener: the stack listens for the wire, the kernel's own socket for
// clients on this host, and every connection is brought to the program's AF_UNIX listener
// (ARCHITECTURE.md 3).
#ifndef MPTCPTLS_ENGINE_CAPTURED_LISTENER_H_
#define MPTCPTLS_ENGINE_CAPTURED_LISTENER_H_

#include <optional>
#include <vector>

#include "engine/control.h"
#include "engine/descriptor.h"
#include "engine/event_loop.h"
#include "engine/kernel_stream.h"
#include "engine/relays.h"
#include "stack/host.h"
#include "tun/steering.h"

namespace mptcptls {

class CapturedListener final : public ListenerObserver, public EventHandler {
 public:
  struct Options {
    control::Name name;  // of the program's AF_UNIX listener
    Endpoint endpoint;   // what the program bound
    ListenOptions listen;
    int backlog = 0;
    bool inherited = false;  // the kernel's socket listened before, for others who still have it
    Program program;
  };

  // `loop`, both stacks (of the wire, and of this host: loopback.h), `relays` and `streams` outlive
  // it.
  CapturedListener(Options options, Descriptor kernel, EventLoop* loop, Host* host, Host* loopback,
                   Relays* relays, KernelStreams* streams);
  ~CapturedListener() override;
  CapturedListener(const CapturedListener&) = delete;
  CapturedListener& operator=(const CapturedListener&) = delete;

  // Listens on the kernel's socket and in the stack. 0 or an errno.
  int Start();

  // ListenerObserver
  bool CanAccept() override;
  ConnectionObserver* OnAccepted(Connection& connection, Time now) override;

  void OnEvents(uint32_t events) override;  // a client on this host

  // Whether no process holds the program's listener any more: its name can be bound.
  bool IsDead() const;
  // What must be steered to the stack: one entry, or one per family where it is dual-stack; nothing
  // on loopback, where nobody from the wire may come.
  std::vector<SteeredListener> Steered() const;
  const Options& options() const { return options_; }
  uint64_t accepted() const { return accepted_; }
  size_t waiting() const { return relays_->Waiting(options_.name.id); }
  int kernel_socket() const { return kernel_.get(); }
  // The program set an option: who is accepted from now on inherits it.
  void RereadOptions();

 private:
  bool AcceptLocal();
  bool SetNonBlocking();
  Relay* Deliver(Connection* connection);

  Options options_;
  int file_flags_ = -1;  // of kernel_, as the program had them
  Descriptor kernel_;
  EventLoop* loop_;
  Host* host_;
  Host* loopback_;
  Relays* relays_;
  KernelStreams* streams_;
  InheritedOptions inherited_;
  std::optional<ListenerId> id_, loopback_id_;
  uint64_t accepted_ = 0;
  Timer again_;  // clients of this host wait while the program's backlog is full
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_CAPTURED_LISTENER_H_
