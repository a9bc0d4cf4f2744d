// Holds the engine's abstract name, takes in control conversations and bounds them: number,
// duration and size. What they ask for is the verbs' business (engine/control_verbs.h).
#ifndef MPTCPTLS_ENGINE_CONTROL_SERVER_H_
#define MPTCPTLS_ENGINE_CONTROL_SERVER_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "engine/control_peer.h"
#include "engine/descriptor.h"
#include "engine/event_loop.h"
#include "stack/timer.h"

namespace mptcptls {

// The name, taken before anything is set up, so that of two engines that start one gives way.
// Invalid and `taken` set where another process has it; invalid and an error otherwise.
Descriptor TakeEngineName(bool* taken, std::string* error);

class ControlServer final : public ControlHandler, public EventHandler {
 public:
  static constexpr size_t kMaxPeers = 1024;
  static constexpr Duration kPatience = std::chrono::seconds(5);
  using OnRequest = std::function<void(ControlPeer&, ControlMessage&)>;

  ControlServer(EventLoop* loop, Descriptor name, OnRequest on_request);
  ~ControlServer() override;
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  void OnEvents(uint32_t events) override;
  void OnMessage(ControlPeer& peer, ControlMessage& message) override;
  void OnPeerOver(ControlPeer& peer) override;

  // Destroys the conversations that are over; at the end of a batch.
  void Sweep();
  // Gives the name up: who comes from now on starts another engine. False, and the name is back (if
  // nobody else was faster), when someone was just waiting to be taken in.
  bool Close();

 private:
  void Hold(Descriptor name);
  void TakeIn();
  void DropSlow(Time now);

  EventLoop* loop_;
  Descriptor name_;
  OnRequest on_request_;
  std::deque<std::unique_ptr<ControlPeer>> peers_;  // oldest first
  bool swept_ = true;
  Timer slow_;
  Timer again_;  // out of descriptors: who comes waits in the kernel's queue
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_CONTROL_SERVER_H_
