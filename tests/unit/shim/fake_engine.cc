#include "tests/unit/shim/fake_engine.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <utility>

namespace mptcptls::shim {
namespace {

// Receives a message and drops the descriptors that come with it.
bool Receive(int fd, void* out, size_t size) {
  alignas(cmsghdr) char control[256];
  iovec piece{out, size};
  msghdr m{};
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  m.msg_control = control;
  m.msg_controllen = sizeof control;
  const ssize_t n = recvmsg(fd, &m, MSG_WAITALL | MSG_CMSG_CLOEXEC);
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); n > 0 && c != nullptr; c = CMSG_NXTHDR(&m, c)) {
    int passed;
    if (c->cmsg_type != SCM_RIGHTS) continue;
    memcpy(&passed, CMSG_DATA(c), sizeof passed);
    close(passed);
  }
  return n == static_cast<ssize_t>(size);
}

template <typename Message>
void Send(int fd, const Message& message) {
  send(fd, &message, sizeof message, MSG_NOSIGNAL);
}

// Takes `size` bytes away, with one call.
void Drain(int fd, size_t size) {
  std::vector<char> bytes(size);
  recv(fd, bytes.data(), size, MSG_WAITALL);
}

// Until `size` bytes are there, or the other end is gone: each arrival is an edge.
void AwaitBytes(int fd, size_t size) {
  const int set = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{EPOLLIN | EPOLLRDHUP | EPOLLET, {.fd = fd}};
  epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
  int there = 0;
  while (epoll_wait(set, &event, 1, -1) == 1 && (event.events & EPOLLRDHUP) == 0 &&
         ioctl(fd, FIONREAD, &there) == 0 && static_cast<size_t>(there) < size) {
  }
  close(set);
}

// `skip` bytes are not the program's.
void Echo(int fd, size_t skip) {
  char bytes[4096];
  AwaitBytes(fd, skip + 1);
  Drain(fd, skip);
  for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) > 0;) {
    if (send(fd, bytes, static_cast<size_t>(n), MSG_NOSIGNAL) < 0) return;
  }
}

}  // namespace

control::Address FakeEngine::Local() {
  control::Address local;
  local.family = 4;
  local.port = 50000;
  local.bytes[0] = 192;
  local.bytes[2] = 2;
  local.bytes[3] = 9;
  return local;
}

FakeEngine::FakeEngine() : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un name;
  const socklen_t length = control::EngineAddress(&name);
  if (bind(listener_, reinterpret_cast<const sockaddr*>(&name), length) != 0 ||
      listen(listener_, 64) != 0)
    throw std::runtime_error("the engine's name is taken");
  server_ = std::thread([this] { Serve(); });
}

FakeEngine::~FakeEngine() {
  Release();
  shutdown(listener_, SHUT_RDWR);
  server_.join();
  for (std::thread& conversation : conversations_) conversation.join();
  close(listener_);
}

void FakeEngine::RefuseWith(int error, bool early) {
  const std::scoped_lock lock(mutex_);
  early_ = early;
  refuse_ = error;
}

void FakeEngine::DeclineWith(int error) {
  const std::scoped_lock lock(mutex_);
  decline_ = error;
}

void FakeEngine::Hold() {
  const std::scoped_lock lock(mutex_);
  hold_ = true;
}

void FakeEngine::Release() {
  const std::scoped_lock lock(mutex_);
  hold_ = false;
  changed_.notify_all();
}

std::vector<control::Scheduler> FakeEngine::schedulers() {
  const std::scoped_lock lock(mutex_);
  return schedulers_;
}

std::vector<int> FakeEngine::AwaitOptions(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(10), [&] { return options_set_.size() >= count; });
  return options_set_;
}

std::vector<int> FakeEngine::options_set() {
  const std::scoped_lock lock(mutex_);
  return options_set_;
}

std::vector<control::KeyMessage> FakeEngine::AwaitKeys(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::seconds(10), [&] { return keys_.size() >= count; });
  return keys_;
}

void FakeEngine::AwaitQuiet() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return going_on_ == 0; });
}

int FakeEngine::Deliver(const control::Address& remote) {
  control::Name name;
  name.role = control::Role::kResponder;
  sockaddr_un to{};
  socklen_t to_length;
  {
    const std::scoped_lock lock(mutex_);
    name.id = next_id_++;
    name.mapped = (listening_.flags & control::kFlagMapped) != 0;
    name.local = Local();
    name.local.port = listening_.bound.port;
    name.remote = remote;
    to.sun_family = AF_UNIX;
    memcpy(to.sun_path + 1, listening_.name, listening_.name_length);
    to_length =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + listening_.name_length);
  }
  sockaddr_un own;
  const socklen_t own_length = control::EncodeName(name, &own);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), own_length) != 0 ||
      connect(fd, reinterpret_cast<const sockaddr*>(&to), to_length) != 0)
    throw std::runtime_error("the listener does not take connections");
  return fd;
}

void FakeEngine::Serve() {
  for (int fd; (fd = accept(listener_, nullptr, nullptr)) >= 0;) {
    {
      const std::scoped_lock lock(mutex_);
      ++going_on_;
    }
    conversations_.emplace_back([this, fd] {
      Converse(fd);
      close(fd);
      const std::scoped_lock lock(mutex_);
      --going_on_;
      changed_.notify_all();
    });
  }
}

void FakeEngine::Converse(int fd) {
  control::Header header;
  if (recv(fd, &header, sizeof header, MSG_PEEK | MSG_WAITALL) != sizeof header) return;
  switch (header.verb) {
    case control::Verb::kConnect: {
      control::ConnectRequest request;
      if (Receive(fd, &request, sizeof request)) Connect(fd, request);
      return;
    }
    case control::Verb::kListen: {
      control::ListenRequest request;
      if (Receive(fd, &request, sizeof request)) Listen(fd, request);
      return;
    }
    case control::Verb::kGetOption:
    case control::Verb::kSetOption: {
      control::OptionRequest request;
      if (Receive(fd, &request, sizeof request)) Options(fd, request);
      return;
    }
    case control::Verb::kMptcp: {
      control::MptcpRequest request;
      if (Receive(fd, &request, sizeof request)) Mptcp(fd, request);
      return;
    }
    case control::Verb::kKey: {
      control::KeyMessage message;
      if (!Receive(fd, &message, sizeof message)) return;
      const std::scoped_lock lock(mutex_);
      keys_.push_back(message);
      changed_.notify_all();
      return;
    }
    case control::Verb::kResult: {
      control::ResultRequest request;
      if (Receive(fd, &request, sizeof request)) Result(fd, request);
      return;
    }
    default:
      return;
  }
}

void FakeEngine::Connect(int fd, const control::ConnectRequest& request) {
  auto reply = control::Make<control::ConnectReply>(control::Verb::kReply);
  int refuse;
  bool early;
  {
    const std::scoped_lock lock(mutex_);
    schedulers_.push_back(request.scheduler);
    reply.error = decline_;
    reply.id = next_id_++;
    reply.local = Local();
    refuse = refuse_;
    early = early_;
    results_[reply.id] = refuse;
  }
  Send(fd, reply);
  if (reply.error != 0) return;
  control::PendingRequest pending;
  if (recv(fd, &pending, sizeof pending, MSG_PEEK | MSG_WAITALL) != sizeof pending) return;
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !hold_; });
  }
  if (refuse != 0 && early) return;
  AwaitBytes(fd, pending.header.length);
  if (refuse != 0) return;
  // As much as the real one takes (Relay::Drain): more would be a second edge. The rest goes with
  // the first bytes behind it.
  const size_t drained = size_t{pending.header.length - 1} * 18 / 25;
  Drain(fd, drained);
  Echo(fd, pending.header.length - drained);
}

void FakeEngine::Listen(int fd, const control::ListenRequest& request) {
  auto reply = control::Make<control::Reply>(control::Verb::kReply);
  {
    const std::scoped_lock lock(mutex_);
    reply.error = decline_;
    schedulers_.push_back(request.scheduler);
    listening_ = request;
  }
  Send(fd, reply);
}

void FakeEngine::Forget() {
  const std::scoped_lock lock(mutex_);
  forgotten_ = true;
}

void FakeEngine::Options(int fd, const control::OptionRequest& request) {
  auto reply = control::Make<control::OptionReply>(control::Verb::kReply);
  const std::scoped_lock lock(mutex_);
  if (request.header.verb == control::Verb::kSetOption) {
    options_set_.push_back(request.name);
    changed_.notify_all();
  } else if (request.level == control::kLevelIoctl) {
    reply.value_length = sizeof kOnItsWay;
    memcpy(reply.value, &kOnItsWay, sizeof kOnItsWay);
  } else if (request.level == IPPROTO_TCP && request.name == TCP_INFO && !forgotten_) {
    tcp_info info{};
    info.tcpi_state = hold_ ? TCP_SYN_SENT : TCP_ESTABLISHED;
    reply.value_length = sizeof info;
    memcpy(reply.value, &info, sizeof info);
  } else if (request.level == SOL_SOCKET && request.name == SO_PROTOCOL && protocol_ != 0) {
    reply.value_length = sizeof protocol_;
    memcpy(reply.value, &protocol_, sizeof protocol_);
  } else {
    reply.error = ENOPROTOOPT;
  }
  Send(fd, reply);
}

std::string FakeEngine::MptcpOf(uint32_t subflows) {
  auto reply = control::Make<control::MptcpReply>(control::Verb::kReply);
  reply.subflows = subflows;
  reply.header.length += static_cast<uint32_t>(subflows * sizeof(control::MptcpSubflow));
  reply.info.token = 0x01020304;
  reply.info.subflows_total = static_cast<uint8_t>(subflows);
  reply.info.last_ack_recv = 0x05060708;  // its last bytes
  std::string bytes(reinterpret_cast<const char*>(&reply), sizeof reply);
  for (uint32_t i = 0; i < subflows; ++i) {
    control::MptcpSubflow subflow;
    subflow.info.id = i + 1;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(1000 + i));
    memcpy(&subflow.info.addresses.local, &address, sizeof address);
    memcpy(&subflow.info.addresses.remote, &address, sizeof address);
    subflow.tcp.state = TCP_ESTABLISHED;
    subflow.tcp.bytes_received = i + 1;
    bytes.append(reinterpret_cast<const char*>(&subflow), sizeof subflow);
  }
  return bytes;
}

void FakeEngine::AnswerMptcpWith(std::string bytes) {
  const std::scoped_lock lock(mutex_);
  mptcp_ = std::move(bytes);
}

void FakeEngine::AnswerProtocolWith(int protocol) {
  const std::scoped_lock lock(mutex_);
  protocol_ = protocol;
}

std::vector<uint8_t> FakeEngine::mptcp_flags() {
  const std::scoped_lock lock(mutex_);
  return mptcp_flags_;
}

void FakeEngine::Mptcp(int fd, const control::MptcpRequest& request) {
  auto refusal = control::Make<control::MptcpReply>(control::Verb::kReply);
  refusal.error = ENOPROTOOPT;
  const std::scoped_lock lock(mutex_);
  mptcp_flags_.push_back(request.flags);
  if (mptcp_.empty())
    Send(fd, refusal);
  else
    send(fd, mptcp_.data(), mptcp_.size(), MSG_NOSIGNAL);
}

void FakeEngine::Result(int fd, const control::ResultRequest& request) {
  auto reply = control::Make<control::Reply>(control::Verb::kReply);
  const std::scoped_lock lock(mutex_);
  reply.error = results_[request.id];
  Send(fd, reply);
}

}  // namespace mptcptls::shim
