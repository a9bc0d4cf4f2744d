#include "engine/captured_listener.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "engine/addresses.h"
#include "engine/socket_options.h"
#include "engine/unix_socket.h"

namespace mptcptls {
namespace {

constexpr Duration kLocalRetry = std::chrono::milliseconds(20);

}  // namespace

CapturedListener::CapturedListener(Options options, Descriptor kernel, EventLoop* loop, Host* host,
                                   Host* loopback, Relays* relays, KernelStreams* streams)
    : options_(std::move(options)),
      kernel_(std::move(kernel)),
      loop_(loop),
      host_(host),
      loopback_(loopback),
      relays_(relays),
      streams_(streams),
      again_(loop->timers(), [this](Time) { OnEvents(EPOLLIN); }) {}

CapturedListener::~CapturedListener() {
  // The program has it still where its descriptor could not be replaced.
  if (file_flags_ >= 0) fcntl(kernel_.get(), F_SETFL, file_flags_);
  loop_->Remove(kernel_.get(), this);
  if (id_) host_->CloseListener(loop_->now(), *id_);
  if (loopback_id_) loopback_->CloseListener(loop_->now(), *loopback_id_);
}

void CapturedListener::RereadOptions() {
  inherited_ = std::make_shared<const std::vector<SavedOption>>(ReadOptions(kernel_.get()));
}

int CapturedListener::Start() {
  RereadOptions();
  if (listen(kernel_.get(), options_.backlog) != 0) return errno;
  file_flags_ = fcntl(kernel_.get(), F_GETFL);
  if (file_flags_ < 0 || !SetNonBlocking()) return errno;
  // Level-triggered would spin while the program's backlog is full.
  if (!loop_->Add(kernel_.get(), EPOLLIN | EPOLLET, this)) return errno;
  loopback_id_ = loopback_->Listen(options_.endpoint, options_.listen, this);
  if (!options_.endpoint.address.IsLoopback())
    id_ = host_->Listen(options_.endpoint, options_.listen, this);
  return 0;
}

// A blocking program's listener would hold the engine in accept4() where nobody waits.
bool CapturedListener::SetNonBlocking() {
  const int flags = fcntl(kernel_.get(), F_GETFL);
  return flags >= 0 &&
         ((flags & O_NONBLOCK) != 0 || fcntl(kernel_.get(), F_SETFL, flags | O_NONBLOCK) == 0);
}

bool CapturedListener::CanAccept() {
  // Where the program is gone the client is for whoever gave it the listener (systemd), at its next
  // SYN.
  if (options_.inherited && IsDead()) return false;
  // As many as the kernel's own queue would hold.
  return waiting() <= static_cast<size_t>(std::max(options_.backlog, 0));
}

Relay* CapturedListener::Deliver(Connection* connection) {
  ++accepted_;
  Relay* const relay = relays_->Make(options_.program);
  relay->Attach(connection);
  // Who says nothing waits here; not more of them than half of the backlog, which others need.
  const bool room = waiting() <= static_cast<size_t>(std::max(options_.backlog, 0)) / 2;
  relay->DeliverTo(options_.name, inherited_,
                   room ? DeferredAccept(*inherited_) : Duration::zero());
  return relay;
}

ConnectionObserver* CapturedListener::OnAccepted(Connection& connection, Time /*now*/) {
  return Deliver(&connection);
}

// ---- Clients on this host

void CapturedListener::OnEvents(uint32_t /*events*/) {
  while (CanAccept()) {
    if (!AcceptLocal()) return;
  }
  if (!again_.armed()) again_.Set(loop_->now() + kLocalRetry);
}

bool CapturedListener::AcceptLocal() {
  // Whoever gave the program its listener may set the flags anew, for the next one.
  if (options_.inherited && !SetNonBlocking()) return false;
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  Descriptor socket(accept4(kernel_.get(), reinterpret_cast<sockaddr*>(&from), &length,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid()) {
    // Out of descriptors: the client stays in the kernel's queue.
    if (errno != EAGAIN && !again_.armed()) again_.Set(loop_->now() + kLocalRetry);
    return errno == ECONNABORTED || errno == EINTR;
  }
  const auto remote = ToEndpoint(from);
  const auto local = LocalEndpoint(socket.get());
  if (!remote || !local) return true;
  KernelStream* const stream = streams_->Make(std::move(socket), *local, *remote);
  stream->Start(Deliver(stream));
  return true;
}

// ---- The program

bool CapturedListener::IsDead() const { return BoundSocket(options_.name).valid(); }

std::vector<SteeredListener> CapturedListener::Steered() const {
  const Endpoint& endpoint = options_.endpoint;
  if (endpoint.address.IsLoopback()) return {};
  std::vector<SteeredListener> steered{{endpoint.address, endpoint.port}};
  const bool dual = endpoint.address.family == Family::kV6 && endpoint.address.IsUnspecified() &&
                    !options_.listen.v6only;
  if (dual) steered.push_back({IpAddress::V4(0u), endpoint.port});
  return steered;
}

}  // namespace mptcptls
