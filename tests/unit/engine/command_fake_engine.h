// An engine that says what a test wants: a process that listens on the engine's abstract name.
// Those names are per network namespace, so it lives in a fresh one.
#ifndef MPTCPTLS_TESTS_UNIT_ENGINE_COMMAND_FAKE_ENGINE_H_
#define MPTCPTLS_TESTS_UNIT_ENGINE_COMMAND_FAKE_ENGINE_H_

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "engine/control.h"

namespace mptcptls::command {

// Runs `body` in a thread whose network namespace is new; false when this is not permitted.
inline bool InFreshNamespace(const std::function<void()>& body) {
  bool permitted = false;
  std::thread([&] {
    permitted = unshare(CLONE_NEWNET) == 0;
    if (permitted) body();
  }).join();
  return permitted;
}

#define RUN_IN_FRESH_NAMESPACE(body) \
  if (!InFreshNamespace(body)) FAIL() << "needs the right to make network namespaces"

class FakeEngine {
 public:
  // `serve` gets the first connection, in the engine's process, which ends afterwards.
  explicit FakeEngine(const std::function<void(int connection)>& serve, uid_t uid = 0) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    pid_ = fork();
    if (pid_ == 0) Live(serve, uid, ready[1]);
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1) << "the fake engine does not listen";
    close(ready[0]);
  }
  ~FakeEngine() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;
  pid_t pid() const { return pid_; }

 private:
  [[noreturn]] static void Live(const std::function<void(int)>& serve, uid_t uid, int ready) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (uid != 0 && setresuid(uid, uid, uid) != 0) _exit(1);
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address;
    const socklen_t length = control::EngineAddress(&address);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        listen(listener, 1) != 0 || write(ready, "r", 1) != 1)
      _exit(1);
    const int connection = accept(listener, nullptr, nullptr);
    serve(connection);
    _exit(0);
  }

  pid_t pid_ = 0;
};

// Reads a request and the descriptor that rides on it (-1: none).
inline control::Header TakeRequest(int connection, int* descriptor = nullptr) {
  control::Header header;
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof(int))] = {};
  iovec piece{&header, sizeof header};
  msghdr m = {};
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  m.msg_control = space;
  m.msg_controllen = sizeof space;
  if (recvmsg(connection, &m, 0) != sizeof header) _exit(2);
  cmsghdr* const c = CMSG_FIRSTHDR(&m);
  if (descriptor != nullptr) *descriptor = -1;
  if (descriptor != nullptr && c != nullptr) memcpy(descriptor, CMSG_DATA(c), sizeof *descriptor);
  return header;
}

inline void SendReply(int connection, int error, const std::string& reason = "",
                      const std::string& payload = "", uint32_t version = control::kVersion) {
  auto reply = control::Make<control::Reply>(control::Verb::kReply);
  reply.header.version = version;
  reply.error = error;
  reply.payload_length = static_cast<uint32_t>(payload.size());
  reason.copy(reply.reason, sizeof reply.reason - 1);
  if (write(connection, &reply, sizeof reply) != sizeof reply) _exit(3);
  if (write(connection, payload.data(), payload.size()) != static_cast<ssize_t>(payload.size()))
    _exit(3);
}

// Until the other side closes or shuts down.
inline void AwaitEnd(int connection) {
  char byte;
  while (read(connection, &byte, 1) > 0) {
  }
}

}  // namespace mptcptls::command

#endif  // MPTCPTLS_TESTS_UNIT_ENGINE_COMMAND_FAKE_ENGINE_H_
