#include "shim/engine_start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/clock.h"
#include "shim/control_client.h"
#include "shim/log.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

constexpr int64_t kRetryMs = 10'000;
constexpr int kReadyFd = 3;
constexpr int kMaxEnvironment = 256;
constexpr size_t kMaxCause = 384;  // of what an engine says before it gives up

std::atomic<int64_t> not_before{0};  // ms; the last start failed

bool EnginePath(char (&path)[PATH_MAX]) {
  if (const char* const override_path = Setting("MPTCPTLS_ENGINE"))
    return snprintf(path, sizeof path, "%s", override_path) < static_cast<int>(sizeof path);
  Dl_info self;
  if (dladdr(reinterpret_cast<const void*>(&StartEngine), &self) == 0) return false;
  const char* const slash = strrchr(self.dli_fname, '/');
  if (slash == nullptr) return false;
  const int length = static_cast<int>(slash - self.dli_fname);
  return snprintf(path, sizeof path, "%.*s/../bin/mptcptlsd", length, self.dli_fname) <
         static_cast<int>(sizeof path);
}

// Everything that a daemon must not take over from whoever happened to start it. Runs in the child
// of a process that may have threads: system calls only.
void BecomeDaemon(int ready) {
  setsid();
  struct sigaction by_default;
  memset(&by_default, 0, sizeof by_default);
  by_default.sa_handler = SIG_DFL;
  for (int s = 1; s < NSIG; ++s) sigaction(s, &by_default, nullptr);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  cpu_set_t all;
  memset(&all, 0xff, sizeof all);
  sched_setaffinity(0, sizeof all, &all);
  if (ready != kReadyFd) dup2(ready, kReadyFd);
  fcntl(kReadyFd, F_SETFD, 0);
  syscall(SYS_close_range, kReadyFd + 1, ~0u, 0);
  // 0, 1 and 2 may have been closed by the program: /dev/null takes all three places.
  for (int fd = 0; fd < 3; ++fd) close(fd);
  if (open("/dev/null", O_RDWR) == 0) {
    dup2(0, 1);
    dup2(0, 2);
  }
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (chdir("/") != 0) return;  // then it keeps a directory busy, no more
}

bool IsSetting(const char* variable) { return strncmp(variable, "MPTCPTLS_", 9) == 0; }

// The environment without what would preload us into the engine, and our settings as they were when
// the program began (MPTCPTLS_CONFIG is the engine's): programs clear their environment.
void EngineEnvironment(char** out) {
  int count = 0;
  for (int i = 0; const char* kept = KeptVariable(i); ++i)
    if (IsSetting(kept)) out[count++] = const_cast<char*>(kept);
  for (char** e = environ; e != nullptr && *e != nullptr && count < kMaxEnvironment; ++e)
    if (strncmp(*e, "LD_PRELOAD=", 11) != 0 && !IsSetting(*e)) out[count++] = *e;
  out[count] = nullptr;
}

// A fork without fork handlers. Exit signal 0: the program sees neither SIGCHLD nor a child.
pid_t Fork() { return static_cast<pid_t>(syscall(SYS_clone, 0, nullptr, nullptr, nullptr, 0)); }

// Forked twice, the engine is nobody's zombie. A program that its orphans come back to (init of a
// container, a subreaper) would find it among its children then: there it is forked once.
bool AdoptsOrphans() {
  int subreaper = 0;
  return getpid() == 1 || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper != 0);
}

// 'R' when it is ready, else 'E' and what its log says; `why` is left alone when it says nothing.
bool AwaitReady(int fd, char (&why)[kMaxCause]) {
  const int64_t deadline = NowMs() + kControlWaitMs;
  for (int64_t left; (left = deadline - NowMs()) > 0;) {
    pollfd ready{fd, POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(left)) <= 0) continue;
    char text[kMaxCause];
    const ssize_t size = read(fd, text, sizeof text);
    if (size > 0 && text[0] == 'R') return true;
    if (size > 1 && text[0] == 'E') {
      memcpy(why, text + 1, static_cast<size_t>(size) - 1);
      why[size - 1] = 0;
    }
    return false;
  }
  return false;
}

bool Spawn(const char* path, char (&why)[kMaxCause]) {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) return false;
  char* environment[kMaxEnvironment + 1];
  EngineEnvironment(environment);
  char name[] = "mptcptlsd", option[] = "--ready-fd", number[] = "3";
  char* arguments[] = {name, option, number, nullptr};
  const auto execute = real::execve();
  // No handler of the program may run in the children.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool once = AdoptsOrphans();
  const pid_t child = Fork();
  if (child == 0) {
    if (!once && Fork() != 0) _exit(0);
    BecomeDaemon(ready[1]);
    execute(path, arguments, environment);
    _exit(127);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  close(ready[1]);
  while (!once && child > 0 && waitpid(child, nullptr, __WCLONE) < 0 && errno == EINTR) {
  }
  const bool is_ready = child > 0 && AwaitReady(ready[0], why);
  close(ready[0]);
  return is_ready;
}

}  // namespace

bool StartEngine() {
  const ErrnoKeeper keeper;
  if (geteuid() != 0 || NowMs() < not_before.load(std::memory_order_relaxed)) return false;
  char path[PATH_MAX] = "";
  char why[kMaxCause] = "it did not become ready; run it by hand to see why";
  if (!EnginePath(path) || access(path, X_OK) != 0) {
    static std::atomic<bool> told{false};
    if (!told.exchange(true))
      Log("there is no engine to start (%s: %s): set MPTCPTLS_ENGINE to mptcptlsd's path", path,
          strerrordesc_np(errno));
  } else if (Spawn(path, why)) {
    return true;
  } else {
    Log("%s does not start, and is not tried again for ten seconds: %s", path, why);
  }
  not_before.store(NowMs() + kRetryMs, std::memory_order_relaxed);
  return false;
}

}  // namespace mptcptls::shim
