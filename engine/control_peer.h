// The engine's end of one control conversation (engine/control.h): reads one bounded message at a
// time, with the descriptor and the credentials that came along.
#ifndef MPTCPTLS_ENGINE_CONTROL_PEER_H_
#define MPTCPTLS_ENGINE_CONTROL_PEER_H_

#include <sys/socket.h>

#include <array>
#include <string_view>

#include "engine/control.h"
#include "engine/descriptor.h"
#include "engine/event_loop.h"

namespace mptcptls {

class ControlPeer;

// One complete message whose magic, version and length are right for its verb.
struct ControlMessage {
  // The largest that is read as a message; a PendingRequest never is.
  static constexpr size_t kMaxSize = sizeof(control::ListenRequest);
  alignas(8) std::array<uint8_t, kMaxSize> bytes{};
  Descriptor descriptor;  // SCM_RIGHTS; further ones are closed

  template <typename Message>
  const Message& As() const {
    return *reinterpret_cast<const Message*>(bytes.data());
  }
  control::Verb verb() const { return As<control::Header>().verb; }
};
static_assert(sizeof(control::ListenRequest) >= sizeof(control::ConnectRequest));
static_assert(sizeof(control::ListenRequest) >= sizeof(control::OptionRequest));
static_assert(sizeof(control::ListenRequest) >= sizeof(control::KeyMessage));
static_assert(sizeof(control::ListenRequest) >= sizeof(control::SecretMessage));

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  // May take the peer's socket (TakeSocket()); what is left of the conversation ends otherwise.
  virtual void OnMessage(ControlPeer& peer, ControlMessage& message) = 0;
  // The peer has nothing more to say: destroy it at the end of the batch.
  virtual void OnPeerOver(ControlPeer& peer) = 0;
};

class ControlPeer final : public EventHandler {
 public:
  ControlPeer(EventLoop* loop, ControlHandler* handler, Descriptor socket,
              const ucred& credentials);
  ~ControlPeer() override;
  ControlPeer(const ControlPeer&) = delete;
  ControlPeer& operator=(const ControlPeer&) = delete;

  void OnEvents(uint32_t events) override;

  // Of the process that connected, as the kernel knows.
  const ucred& credentials() const { return credentials_; }
  Time began() const { return began_; }
  bool over() const { return over_; }
  int socket() const { return socket_.get(); }

  // Answers never wait: what does not fit (nobody reads) is given up with the conversation.
  bool Send(const void* bytes, size_t size);
  void Answer(int32_t error, std::string_view reason, uint32_t payload_length = 0);
  // The conversation goes on elsewhere.
  Descriptor TakeSocket();
  void End();

 private:
  bool Read(size_t goal);  // false: not there yet, or over
  bool Acceptable();

  EventLoop* loop_;
  ControlHandler* handler_;
  Descriptor socket_;
  ucred credentials_;
  Time began_;
  ControlMessage message_;
  size_t have_ = 0;
  bool over_ = false;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_CONTROL_PEER_H_
