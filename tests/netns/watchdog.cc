#include "tests/netns/watchdog.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <system_error>

namespace mptcptls::lab {
namespace {

[[noreturn]] void Watch(int descriptor, const std::function<void()>& clean_up) {
  setsid();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    ::signal(signal, SIG_IGN);
  }
  // Whoever waits for the owner's output must not wait for us; nor may we hold another lab open.
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
  dup2(descriptor, 3);
  close_range(4, ~0U, 0);
  char dismissed;
  ssize_t n;
  do {
    n = read(3, &dismissed, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) {
    try {
      clean_up();
    } catch (const std::exception&) {
      _exit(1);  // there is nobody left to tell
    }
  }
  _exit(0);
}

}  // namespace

int StartWatchdog(const std::function<void()>& clean_up) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  const pid_t pid = fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    close(pipe_ends[1]);
    if (fork() == 0) Watch(pipe_ends[0], clean_up);
    _exit(0);
  }
  close(pipe_ends[0]);
  waitpid(pid, nullptr, 0);
  return pipe_ends[1];
}

void StopWatchdog(int descriptor) {
  const char dismissed = 0;
  if (write(descriptor, &dismissed, 1) != 1) {
    // It is gone already; nothing is left to dismiss.
  }
  close(descriptor);
}

}  // namespace mptcptls::lab
