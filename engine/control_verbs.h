// What each request of the control protocol (engine/control.h) does.
#ifndef MPTCPTLS_ENGINE_CONTROL_VERBS_H_
#define MPTCPTLS_ENGINE_CONTROL_VERBS_H_

#include <cstdint>
#include <optional>

#include "engine/control_peer.h"
#include "engine/engine.h"

namespace mptcptls {

class ControlVerbs {
 public:
  explicit ControlVerbs(Engine* engine) : engine_(engine) {}
  void OnRequest(ControlPeer& peer, ControlMessage& message);

 private:
  void Connect(ControlPeer& peer, ControlMessage& message);
  void Listen(ControlPeer& peer, ControlMessage& message);
  void TakeKey(ControlPeer& peer, ControlMessage& message);
  void TakeSecret(ControlPeer& peer, ControlMessage& message);
  void Result(ControlPeer& peer, ControlMessage& message);
  void GetOption(ControlPeer& peer, ControlMessage& message);
  void SetOption(ControlPeer& peer, ControlMessage& message);
  void Mptcp(ControlPeer& peer, ControlMessage& message);
  void Reap(ControlPeer& peer, ControlMessage& message);
  void Status(ControlPeer& peer, ControlMessage& message);
  void Dump(ControlPeer& peer, ControlMessage& message);
  void Down(ControlPeer& peer, ControlMessage& message);
  void Forget(ControlPeer& peer, ControlMessage& message);

  // The id of the connection behind a program's descriptor, 0 when it is none of ours.
  static uint64_t IdOf(int descriptor);
  // The relay behind a program's descriptor, by the name bound to one of its ends; null when it is
  // none of ours.
  Relay* RelayOf(int descriptor) const;
  CapturedListener* ListenerOf(int descriptor) const;
  // Of a connection that is over, too, while it is remembered; nullopt for what is none of ours.
  std::optional<ConnectionInfo> InfoOf(int descriptor) const;
  int OptionsOf(int descriptor) const;

  Engine* engine_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_CONTROL_VERBS_H_
