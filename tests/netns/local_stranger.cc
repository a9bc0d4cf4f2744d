#include "tests/netns/local_stranger.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <exception>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace mptcptls::lab {
namespace {

socklen_t AddressOf(const std::string& name, sockaddr_un* address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  name.copy(address->sun_path + 1, sizeof address->sun_path - 1);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
}

std::string FromAddress(const sockaddr_un& address, socklen_t length) {
  return {address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1};
}

}  // namespace

void As(const Host& host, uid_t uid, const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      // The system call alone changes this thread and no other.
      if (setns(host.fd(), CLONE_NEWNET) != 0 || syscall(SYS_setresuid, uid, uid, uid) != 0)
        throw std::runtime_error("cannot act as another user: root needed");
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) std::rethrow_exception(failure);
}

Descriptor UnixSocket() { return Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

bool BindTo(int socket, const std::string& name) {
  sockaddr_un address;
  const socklen_t length = AddressOf(name, &address);
  return bind(socket, reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

bool ConnectTo(int socket, const std::string& name) {
  sockaddr_un address;
  const socklen_t length = AddressOf(name, &address);
  return connect(socket, reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

std::string EngineName() { return control::kEngineName; }

std::string NameOf(const control::Name& name) {
  sockaddr_un address;
  const socklen_t length = control::EncodeName(name, &address);
  return FromAddress(address, length);
}

bool SendAll(int socket, const std::string& bytes, int descriptor) {
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof descriptor)] = {};
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr m{};
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  if (descriptor >= 0) {
    m.msg_control = space;
    m.msg_controllen = sizeof space;
    cmsghdr* const c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
  }
  return sendmsg(socket, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(bytes.size());
}

std::string ReadToEnd(int socket) {
  std::string all;
  char block[4096];
  for (;;) {
    pollfd ready{socket, POLLIN, 0};
    if (poll(&ready, 1, std::chrono::milliseconds(kPatience).count()) <= 0)
      throw std::runtime_error("the other end does not hang up");
    const ssize_t n = recv(socket, block, sizeof block, 0);
    if (n <= 0) return all;
    all.append(block, static_cast<size_t>(n));
  }
}

std::vector<std::string> AbstractNames(const Host& host, const std::string& prefix) {
  std::set<std::string> names;
  std::istringstream lines(host.Run("cat /proc/net/unix"));
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(" @" + prefix);
    if (at != std::string::npos) names.insert(line.substr(at + 2));
  }
  return {names.begin(), names.end()};
}

class FalseEngine::Impl {
 public:
  Impl(const Host& host, uid_t uid, std::string answer) : answer_(std::move(answer)) {
    As(host, uid, [this] {
      listener_ = UnixSocket();
      if (!BindTo(listener_.get(), EngineName()) || listen(listener_.get(), 8) != 0)
        throw std::runtime_error("the engine's name is taken");
    });
    server_ = std::thread([this] { Serve(); });
  }
  ~Impl() {
    shutdown(listener_.get(), SHUT_RDWR);  // accept() returns
    server_.join();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

 private:
  void Serve() {
    for (;;) {
      const Descriptor peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!peer.valid()) return;
      char request[512];
      if (recv(peer.get(), request, sizeof request, 0) > 0) SendAll(peer.get(), answer_);
    }
  }

  std::string answer_;
  Descriptor listener_;
  std::thread server_;
};

FalseEngine::FalseEngine(const Host& host, uid_t uid, std::string answer)
    : impl_(std::make_unique<Impl>(host, uid, std::move(answer))) {}
FalseEngine::~FalseEngine() = default;

}  // namespace mptcptls::lab
