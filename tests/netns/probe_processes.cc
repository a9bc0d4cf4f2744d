// The probe's rows of processes: sockets that are forked, handed over by exec and by SCM_RIGHTS.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

int StatusOf(pid_t child) {
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Both processes use the connection, in turn; the first close() ends nothing.
void BothEnds(const Address& server) {
  const int fd = Connected(server);
  int child_is_done[2], parent_is_done[2];
  if (pipe(child_is_done) != 0 || pipe(parent_is_done) != 0) return;
  char byte = 'x';
  const pid_t child = fork();
  if (child == 0) {
    RoundTrip(fd, "child");
    if (write(child_is_done[1], "x", 1) != 1 || read(parent_is_done[0], &byte, 1) != 1) _exit(1);
    if (read(fd, &byte, 1) != 0) _exit(2);
    Say("the child sees the end");
    _exit(0);
  }
  if (read(child_is_done[0], &byte, 1) != 1) return;
  RoundTrip(fd, "parent");
  Done("shutdown", shutdown(fd, SHUT_WR));  // of both
  close(fd);
  if (write(parent_is_done[1], "x", 1) != 1) return;
  Say("child: %d", StatusOf(child));
}

extern "C" char** environ;

// posix_spawn() and vfork(), without and with CLOEXEC.
void Spawned(const Address& server) {
  int fd = Connected(server);
  std::string number = std::to_string(fd);
  char name[] = "socket_probe", mode[] = "after-exec";
  char* arguments[] = {name, mode, number.data(), nullptr};
  pid_t child = 0;
  const int spawned = posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ);
  Say("child: %d", StatusOf(child));
  Say("posix_spawn: %d", spawned);
  RoundTrip(fd, "the parent's still");
  child = vfork();
  if (child == 0) {
    execv("/proc/self/exe", arguments);
    _exit(127);
  }
  Say("child: %d", StatusOf(child));
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  child = vfork();
  if (child == 0) {
    execv("/proc/self/exe", arguments);
    _exit(127);
  }
  Say("child: %d", StatusOf(child));
  RoundTrip(fd, "the parent's still");
  close(fd);
}

// inetd: the connection is the service's stdin and stdout; and where it is to wait, the listener.
void Serve(int socket, const char* kind) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(STDOUT_FILENO, STDERR_FILENO);
    dup2(socket, STDIN_FILENO);
    dup2(socket, STDOUT_FILENO);
    closefrom(3);
    execl("/proc/self/exe", "socket_probe", "service", kind, nullptr);
    _exit(127);
  }
  close(socket);
  StatusOf(child);
}
void InetdServer(const Address& any) {
  const int listener = Listen(any);
  Serve(Accept(listener), "nowait");
  Serve(listener, "wait");
}
void Inetd(const Address& server) {
  for (int i = 0; i < 2; ++i) {
    const int fd = Connected(server);
    Result("send", send(fd, "a question\n", 11, 0));
    Say("received %s", ReadToEnd(fd).c_str());
    close(fd);
  }
}

// ---- SCM_RIGHTS

void Hand(int channel, int fd) {
  char kind = 'x';
  iovec piece{&kind, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(c), &fd, sizeof fd);
  if (sendmsg(channel, &message, 0) != 1) abort();
}

int Take(int channel) {
  char kind;
  iovec piece{&kind, 1};
  int fd = -1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1) return -1;
  const cmsghdr* const c = CMSG_FIRSTHDR(&message);
  if (c != nullptr && c->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(c), sizeof fd);
  return fd;
}

// A process that was there before the sockets and inherits none of them. `use` gets what is
// handed over.
class Receiver {
 public:
  explicit Receiver(void (*use)(int)) {
    Start([use](int channel) { use(Take(channel)); });
  }
  // One that no library is preloaded into, whatever hooks exec().
  explicit Receiver(const char* kind) {
    Start([kind](int channel) {
      const std::string number = std::to_string(channel);
      const char* const arguments[] = {"socket_probe", kind, number.c_str(), nullptr};
      const char* const nothing[] = {nullptr};
      syscall(SYS_execve, "/proc/self/exe", arguments, nothing);
    });
  }
  void Give(int fd) const { Hand(channel_, fd); }
  void Finish() {
    Say("receiver: %d", StatusOf(child_));
    close(channel_);
  }

 private:
  void Start(const std::function<void(int)>& run) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) abort();
    child_ = fork();
    if (child_ == 0) {
      close(ends[0]);
      run(ends[1]);
      _exit(0);
    }
    close(ends[1]);
    channel_ = ends[0];
  }

  pid_t child_ = -1;
  int channel_ = -1;
};

void UseConnection(int fd) {
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  SayOption(fd, SOL_SOCKET, SO_DOMAIN, "SO_DOMAIN");
  SayOption(fd, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL");
  RoundTrip(fd, "by the receiver");
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
}

void UseListener(int listener) {
  const int fd = Accept(listener);
  SayOption(listener, SOL_SOCKET, SO_ACCEPTCONN, "SO_ACCEPTCONN");
  Say("listener: local %s", Local(listener).c_str());
  Echo(fd);
}

void HandedConnection(const Address& server) {
  Receiver receiver(UseConnection);
  const int fd = Connected(server);
  receiver.Give(fd);
  close(fd);
  receiver.Finish();
}

void HandedListenerServer(const Address& any) {
  Receiver receiver(UseListener);
  const int listener = Tcp(any);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  receiver.Give(listener);
  close(listener);
  Say("ready");
  receiver.Finish();
}

void StrangersConnection(const Address& server) {
  Receiver receiver("take-connection");
  const int fd = Connected(server);
  receiver.Give(fd);
  close(fd);
  receiver.Finish();
}

void StrangersListener(const Address& any) {
  Receiver receiver("take-listener");
  const int listener = Tcp(any);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(listener, any.get(), any.length));
  Done("listen", listen(listener, 8));
  receiver.Give(listener);
  close(listener);
  Say("ready");
  receiver.Finish();
}

// A fresh one, which the receiver connects.
void HandedFresh(const Address& server) {
  static const Address to = server;
  Receiver receiver([](int fd) {
    Done("connect", connect(fd, to.get(), to.length));
    RoundTrip(fd, "its own");
  });
  const int fd = Tcp(server);
  receiver.Give(fd);
  receiver.Finish();
  close(fd);
}

void EchoOnce(const Address& server) {
  const int fd = Connected(server);
  RoundTrip(fd, "hello");
  close(fd);
}

}  // namespace

int TakeOver(const char* kind, int channel) {
  const int fd = Take(channel);
  if (strcmp(kind, "take-connection") == 0)
    UseConnection(fd);
  else
    UseListener(fd);
  return 0;
}

int Service(const char* kind) {
  int fd = STDIN_FILENO;
  // What it says goes where its standard error is: to whoever watches the daemon.
  const int says = dup(STDERR_FILENO);
  const int socket = dup(fd);
  dup2(says, STDOUT_FILENO);
  if (strcmp(kind, "wait") == 0) fd = Accept(socket);
  Say("%s: local %s, peer %s", kind, Local(fd).c_str(), Peer(fd).c_str());
  SayOption(fd, SOL_SOCKET, SO_TYPE, "SO_TYPE");
  SayOption(fd, SOL_SOCKET, SO_PROTOCOL, "SO_PROTOCOL");
  FILE* const in = fdopen(dup(fd), "r");
  char line[64] = "";
  if (fgets(line, sizeof line, in) == nullptr) return 1;
  Say("asked: %s", line);
  dprintf(fd, "an answer to %s", line);
  fclose(in);
  return 0;
}

const Scenario kProcessScenarios[] = {
    {"both_ends", EchoServer, BothEnds},
    {"spawned", EchoServer, Spawned},
    {"inetd", InetdServer, Inetd},
    {"handed_connection", EchoServer, HandedConnection},
    {"handed_listener", HandedListenerServer, EchoOnce},
    {"handed_fresh", EchoServer, HandedFresh},
    {"strangers_connection", EchoServer, StrangersConnection},
    {"strangers_listener", StrangersListener, EchoOnce},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
