// A program started by a test: its output captured, its end awaited with a deadline, killed with
// its handle.
#ifndef MPTCPTLS_TESTS_NETNS_CHILD_H_
#define MPTCPTLS_TESTS_NETNS_CHILD_H_

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace mptcptls::lab {

// How long a test waits for what should happen at once; generous, as machines are busy.
inline constexpr std::chrono::seconds kPatience{20};

// Polls `condition` until it holds; false when it did not before the deadline.
bool Eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds deadline = kPatience);

// True once the process (of anybody's) is gone, false at the deadline.
bool AwaitExit(pid_t pid, std::chrono::milliseconds deadline);

struct Command {
  std::vector<std::string> argv;
  // "NAME=value", beside PATH, HOME and LC_ALL=C; nothing else is inherited but MPTCPTLS_LOG.
  std::vector<std::string> env = {};
  std::string stdin_file = "/dev/null";
  // Not killed when the starting thread ends.
  bool outlives_us = false;
};

class Child {
 public:
  // Forks, runs `prepare` in the child (async-signal-safe calls only), and executes. Throws
  // std::runtime_error when there is no such program.
  static std::unique_ptr<Child> Start(const Command& command, const std::function<void()>& prepare);
  // Kills it (SIGKILL) and reaps it, unless it was released.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // Everything written so far.
  std::string out() const;
  std::string err() const;

  // Exit status, or 128 + signal; nullopt at the deadline.
  std::optional<int> Wait(std::chrono::milliseconds deadline = kPatience);
  bool Running();
  void Signal(int signal);
  // Lets it live on after this handle.
  void Release() { pid_ = -1; }

 private:
  Child(pid_t pid, int pid_fd, int out, int err)
      : pid_(pid), pid_fd_(pid_fd), out_(out), err_(err) {}

  pid_t pid_;
  int pid_fd_;
  int out_;
  int err_;
  std::optional<int> status_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_CHILD_H_
