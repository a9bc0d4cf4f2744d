// The probe's rows of carrying bytes: flags of send() and recv(), what is queued, the calls of
// files on sockets.
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

// Sends ten bytes, and reads to the end.
void TenServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Result("send", send(fd, "0123456789", 10, 0));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

// MSG_TRUNC: taken out, and not copied.
void Truncated(const Address& server) {
  const int fd = Connected(server);
  AwaitQueued(fd, 10);
  char bytes[11] = "";
  Result("recv", recv(fd, bytes, 4, MSG_TRUNC));
  Say("copied '%s'", bytes);
  Result("recv into nothing", recv(fd, nullptr, 3, MSG_TRUNC | MSG_DONTWAIT));
  Result("recv", recv(fd, bytes, 10, MSG_DONTWAIT));
  Say("received %s", bytes);
  Result("recv of none", recv(fd, bytes, 4, MSG_TRUNC | MSG_DONTWAIT));
  close(fd);
}

// There is never anything in the queue of errors; the data stays where it is.
void ErrorQueue(const Address& server) {
  const int fd = Connected(server);
  AwaitQueued(fd, 10);
  char bytes[11] = "", control[256];
  iovec piece{bytes, 10};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  Result("recvmsg", recvmsg(fd, &message, MSG_ERRQUEUE));
  Result("recv", recv(fd, bytes, 10, MSG_ERRQUEUE));
  sockaddr_storage from;
  socklen_t length = sizeof from;
  Result("recvfrom",
         recvfrom(fd, bytes, 10, MSG_ERRQUEUE, reinterpret_cast<sockaddr*>(&from), &length));
  Result("recv urgent", recv(fd, bytes, 1, MSG_OOB));
  Result("recv", recv(fd, bytes, 10, MSG_DONTWAIT));
  Say("received %s", bytes);
  close(fd);
}

// An urgent byte, which TCP takes out of the stream.
void UrgentApartServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Await(fd, POLLRDHUP, "all is there");
  pollfd state{fd, POLLPRI, 0};
  poll(&state, 1, 0);
  Say("urgent: %s", (state.revents & POLLPRI) != 0 ? "yes" : "no");
  int mark = -1;
  Done("SIOCATMARK", ioctl(fd, SIOCATMARK, &mark));
  Say("at the mark: %d", mark);
  char byte;
  Result("recv urgent", recv(fd, &byte, 1, MSG_OOB));
  Say("received %s", ReadToEnd(fd).c_str());
  close(fd);
}
void UrgentApart(const Address& server) {
  const int fd = Connected(server);
  Result("send", send(fd, "before", 6, 0));
  Result("send urgent", send(fd, "!", 1, MSG_OOB));
  Result("send", send(fd, "after", 5, 0));
  Done("shutdown", shutdown(fd, SHUT_WR));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

void WaitAllServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Result("send", send(fd, "abc", 3, 0));
  char cue;
  Result("recv", recv(fd, &cue, 1, 0));
  Result("send", send(fd, "def", 3, 0));
  Result("recv", recv(fd, &cue, 1, 0));
  Result("send", send(fd, "gh", 2, 0));
  close(fd);
}
void WaitAll(const Address& server) {
  const int fd = Connected(server);
  AwaitQueued(fd, 3);
  char bytes[16] = "";
  Result("at once", recv(fd, bytes, 6, MSG_WAITALL | MSG_DONTWAIT | MSG_PEEK));
  ssize_t peeked = 0;
  Waiter peek([&] { peeked = recv(fd, bytes, 6, MSG_WAITALL | MSG_PEEK); });
  peek.AwaitBlocked();
  Result("send", send(fd, "x", 1, 0));
  peek.Join();
  Result("peek all", peeked);
  Result("all", recv(fd, bytes, 6, MSG_WAITALL));
  Result("send", send(fd, "x", 1, 0));
  Result("to the end", recv(fd, bytes, 6, MSG_WAITALL));
  close(fd);
}

volatile sig_atomic_t pipes = 0;

void Pipe(const Address& server) {
  struct sigaction action {};
  action.sa_handler = [](int) { pipes = pipes + 1; };
  sigaction(SIGPIPE, &action, nullptr);
  const int fd = Connected(server);
  Done("shutdown", shutdown(fd, SHUT_WR));
  Result("quiet send", send(fd, "x", 1, MSG_NOSIGNAL));
  Say("signals %d", static_cast<int>(pipes));
  Result("send", send(fd, "x", 1, 0));
  Say("signals %d", static_cast<int>(pipes));
  Result("write", write(fd, "x", 1));
  Say("signals %d", static_cast<int>(pipes));
  Say("rest: %s", ReadToEnd(fd).c_str());
  close(fd);
}

// A reset, and the program writes before it reads.
void WriteAfterResetServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  AwaitBytes(fd, 5);
  close(fd);
}
void WriteAfterReset(const Address& server) {
  const int fd = Connected(server);
  Result("send", send(fd, "hello", 5, 0));
  Await(fd, POLLIN | POLLRDHUP, "reset");
  Result("first write", send(fd, "x", 1, MSG_NOSIGNAL));
  Result("second write", send(fd, "x", 1, MSG_NOSIGNAL));
  close(fd);
}

int Asked(int fd, unsigned long request) {
  int value = -1;
  return ioctl(fd, request, &value) == 0 ? value : -errno;
}

// Waits until nothing is on its way.
void AwaitDrained(int fd) {
  int left = 0;
  for (int i = 0; i < 1000000 && (left = Asked(fd, SIOCOUTQ)) > 0; ++i) poll(nullptr, 0, 1);
  Say("left %d, not sent %d", left, Asked(fd, SIOCOUTQNSD));
}

constexpr int kMuch = 3'000'000;  // more than all windows and buffers hold

void QueuesServer(const Address& any) {
  const int listener = Listen(any);
  Say("listener: %d %d", Asked(listener, SIOCOUTQ), Asked(listener, SIOCINQ));
  const int fd = Accept(listener);
  AwaitQueued(fd, 5);
  Say("can be read: %d", Asked(fd, SIOCINQ));
  Say("of its own: %d", Asked(fd, SIOCOUTQ));
  char cue;
  Result("recv", recv(fd, &cue, 1, 0));
  Result("send", send(fd, &cue, 1, 0));
  // Now the client sends what does not all fit, and says so over another connection.
  const int other = Accept(listener);
  Result("recv", recv(other, &cue, 1, 0));
  Say("rest: %d", static_cast<int>(ReadToEnd(fd).size() > 4));
  close(fd);
  close(other);
}
void Queues(const Address& server) {
  const int fd = Tcp(server);
  Say("fresh: %d %d %d", Asked(fd, SIOCOUTQ), Asked(fd, SIOCOUTQNSD), Asked(fd, SIOCINQ));
  Done("connect", connect(fd, server.get(), server.length));
  Result("send", send(fd, "hello", 5, 0));
  AwaitDrained(fd);
  char cue;
  Result("recv", recv(fd, &cue, 1, 0));
  fcntl(fd, F_SETFL, O_NONBLOCK);
  const std::vector<char> much(kMuch);
  size_t sent = 0;
  // As much as there is room for, and once more when that has moved on.
  for (int quiet = 0; quiet < 2 && sent < 40u * kMuch;) {
    const ssize_t n = send(fd, much.data(), much.size(), 0);
    if (n > 0)
      sent += static_cast<size_t>(n), quiet = 0;
    else
      ++quiet, poll(nullptr, 0, 100);
  }
  Say("much on its way: %d", Asked(fd, SIOCOUTQ) > 100'000);
  Say("not sent: %d", Asked(fd, SIOCOUTQNSD) > 0);
  fcntl(fd, F_SETFL, 0);
  const int other = Connected(server);
  Result("send", send(other, "x", 1, 0));
  AwaitDrained(fd);
  close(other);
  close(fd);
}

void Many(const Address& server) {
  const int fd = Connected(server);
  char one[] = "one", two[] = "twotwo", three[8] = "", four[8] = "";
  iovec pieces[4] = {{one, 3}, {two, 6}, {three, 3}, {four, 6}};
  mmsghdr out[2]{}, in[2]{};
  sockaddr_storage names[2]{};
  for (int i = 0; i < 2; ++i) {
    out[i].msg_hdr.msg_iov = &pieces[i];
    out[i].msg_hdr.msg_iovlen = 1;
    in[i].msg_hdr.msg_iov = &pieces[2 + i];
    in[i].msg_hdr.msg_iovlen = 1;
    in[i].msg_hdr.msg_name = &names[i];
    in[i].msg_hdr.msg_namelen = sizeof names[i];
  }
  Result("sendmmsg", sendmmsg(fd, out, 2, 0));
  AwaitQueued(fd, 9);
  Result("recvmmsg", recvmmsg(fd, in, 2, 0, nullptr));
  Say("received %s %s, names of %u %u, family %d", three, four, in[0].msg_hdr.msg_namelen,
      in[1].msg_hdr.msg_namelen, names[0].ss_family);
  // With an address, which a connected socket does not look at.
  for (mmsghdr& message : out) {
    message.msg_hdr.msg_name = const_cast<sockaddr*>(server.get());
    message.msg_hdr.msg_namelen = server.length;
  }
  Result("sendmmsg", sendmmsg(fd, out, 2, 0));
  Say("lengths %u %u", out[0].msg_len, out[1].msg_len);
  AwaitQueued(fd, 9);
  Result("recvmmsg", recvmmsg(fd, in, 2, MSG_WAITFORONE, nullptr));
  close(fd);
}

// A descriptor beside the bytes means nothing to TCP.
void Control(const Address& server) {
  const int fd = Connected(server);
  char bytes[6] = "hello";
  iovec piece{bytes, 5};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const c = CMSG_FIRSTHDR(&message);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof(int));
  const int zero = 0;
  memcpy(CMSG_DATA(c), &zero, sizeof zero);
  Result("sendmsg", sendmsg(fd, &message, 0));
  AwaitQueued(fd, 5);
  message.msg_controllen = sizeof control;
  Result("recvmsg", recvmsg(fd, &message, 0));
  Say("control %zu, flags %d", message.msg_controllen, message.msg_flags);
  Result("zerocopy", send(fd, bytes, 5, MSG_ZEROCOPY));
  Result("recv", recv(fd, bytes, 5, MSG_WAITALL));
  Result("other flags", send(fd, bytes, 5, MSG_EOR | MSG_CONFIRM | MSG_DONTROUTE));
  Result("recv", recv(fd, bytes, 5, MSG_WAITALL));
  Result("of none", send(fd, bytes, 0, 0));
  Result("of none", write(fd, bytes, 0));
  Result("into none", read(fd, bytes, 0));
  close(fd);
}

// MSG_FASTOPEN where the server has given no cookie.
void FastOpen(const Address& server) {
  const int fd = Tcp(server);
  Result("sendto", sendto(fd, "hello", 5, MSG_FASTOPEN, server.get(), server.length));
  char bytes[6] = "";
  Result("recv", recv(fd, bytes, 5, MSG_WAITALL));
  Say("received %s, peer %s", bytes, Peer(fd).c_str());
  close(fd);
}

void Splice(const Address& server) {
  const int fd = Connected(server);
  int ends[2];
  if (pipe(ends) != 0) return;
  Result("write", write(ends[1], "through a pipe", 14));
  Result("splice in", splice(ends[0], nullptr, fd, nullptr, 14, 0));
  AwaitQueued(fd, 14);
  Result("splice out", splice(fd, nullptr, ends[1], nullptr, 14, 0));
  char bytes[15] = "";
  Result("read", read(ends[0], bytes, 14));
  Say("received %s", bytes);
  fcntl(fd, F_SETFL, O_NONBLOCK);
  Result("splice of none", splice(fd, nullptr, ends[1], nullptr, 14, SPLICE_F_NONBLOCK));
  fcntl(fd, F_SETFL, 0);
  const int file = memfd_create("file", MFD_CLOEXEC);
  Result("write", write(file, "from a file", 11));
  off_t offset = 5;
  Result("sendfile", sendfile(fd, file, &offset, 100));
  Say("offset %d", static_cast<int>(offset));
  AwaitQueued(fd, 6);
  Result("sendfile from it", sendfile(file, fd, nullptr, 6));
  Result("copy_file_range", copy_file_range(fd, nullptr, file, nullptr, 6, 0));
  Result("recv", recv(fd, bytes, 6, MSG_DONTWAIT));
  close(ends[0]);
  close(ends[1]);
  close(file);
  close(fd);
}

// What is for files, and what a socket says of itself.
void NoFile(const Address& server) {
  const int fd = Connected(server);
  char bytes[6] = "hello";
  iovec piece{bytes, 5};
  Result("lseek", lseek(fd, 0, SEEK_CUR));
  Result("pread", pread(fd, bytes, 5, 0));
  Result("pwrite", pwrite(fd, bytes, 5, 0));
  Result("preadv", preadv(fd, &piece, 1, 0));
  Result("pwritev", pwritev(fd, &piece, 1, 0));
  Result("pwritev2", pwritev2(fd, &piece, 1, -1, 0));
  Result("preadv2", preadv2(fd, &piece, 1, -1, 0));
  Done("ftruncate", ftruncate(fd, 0));
  Done("fsync", fsync(fd));
  Done("mmap", mmap(nullptr, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
  Done("getdents", readlinkat(fd, "", bytes, 5) < 0 ? -1 : 0);
  Say("terminal %d", isatty(fd));
  struct stat state {};
  Done("fstat", fstat(fd, &state));
  Say("socket %d, mode %o, size %d", S_ISSOCK(state.st_mode), state.st_mode,
      static_cast<int>(state.st_size));
  char link[64] = "";
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  Say("link %d",
      readlink(path.c_str(), link, sizeof link - 1) > 0 && strncmp(link, "socket:[", 8) == 0);
  Done("open", open(path.c_str(), O_RDWR) < 0 ? -1 : 0);
  close(fd);
}

void Stdio(const Address& server) {
  const int fd = Connected(server);
  FILE* const out = fdopen(dup(fd), "w");
  FILE* const in = fdopen(fd, "r");
  fprintf(out, "a line of %d words\n", 5);
  fflush(out);
  char line[64] = "";
  Say("received %s", fgets(line, sizeof line, in) != nullptr ? line : "nothing");
  for (int i = 0; i < 1000; ++i) fprintf(out, "%d\n", i);
  fflush(out);
  int last = -1;
  for (int i = 0; i < 1000; ++i)
    if (fscanf(in, "%d", &last) != 1) break;
  Say("last %d", last);
  fclose(out);
  fclose(in);
}

// SO_SNDTIMEO and SO_RCVTIMEO where the peer neither reads nor writes.
void TimeoutsServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  const int cue = Accept(listener);
  char byte;
  Result("recv", recv(cue, &byte, 1, 0));
  close(fd);
  close(cue);
}
void Timeouts(const Address& server) {
  const int fd = Connected(server);
  const timeval limit{0, 40'000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  const std::vector<char> much(kMuch);
  ssize_t n;
  while ((n = send(fd, much.data(), much.size(), 0)) > 0) {
  }
  Result("send", n);
  const int cue = Connected(server);
  Result("send", send(cue, "x", 1, 0));
  close(cue);
  close(fd);
}

// SO_LINGER with a time: all is sent, whoever waits for it.
void LingerServer(const Address& any) {
  const int listener = Listen(any);
  const int fd = Accept(listener);
  Say("received %zu", ReadToEnd(fd).size());
  close(fd);
}
void Linger(const Address& server) {
  const int fd = Connected(server);
  const linger wait{1, 5};
  Done("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &wait, sizeof wait));
  const std::vector<char> bytes(400'000);
  Result("send", send(fd, bytes.data(), bytes.size(), 0));
  Done("close", close(fd));
}

}  // namespace

const Scenario kMessageScenarios[] = {
    {"truncated", TenServer, Truncated},
    {"error_queue", TenServer, ErrorQueue},
    {"urgent_apart", UrgentApartServer, UrgentApart},
    {"wait_all", WaitAllServer, WaitAll},
    {"sigpipe", EchoServer, Pipe},
    {"write_after_reset", WriteAfterResetServer, WriteAfterReset},
    {"queues", QueuesServer, Queues},
    {"many", EchoServer, Many},
    {"control", EchoServer, Control},
    {"fast_open", EchoServer, FastOpen},
    {"splice", EchoServer, Splice},
    {"no_file", EchoServer, NoFile},
    {"stdio", EchoServer, Stdio},
    {"timeouts", TimeoutsServer, Timeouts},
    {"linger", LingerServer, Linger},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
