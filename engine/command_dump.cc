#include "engine/command_dump.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "engine/command_error.h"
#include "engine/command_text.h"
#include "engine/control_connection.h"

namespace mptcptls::command {
namespace {

constexpr std::chrono::seconds kProgress{1};
// The engine may be in the middle of a packet when it is told to stop.
constexpr std::chrono::seconds kFinishWait{2};

// SIGINT, SIGTERM and SIGHUP as a descriptor, for as long as it lives.
class StopSignals {
 public:
  StopSignals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, &before_);
    fd_ = Descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~StopSignals() {
    // What came is done with; unblocked, it would end the process before its last words.
    signalfd_siginfo taken;
    while (read(fd_.get(), &taken, sizeof taken) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  int fd() const { return fd_.get(); }

 private:
  sigset_t before_;
  Descriptor fd_;
};

absl::Status NotRegular(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat(
      Printable(path), " is no regular file: dump to a file, then read that (a pipe could hold up ",
      "the engine)"));
}

std::string SizeOf(int file) {
  struct stat info;
  return fstat(file, &info) == 0 ? HumanBytes(static_cast<uint64_t>(info.st_size)) : "?";
}

void ShowProgress(const std::string& size, bool last) {
  // Spaces: the line before may have been longer.
  if (isatty(STDERR_FILENO)) fprintf(stderr, "\r%s so far    %s", size.c_str(), last ? "\n" : "");
}

enum class Ended { kAsked, kByEngine };

// Holds the connection until a signal, the end of the time, or the engine's end.
Ended Hold(int connection, int signals, int file, Clock::time_point end) {
  while (true) {
    ShowProgress(SizeOf(file), false);
    std::array<pollfd, 2> ready = {{{connection, POLLIN, 0}, {signals, POLLIN, 0}}};
    const auto next = std::min(end, Clock::now() + kProgress);
    if (poll(ready.data(), ready.size(), MillisecondsUntil(next)) < 0 && errno != EINTR)
      return Ended::kAsked;
    if (ready[1].revents != 0 || Clock::now() >= end) return Ended::kAsked;
    // It has nothing to say but its end.
    if (ready[0].revents != 0) return Ended::kByEngine;
  }
}

// Tells the engine to stop, and waits until it let go of the file.
void Finish(int connection) {
  shutdown(connection, SHUT_WR);
  const auto deadline = Clock::now() + kFinishWait;
  pollfd ready{connection, POLLIN, 0};
  while (poll(&ready, 1, MillisecondsUntil(deadline)) < 0 && errno == EINTR) {
  }
}

absl::Status Begin(ControlConnection& connection, int file) {
  const auto request = BareRequest(control::Verb::kDump);
  const absl::Status sent = connection.Send(&request, sizeof request, file);
  return sent.ok() ? connection.AwaitReply().status() : sent;
}

Clock::time_point EndAfter(double seconds) {
  if (seconds <= 0) return Clock::time_point::max();
  return Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

}  // namespace

absl::StatusOr<Descriptor> OpenDumpFile(const std::string& path, bool* created) {
  if (path == "-") return NotRegular("standard output");
  Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  *created = file.valid();
  // O_NONBLOCK: a pipe that nobody reads must not hold us up.
  if (!file.valid() && errno == EEXIST)
    file = Descriptor(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.valid() && (errno == ENXIO || errno == EISDIR)) return NotRegular(path);
  if (!file.valid())
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write to ", Printable(path)));
  struct stat info;
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) return NotRegular(path);
  const int flags = fcntl(file.get(), F_GETFL);
  if (fcntl(file.get(), F_SETFL, flags & ~O_NONBLOCK) != 0 || ftruncate(file.get(), 0) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot empty ", Printable(path)));
  return file;
}

int Dump(const DumpOptions& options) {
  // First the engine: without one, no file is touched.
  auto connection = ControlConnection::Open();
  if (!connection.ok()) return Fail(connection.status());
  const StopSignals signals;
  bool created = false;
  const auto file = OpenDumpFile(options.file, &created);
  if (!file.ok()) return Fail(file.status());
  const absl::Status begun = Begin(*connection, file->get());
  if (!begun.ok()) {
    if (created) unlink(options.file.c_str());
    return Fail(begun);
  }
  const Ended ended =
      Hold(connection->descriptor(), signals.fd(), file->get(), EndAfter(options.seconds));
  Finish(connection->descriptor());
  const std::string size = SizeOf(file->get());
  ShowProgress(size, true);
  printf("%s: %s\n", Printable(options.file).c_str(), size.c_str());
  if (ended == Ended::kAsked) return kSuccess;
  return Fail(
      absl::UnavailableError(absl::StrCat("the engine ended the dump: it ended itself or cannot "
                                          "write (disk full?); what it wrote until "
                                          "then is in ",
                                          Printable(options.file))));
}

}  // namespace mptcptls::command
