// The probe's rows of descriptors: numbers that change hands within a process, and io_uring.
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "tests/netns/probe.h"

namespace mptcptls::probe {
namespace {

// As many connections as the client makes, each echoed to its end.
template <int kCount>
void EchoEach(const Address& any) {
  const int listener = Listen(any);
  for (int i = 0; i < kCount; ++i) {
    const int fd = Accept(listener);
    Echo(fd);
    close(fd);
  }
}

// Each way to end the last descriptor of a connection is an end for the peer.
void Ends(const Address& server) {
  int fd = Connected(server);
  RoundTrip(fd, "close_range");
  Done("close_range",
       close_range(static_cast<unsigned>(fd), static_cast<unsigned>(fd), 0) == 0 ? 0 : -1);
  Result("closed", send(fd, "x", 1, MSG_NOSIGNAL));
  fd = Connected(server);
  RoundTrip(fd, "dup2");
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  Done("dup2", dup2(null, fd) == fd ? 0 : -1);
  Say("peer %s", Peer(fd).c_str());
  close(null);
  close(fd);
  // One captured socket over another.
  fd = Connected(server);
  RoundTrip(fd, "below");
  const int over = Connected(server);
  Done("dup3", dup3(over, fd, O_CLOEXEC) == fd ? 0 : -1);
  Say("flags %d", fcntl(fd, F_GETFD));
  close(over);
  RoundTrip(fd, "above");
  // A fresh socket over a captured one, and a number that was a captured socket's.
  const int fresh = Tcp(server);
  Done("dup2", dup2(fresh, fd) == fd ? 0 : -1);
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  Done("connect", connect(fd, server.get(), server.length));
  RoundTrip(fd, "again");
  close(fd);
  close(fresh);
}

// What the flags of one descriptor and of the socket are.
void Flags(const Address& server) {
  const int fd = Tcp(server, SOCK_CLOEXEC);
  const int early = dup(fd);  // of the socket before it is connected
  Done("connect", connect(fd, server.get(), server.length));
  Say("flags %d %d", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
  const int twin = fcntl(fd, F_DUPFD, 100);
  Say("twin %d, flags %d", twin, fcntl(twin, F_GETFD));
  fcntl(twin, F_SETFL, O_NONBLOCK);
  Say("shared %d", fcntl(fd, F_GETFL) & O_NONBLOCK);
  char byte;
  Result("recv", recv(fd, &byte, 1, 0));
  fcntl(fd, F_SETFL, 0);
  const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 200);
  Say("copy %d, flags %d", copy, fcntl(copy, F_GETFD));
  RoundTrip(copy, "hello");
  close(copy);
  close(twin);
  Say("early: peer %s", Peer(early).c_str());
  close(early);
  close(fd);
}

// ---- io_uring, by its system calls

class Ring {
 public:
  Ring() {
    io_uring_params params{};
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 4, &params));
    if (fd_ < 0) return;
    sq_ = Map(IORING_OFF_SQ_RING, params.sq_off.array + params.sq_entries * sizeof(unsigned));
    cq_ = Map(IORING_OFF_CQ_RING, params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
    entries_ = reinterpret_cast<io_uring_sqe*>(
        Map(IORING_OFF_SQES, params.sq_entries * sizeof(io_uring_sqe)));
    params_ = params;
  }
  ~Ring() {
    if (fd_ >= 0) close(fd_);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  int fd() const { return fd_; }

  // One operation, to its end: its result.
  int Do(uint8_t operation, int fd, const void* address, unsigned length, uint64_t offset = 0,
         unsigned flags = 0) {
    io_uring_sqe& entry = entries_[0];
    memset(&entry, 0, sizeof entry);
    entry.opcode = operation;
    entry.fd = fd;
    entry.addr = reinterpret_cast<uintptr_t>(address);
    entry.len = length;
    entry.off = offset;
    entry.rw_flags = static_cast<int>(flags);
    unsigned* const tail = At(sq_, params_.sq_off.tail);
    const unsigned mask = *At(sq_, params_.sq_off.ring_mask);
    At(sq_, params_.sq_off.array)[*tail & mask] = 0;
    std::atomic_ref(*tail).fetch_add(1);
    if (syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) != 1)
      return -errno;
    unsigned* const head = At(cq_, params_.cq_off.head);
    const auto* const done = reinterpret_cast<const io_uring_cqe*>(cq_ + params_.cq_off.cqes) +
                             (*head & *At(cq_, params_.cq_off.ring_mask));
    const int result = done->res;
    std::atomic_ref(*head).fetch_add(1);
    return result;
  }

 private:
  char* Map(uint64_t offset, size_t size) const {
    return static_cast<char*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(offset)));
  }
  static unsigned* At(char* ring, unsigned offset) {
    return reinterpret_cast<unsigned*>(ring + offset);
  }

  int fd_;
  char *sq_ = nullptr, *cq_ = nullptr;
  io_uring_sqe* entries_ = nullptr;
  io_uring_params params_{};
};

void SayOperation(const char* what, int result) {
  if (result < 0)
    Say("%s: %s", what, strerrorname_np(-result));
  else
    Say("%s: %d", what, result);
}

void Uring(const Address& server) {
  const int fd = Connected(server);
  Ring ring;
  if (ring.fd() < 0) return Done("io_uring_setup", -1);
  char bytes[16] = "";
  SayOperation("SEND", ring.Do(IORING_OP_SEND, fd, "hello", 5));
  SayOperation("POLL_ADD", ring.Do(IORING_OP_POLL_ADD, fd, nullptr, 0, 0, POLLIN) & POLLIN);
  AwaitQueued(fd, 5);
  SayOperation("RECV", ring.Do(IORING_OP_RECV, fd, bytes, 5));
  SayOperation("WRITE", ring.Do(IORING_OP_WRITE, fd, "again", 5));
  SayOperation("READ", ring.Do(IORING_OP_READ, fd, bytes + 5, 5));
  iovec piece{bytes + 10, 5};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  SayOperation("WRITEV", ring.Do(IORING_OP_WRITEV, fd, &(piece = {bytes, 5}), 1));
  piece = {bytes + 10, 5};
  SayOperation("RECVMSG", ring.Do(IORING_OP_RECVMSG, fd, &message, 1));
  Say("received %s", bytes);
  SayOperation("SHUTDOWN", ring.Do(IORING_OP_SHUTDOWN, fd, nullptr, SHUT_WR));
  SayOperation("RECV at the end", ring.Do(IORING_OP_RECV, fd, bytes, 5));
  SayOperation("CLOSE", ring.Do(IORING_OP_CLOSE, fd, nullptr, 0));
}

// io_uring's own accept() and connect(): no library sees them.
void UringAcceptServer(const Address& any) {
  const int listener = Listen(any);
  Ring ring;
  if (ring.fd() < 0) return Done("io_uring_setup", -1);
  const int fd = ring.Do(IORING_OP_ACCEPT, listener, nullptr, 0);
  Say("accepted %d", fd >= 0);
  char bytes[6] = "";
  SayOperation("RECV", ring.Do(IORING_OP_RECV, fd, bytes, 5));
  Say("received %s", bytes);
  Say("local %s, peer %s", Local(fd).c_str(), Peer(fd).c_str());
  SayOperation("SEND", ring.Do(IORING_OP_SEND, fd, bytes, 5));
  Echo(fd);
  close(fd);
}
void UringAccept(const Address& server) {
  const int fd = Connected(server);
  RoundTrip(fd, "hello");
  RoundTrip(fd, "again");
  close(fd);
}

void UringConnect(const Address& server) {
  const int fd = Tcp(server);
  Ring ring;
  if (ring.fd() < 0) return Done("io_uring_setup", -1);
  SayOperation("CONNECT", ring.Do(IORING_OP_CONNECT, fd, server.get(), 0, server.length));
  Say("peer %s", Peer(fd).c_str());
  RoundTrip(fd, "hello");
  close(fd);
}

}  // namespace

const Scenario kDescriptorScenarios[] = {
    {"ends", EchoEach<5>, Ends},
    {"flags", EchoServer, Flags},
    {"io_uring", EchoServer, Uring},
    {"io_uring_accept", UringAcceptServer, UringAccept},
    {"io_uring_connect", EchoServer, UringConnect},
    {nullptr, nullptr, nullptr},
};

}  // namespace mptcptls::probe
