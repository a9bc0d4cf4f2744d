#include "engine/control_server.h"

#include <poll.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "engine/unix_socket.h"

namespace mptcptls {
namespace {

constexpr Duration kAgain = std::chrono::milliseconds(50);

}  // namespace

Descriptor TakeEngineName(bool* taken, std::string* error) {
  *taken = false;
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address;
  const socklen_t length = control::EngineAddress(&address);
  if (!socket.valid() ||
      bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
      // Who is accepted inherits it, so that no credentials are missed.
      !SetFlag(socket.get(), SO_PASSCRED, true) || listen(socket.get(), SOMAXCONN) != 0) {
    *taken = socket.valid() && errno == EADDRINUSE;
    *error = std::string("cannot take the abstract name \"") + control::kEngineName +
             "\": " + std::strerror(errno);
    socket.Reset();
  }
  return socket;
}

ControlServer::ControlServer(EventLoop* loop, Descriptor name, OnRequest on_request)
    : loop_(loop),
      on_request_(std::move(on_request)),
      slow_(loop->timers(), [this](Time now) { DropSlow(now); }),
      again_(loop->timers(), [this](Time) { TakeIn(); }) {
  Hold(std::move(name));
}

void ControlServer::Hold(Descriptor name) {
  name_ = std::move(name);
  // Level-triggered would spin while there is no descriptor left for who waits.
  if (name_.valid()) loop_->Add(name_.get(), EPOLLIN | EPOLLET, this);
}

ControlServer::~ControlServer() {
  if (name_.valid()) loop_->Remove(name_.get(), this);
}

void ControlServer::OnEvents(uint32_t /*events*/) { TakeIn(); }

void ControlServer::TakeIn() {
  while (name_.valid()) {
    Descriptor socket(accept4(name_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.valid() && (errno == ECONNABORTED || errno == EINTR)) continue;
    if (!socket.valid()) {
      // EINVAL: Close() shut it down.
      if (errno != EAGAIN && errno != EINVAL && !again_.armed()) again_.Set(loop_->now() + kAgain);
      return;
    }
    const auto credentials = PeerCredentials(socket.get());
    if (!credentials) continue;
    // A crowd loses its eldest, who is the likeliest to be stuck.
    if (peers_.size() >= kMaxPeers) peers_.front()->End();
    Sweep();
    peers_.push_back(std::make_unique<ControlPeer>(loop_, this, std::move(socket), *credentials));
    if (!slow_.armed()) slow_.Set(loop_->now() + kPatience);
  }
}

void ControlServer::DropSlow(Time now) {
  for (const auto& peer : peers_) {
    if (peer->began() + kPatience <= now) peer->End();
  }
  Sweep();
  if (!peers_.empty()) slow_.Set(peers_.front()->began() + kPatience);
}

void ControlServer::OnMessage(ControlPeer& peer, ControlMessage& message) {
  on_request_(peer, message);
}

void ControlServer::OnPeerOver(ControlPeer& /*peer*/) { swept_ = false; }

void ControlServer::Sweep() {
  if (std::exchange(swept_, true)) return;
  std::erase_if(peers_, [](const auto& peer) { return peer->over(); });
}

bool ControlServer::Close() {
  // Nobody can connect any more, but who did already waits in the queue.
  shutdown(name_.get(), SHUT_RDWR);
  TakeIn();
  loop_->Remove(name_.get(), this);
  name_.Reset();
  if (peers_.empty()) return true;
  bool taken = false;
  std::string error;
  Hold(TakeEngineName(&taken, &error));
  return false;
}

}  // namespace mptcptls
