#include "engine/command_keylog.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "engine/command_descriptor.h"
#include "engine/command_text.h"
#include "engine/control_connection.h"
#include "engine/key_log.h"

namespace mptcptls::command {
namespace {

class Reader {
 public:
  Reader(Descriptor pipe, Descriptor writer, Descriptor program, std::string log)
      : pipe_(std::move(pipe)),
        writer_(std::move(writer)),
        program_(std::move(program)),
        log_(std::move(log)),
        lines_([this](const control::SecretMessage& secret) { Send(secret); }) {}

  void Run() {
    while (AwaitBytes()) {
      const ssize_t n = read(pipe_.get(), bytes_.data(), bytes_.size());
      if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) break;
      if (n < 0) continue;
      const bool first = lines_.bad() == 0;
      lines_.Feed({bytes_.data(), static_cast<size_t>(n)});
      explicit_bzero(bytes_.data(), bytes_.size());
      if (first && lines_.bad() > 0)
        Log("key log: a line that is none; such lines are thrown away, and counted at the end");
    }
    if (lines_.bad() > 0 || dropped_ > 0)
      Log(absl::StrCat("key log: ", lines_.secrets(), " secrets, ", dropped_,
                       " of them without an engine, ", lines_.bad(), " lines thrown away"));
  }

 private:
  // False when the program has ended and nobody has the pipe open.
  bool AwaitBytes() {
    while (true) {
      std::array<pollfd, 2> ready{
          {{pipe_.get(), POLLIN, 0}, {writer_.valid() ? program_.get() : -1, POLLIN, 0}}};
      if (poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) return false;
      // While the program lives it may open the pipe anew: our own end keeps it from looking
      // closed.
      if (ready[1].revents != 0) writer_.Close();
      if ((ready[0].revents & POLLIN) != 0) return true;
      if (ready[0].revents != 0) return false;
    }
  }

  void Send(const control::SecretMessage& secret) {
    auto engine = ControlConnection::Open();
    if (!engine.ok() || !engine->Send(&secret, sizeof secret).ok()) ++dropped_;
  }

  // As the library does: opens, writes and closes.
  void Log(const std::string& text) const {
    if (log_.empty()) return;
    const std::string line = absl::StrCat("mptcptls[", getpid(), "] ", text, "\n");
    const Descriptor file(
        log_ == "stderr"
            ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0)
            : open(log_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600));
    if (file.valid() && write(file.get(), line.data(), line.size()) < 0) return;
  }

  Descriptor pipe_, writer_, program_;
  std::string log_;
  KeyLogReader lines_;
  uint64_t dropped_ = 0;
  std::array<char, 4096> bytes_;
};

// The program's terminal, its pipes and its signals are not the reader's.
void Detach(bool keep_stderr) {
  setsid();
  prctl(PR_SET_NAME, "mptcptls-keylog");
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (null >= 0 && !(keep_stderr && fd == STDERR_FILENO)) dup2(null, fd);
}

void CloseAllBut(std::array<int, 3> kept) {
  std::ranges::sort(kept);
  unsigned from = STDERR_FILENO + 1;
  for (const int fd : kept) {
    if (static_cast<unsigned>(fd) > from) close_range(from, static_cast<unsigned>(fd) - 1, 0);
    from = static_cast<unsigned>(fd) + 1;
  }
  close_range(from, ~0U, 0);
}

// The reader; not a child of the program, which shall see no SIGCHLD and wait for nobody's end.
[[noreturn]] void BeReader(Descriptor pipe, Descriptor writer, Descriptor program, int told,
                           const std::string& log) {
  const pid_t pid = fork();
  if (pid != 0) _exit(pid < 0 ? 1 : 0);
  const pid_t own = getpid();
  if (write(told, &own, sizeof own) != sizeof own) _exit(1);
  CloseAllBut({pipe.get(), writer.get(), program.get()});
  Detach(log == "stderr");
  Reader(std::move(pipe), std::move(writer), std::move(program), log).Run();
  _exit(0);
}

}  // namespace

absl::StatusOr<std::string> StartKeyLogReader(const std::string& log) {
  std::array<int, 2> ends, answer;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  Descriptor pipe(ends[0]), writer(ends[1]);
  if (pipe2(answer.data(), O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const Descriptor told(answer[0]);
  Descriptor tell(answer[1]);
  Descriptor program(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!program.valid()) return absl::ErrnoToStatus(errno, "cannot watch this process");
  const int number = pipe.get();
  const pid_t child = fork();
  if (child < 0) return absl::ErrnoToStatus(errno, "cannot start the key log's reader");
  if (child == 0) BeReader(std::move(pipe), std::move(writer), std::move(program), tell.get(), log);
  tell.Close();
  pid_t reader = 0;
  const bool begun = read(told.get(), &reader, sizeof reader) == sizeof reader;
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!begun) return absl::InternalError("the key log's reader does not start");
  return absl::StrCat("/proc/", reader, "/fd/", number);
}

absl::Status SetUpKeyLog(const std::string& log) {
  const char* const before = getenv("NODE_OPTIONS");
  const std::string node = before == nullptr ? "" : before;
  if (getenv("SSLKEYLOGFILE") != nullptr)
    return absl::FailedPreconditionError(
        "SSLKEYLOGFILE is set: unset it, or leave --keylog out; keys can go to one place only");
  if (absl::StrContains(node, "--tls-keylog"))
    return absl::FailedPreconditionError(
        "NODE_OPTIONS has a --tls-keylog: take it out, or leave --keylog out; keys can go to one "
        "place only");
  const auto path = StartKeyLogReader(log);
  if (!path.ok()) return path.status();
  setenv("SSLKEYLOGFILE", path->c_str(), 1);
  setenv("NODE_OPTIONS",
         absl::StrCat(node, node.empty() ? "" : " ", "--tls-keylog=", *path).c_str(), 1);
  setenv("MPTCPTLS_KEYLOG", "1", 1);
  return absl::OkStatus();
}

}  // namespace mptcptls::command
