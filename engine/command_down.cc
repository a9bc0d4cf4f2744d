#include "engine/command_down.h"

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "engine/command_error.h"
#include "engine/control_connection.h"

namespace mptcptls::command {
namespace {

constexpr int kNamePollMs = 10;

// glibc 2.36 declares pidfd_open() without extern "C".
int OpenProcess(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// For an engine of another version: it does not understand the request, but SIGTERM.
absl::Status Terminate(const Descriptor& process, const absl::Status& answer) {
  if (!process.valid()) return answer;
  if (syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0) == 0)
    return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat(answer.message(), "; it cannot be ended"));
}

bool AwaitExit(int process, Clock::time_point deadline) {
  pollfd ended{process, POLLIN, 0};
  while (poll(&ended, 1, MillisecondsUntil(deadline)) <= 0)
    if (Clock::now() >= deadline) return false;
  return true;
}

// For an engine whose process cannot be watched (another pid namespace). A successor that a program
// started meanwhile is not this one.
bool AwaitNameGone(pid_t engine, Clock::time_point deadline) {
  while (true) {
    const auto connection = ControlConnection::Open();
    if (absl::IsNotFound(connection.status())) return true;
    if (connection.ok() && engine > 0 && connection->engine() != engine) return true;
    if (Clock::now() >= deadline) return false;
    poll(nullptr, 0, std::min(kNamePollMs, MillisecondsUntil(deadline)));
  }
}

}  // namespace

absl::Status EndEngine(std::chrono::milliseconds patience) {
  auto connection = ControlConnection::Open();
  if (!connection.ok()) return connection.status();
  const pid_t engine = connection->engine();
  // Before it is asked to end: afterwards the number may be another process's.
  const Descriptor process(engine > 0 ? OpenProcess(engine) : -1);
  const auto request = BareRequest(control::Verb::kDown);
  const absl::Status sent = connection->Send(&request, sizeof request);
  if (!sent.ok()) return sent;
  absl::Status answer = connection->AwaitReply().status();
  if (absl::IsUnimplemented(answer)) answer = Terminate(process, answer);
  if (!answer.ok()) return answer;
  const auto deadline = Clock::now() + patience;
  const bool gone =
      process.valid() ? AwaitExit(process.get(), deadline) : AwaitNameGone(engine, deadline);
  if (gone) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("the engine (pid ", engine, ") agreed to end and is still there: look at its ",
                   "log, or kill -9 it, which takes down all that it set up"));
}

int TakeDown() {
  const absl::Status ended = EndEngine();
  if (absl::IsNotFound(ended)) {
    puts("no engine is running: there is nothing to take down");
    return kSuccess;
  }
  return ended.ok() ? kSuccess : Fail(ended);
}

}  // namespace mptcptls::command
