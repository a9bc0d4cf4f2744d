#include "shim/inherited.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/clock.h"
#include "shim/control_client.h"
#include "shim/listen.h"
#include "shim/log.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
constexpr int kMost = 64;
constexpr int kPatienceMs = 3 * kControlWaitMs;  // an engine that starts, and two answers

enum State : uint8_t { kUntried, kTrying, kTried };
std::atomic<uint8_t> states[kMost];
int count = 0;
pid_t owner = 0;

// Before main(): sd_listen_fds() takes the variables away.
__attribute__((constructor)) void ReadVariables() {
  const char* const pid = getenv("LISTEN_PID");
  const char* const number = getenv("LISTEN_FDS");
  if (pid == nullptr || number == nullptr) return;
  const ErrnoKeeper keeper;
  owner = getpid();
  if (strtol(pid, nullptr, 10) != owner) return;
  const long given = strtol(number, nullptr, 10);
  if (given > 0) count = given < kMost ? static_cast<int>(given) : kMost;
}

// Of a listening socket TCP_INFO has the backlog here.
int BacklogOf(int fd) {
  tcp_info info;
  socklen_t length = sizeof info;
  if (real::getsockopt()(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0 || info.tcpi_sacked == 0)
    return SOMAXCONN;
  return static_cast<int>(info.tcpi_sacked);
}

void Adopt(int fd) {
  int domain = 0;
  if (!ListeningTcp(fd, &domain)) return;
  const bool captured = Listen(fd, BacklogOf(fd)) == 0;
  Log("the inherited listener %d is %s", fd, captured ? "captured" : "left to the kernel");
}

// Another thread captures it: who waits at the kernel's socket now would wait there for ever.
void AwaitTried(std::atomic<uint8_t>* state) {
  const int64_t deadline = NowMs() + kPatienceMs;
  while (state->load(std::memory_order_acquire) == kTrying && NowMs() < deadline)
    poll(nullptr, 0, 1);
}

}  // namespace

void AdoptInherited(int fd) {
  const int index = fd - kFirst;
  if (index < 0 || index >= count) return;
  std::atomic<uint8_t>& state = states[index];
  uint8_t found = state.load(std::memory_order_acquire);
  if (found == kTried || getpid() != owner) return;
  const ErrnoKeeper keeper;
  if (found == kUntried && state.compare_exchange_strong(found, kTrying)) {
    Adopt(fd);
    state.store(kTried, std::memory_order_release);
  } else {
    AwaitTried(&state);
  }
}

}  // namespace mptcptls::shim
