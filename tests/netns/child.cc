#include "tests/netns/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace mptcptls::lab {
namespace {

[[noreturn]] void ThrowErrno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int OpenPidFd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

// False at the deadline. A pidfd becomes readable when its process ends.
bool AwaitPidFd(int fd, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd ready{fd, POLLIN, 0};
    const int n = poll(&ready, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (n == 1) return true;
    if (n == 0) return false;
    if (errno != EINTR) ThrowErrno("poll(pidfd)");
  }
}

// A file without a name that all writers append to.
int MakeOutputFile(const char* name) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
  if (fd < 0 || fcntl(fd, F_SETFL, O_APPEND) != 0) ThrowErrno("memfd_create");
  return fd;
}

std::string ReadAll(int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) ThrowErrno("fstat");
  std::string text(static_cast<size_t>(status.st_size), '\0');
  const ssize_t n = pread(fd, text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return text;
}

std::vector<std::string> Environment(const std::vector<std::string>& extra) {
  std::vector<std::string> env = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
      "LC_ALL=C"};
  if (const char* log = getenv("MPTCPTLS_LOG")) env.push_back(std::string("MPTCPTLS_LOG=") + log);
  env.insert(env.end(), extra.begin(), extra.end());
  return env;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    poll(nullptr, 0, 5);
  }
  return true;
}

bool AwaitExit(pid_t pid, std::chrono::milliseconds deadline) {
  const int fd = OpenPidFd(pid);
  if (fd < 0) return errno == ESRCH;
  const bool gone = AwaitPidFd(fd, deadline);
  close(fd);
  return gone;
}

std::unique_ptr<Child> Child::Start(const Command& command, const std::function<void()>& prepare) {
  std::vector<std::string> argv = command.argv;
  std::vector<std::string> env = Environment(command.env);
  const std::vector<char*> argv_pointers = Pointers(argv);
  const std::vector<char*> env_pointers = Pointers(env);
  const int out = MakeOutputFile("stdout");
  const int err = MakeOutputFile("stderr");
  // Carries errno when exec fails; closed by a successful exec.
  int failure[2];
  if (pipe2(failure, O_CLOEXEC) != 0) ThrowErrno("pipe2");

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) ThrowErrno("fork");
  if (pid == 0) {
    if (!command.outlives_us) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(127);
    }
    prepare();
    const int in = open(command.stdin_file.c_str(), O_RDONLY);
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    if (in > 2) close(in);
    execvpe(argv_pointers[0], argv_pointers.data(), env_pointers.data());
    const int error = errno;
    if (write(failure[1], &error, sizeof error) < 0) _exit(126);
    _exit(127);
  }
  close(failure[1]);
  int error = 0;
  const bool failed = read(failure[0], &error, sizeof error) == sizeof error;
  close(failure[0]);
  std::unique_ptr<Child> child(new Child(pid, OpenPidFd(pid), out, err));
  if (failed) {
    throw std::system_error(error, std::generic_category(), "cannot run " + command.argv[0]);
  }
  return child;
}

Child::~Child() {
  if (pid_ > 0 && !status_) {
    Signal(SIGKILL);
    Wait();
  }
  close(pid_fd_);
  close(out_);
  close(err_);
}

std::string Child::out() const { return ReadAll(out_); }
std::string Child::err() const { return ReadAll(err_); }

std::optional<int> Child::Wait(std::chrono::milliseconds deadline) {
  if (status_) return status_;
  if (!AwaitPidFd(pid_fd_, deadline)) return std::nullopt;
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) ThrowErrno("waitpid");
  }
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return status_;
}

bool Child::Running() { return !Wait(std::chrono::milliseconds(0)).has_value(); }

void Child::Signal(int signal) {
  if (!status_) kill(pid_, signal);
}

}  // namespace mptcptls::lab
