// Relays with a connection that the test plays, and real unix sockets to the program's side, which
// the test plays too. Nothing waits: both ends of every socket are here.
#ifndef MPTCPTLS_TESTS_UNIT_ENGINE_RELAY_RIG_H_
#define MPTCPTLS_TESTS_UNIT_ENGINE_RELAY_RIG_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control.h"
#include "engine/relays.h"

namespace mptcptls {

// The network's side. What the program sends goes through a ring of `kRing` bytes (so both regions
// are used) into `sent`, unless `stalled`.
class FakeConnection final : public Connection {
 public:
  static constexpr size_t kRing = 1021;

  void Observe(ConnectionObserver* observer) { observer_ = observer; }

  // ---- The test's hand
  void Connect(Time now) { observer_->OnConnected(*this, now); }
  void Deliver(Time now, const std::string& bytes) {
    received += bytes.size();
    const ByteSpan span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    size_t taken = 0;
    if (kept_.empty()) taken = observer_->OnData(*this, now, span);
    ASSERT_LE(taken, bytes.size());
    kept_.append(bytes, taken);
  }
  void EndPeer(Time now) {
    peer_ended_ = true;
    TellPeerClosed(now);
  }
  void End(Time now, EndReason end) {
    if (end_ != EndReason::kNone) return;
    end_ = end;
    observer_->OnClosed(*this, now, end);
  }
  // With `stalled`: up to `bytes` leave the ring.
  void Drain(Time now, size_t bytes) {
    for (bytes = std::min(bytes, used_); bytes > 0; --bytes, --used_) {
      sent += static_cast<char>(ring_[begin_]);
      begin_ = (begin_ + 1) % kRing;
    }
    if (used_ < kRing && std::exchange(blocked_, false)) observer_->OnWritable(*this, now);
  }
  size_t kept() const { return kept_.size(); }
  EndReason end() const { return end_; }

  std::string sent;
  size_t received = 0;
  bool stalled = false;
  bool shut_down = false, orphaned = false;
  Coming coming = Coming::kNothing;  // as Commit() said last
  size_t keys_set = 0;               // that were set
  std::string refused;               // why there is none
  std::vector<std::pair<size_t, Coming>> commits;
  std::vector<std::string> keys;
  std::optional<StreamOptions> options;

  // ---- Connection
  uint64_t id() const override { return 1; }
  Endpoint local() const override { return {*IpAddress::Parse("192.0.2.1"), 443}; }
  Endpoint remote() const override { return {*IpAddress::Parse("198.51.100.2"), 50000}; }
  Mode mode() const override { return Mode::kTlsAuth; }
  size_t WriteRegions(std::array<std::span<uint8_t>, 2>* regions) override {
    *regions = {};
    const size_t room = shut_down || end_ != EndReason::kNone ? 0 : kRing - used_;
    const size_t at = (begin_ + used_) % kRing;
    const size_t first = std::min(room, kRing - at);
    (*regions)[0] = std::span(ring_).subspan(at, first);
    (*regions)[1] = std::span(ring_).first(room - first);
    blocked_ = room == 0;
    return room;
  }
  void Commit(Time now, size_t bytes, Coming what) override {
    EXPECT_FALSE(shut_down) << "bytes after the end";
    EXPECT_LE(bytes, kRing - used_);
    used_ += bytes;
    coming = what;
    commits.emplace_back(bytes, what);
    if (!stalled) Drain(now, bytes);
  }
  size_t Write(Time /*now*/, ByteSpan /*bytes*/) override { return 0; }
  void Shutdown(Time /*now*/) override {
    EXPECT_FALSE(shut_down) << "twice";
    shut_down = true;
  }
  void Abort(Time now) override { End(now, EndReason::kAborted); }
  ByteSpan Readable() const override {
    return {reinterpret_cast<const uint8_t*>(kept_.data()), std::min<size_t>(kept_.size(), 700)};
  }
  void Consume(Time now, size_t bytes) override {
    ASSERT_LE(bytes, kept_.size());
    kept_.erase(0, bytes);
    TellPeerClosed(now);
  }
  void SetKeys(Time /*now*/, const ConnectionKeys& /*keys*/) override { ++keys_set; }
  void RefuseKeys(Time /*now*/, std::string reason) override { refused = std::move(reason); }
  bool WantsKeys() const override { return false; }
  void SetOptions(Time /*now*/, const StreamOptions& o) override { options = o; }
  void Orphan(Time /*now*/) override { orphaned = true; }
  ConnectionInfo Info(Time /*now*/) const override {
    ConnectionInfo info;
    info.local = local();
    info.remote = remote();
    info.end = end_;
    return info;
  }

 private:
  void TellPeerClosed(Time now) {
    if (peer_ended_ && kept_.empty() && !std::exchange(peer_end_told_, true))
      observer_->OnPeerClosed(*this, now);
  }

  ConnectionObserver* observer_ = nullptr;
  std::array<uint8_t, kRing> ring_{};
  size_t begin_ = 0, used_ = 0;
  bool blocked_ = false, peer_ended_ = false, peer_end_told_ = false;
  std::string kept_;
  EndReason end_ = EndReason::kNone;
};

// The program's end of a captured socket.
class ProgramEnd {
 public:
  explicit ProgramEnd(int fd = -1) : socket_(fd) {}
  int fd() const { return socket_.get(); }
  void Close() { socket_.Reset(); }

  // With a descriptor: that of a socket whose SO_MAX_PACING_RATE is `mark`, or, for 0, of a pipe.
  size_t SendMarked(const std::string& bytes, uint64_t mark) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const Descriptor in(ends[0]), out(ends[1]);
    const Descriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(setsockopt(udp.get(), SOL_SOCKET, SO_MAX_PACING_RATE, &mark, sizeof mark), 0);
    const int fd_sent = mark == 0 ? in.get() : udp.get();
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof fd_sent)] = {};
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr m{};
    m.msg_iov = &piece;
    m.msg_iovlen = 1;
    m.msg_control = space;
    m.msg_controllen = sizeof space;
    cmsghdr* const c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd_sent);
    memcpy(CMSG_DATA(c), &fd_sent, sizeof fd_sent);
    const ssize_t n = sendmsg(fd(), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // As many bytes as fit.
  size_t Send(const std::string& bytes, const ucred* as = nullptr) {
    alignas(cmsghdr) char space[CMSG_SPACE(sizeof(ucred))] = {};
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr m{};
    m.msg_iov = &piece;
    m.msg_iovlen = 1;
    if (as != nullptr) {
      m.msg_control = space;
      m.msg_controllen = sizeof space;
      cmsghdr* const c = CMSG_FIRSTHDR(&m);
      c->cmsg_level = SOL_SOCKET;
      c->cmsg_type = SCM_CREDENTIALS;
      c->cmsg_len = CMSG_LEN(sizeof *as);
      memcpy(CMSG_DATA(c), as, sizeof *as);
    }
    const ssize_t n = sendmsg(fd(), &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    error_ = n < 0 ? errno : 0;
    return n > 0 ? static_cast<size_t>(n) : 0;
  }
  // What is there, at most `most` bytes. Then end() and error() tell how it went on.
  std::string Read(size_t most = 1 << 24) {
    std::string bytes;
    end_ = false;
    error_ = 0;
    while (bytes.size() < most) {
      char block[4096];
      const ssize_t n =
          recv(fd(), block, std::min(sizeof block, most - bytes.size()), MSG_DONTWAIT);
      if (n > 0) bytes.append(block, static_cast<size_t>(n));
      if (n == 0) end_ = true;
      if (n < 0 && errno != EAGAIN) error_ = errno;
      if (n <= 0) break;
    }
    return bytes;
  }
  bool end() const { return end_; }     // the last Read() came to the end of the stream
  int error() const { return error_; }  // of the last call, 0: none (or it would wait)
  short Events() const {
    pollfd p{fd(), POLLIN | POLLOUT | POLLRDHUP, 0};
    poll(&p, 1, 0);
    return p.revents;
  }
  bool Writable() const { return (Events() & POLLOUT) != 0; }
  int TakeError() {
    int value = 0;
    socklen_t length = sizeof value;
    getsockopt(fd(), SOL_SOCKET, SO_ERROR, &value, &length);
    return value;
  }

 private:
  Descriptor socket_;
  bool end_ = false;
  int error_ = 0;
};

class RelayRig : public LoopClient {
 public:
  RelayRig()
      : loop_(EventLoop::Create(&error_)),
        relays_(std::make_unique<Relays>(loop_.get(),
                                         [this](uint16_t port) { released.push_back(port); })) {}

  EventLoop* loop() { return loop_.get(); }
  Relays* relays() { return relays_.get(); }
  Time now() const { return loop_->now(); }

  // Until nothing is left to do: unix sockets deliver at once, so this never waits.
  void Settle() {
    for (quiet_ = 0; quiet_ < 3;) loop_->Run(this);
  }
  // Until `condition` holds, for what has timers.
  [[nodiscard]] bool Await(const std::function<bool()>& condition) {
    const Time deadline = now() + std::chrono::seconds(20);
    wait_ = true;
    while (!condition() && now() < deadline) loop_->Run(this);
    wait_ = false;
    return condition();
  }
  // As kill -9 ends an engine.
  void Kill() { relays_.reset(); }

  Time NextDeadline() override {
    return wait_ ? now() + std::chrono::milliseconds(5) : now();  // as the next timer's, at most
  }
  void Advance(Time /*now*/) override {}
  void OnBatchDone(Time /*now*/) override {
    quiet_ = relays_ != nullptr && relays_->PumpDirty() ? 0 : quiet_ + 1;
    loop_->Stop();
  }

  std::vector<uint16_t> released;  // bound ports that are free again

 private:
  std::string error_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<Relays> relays_;
  int quiet_ = 0;
  bool wait_ = false;
};

inline std::string BytesOf(const void* object, size_t size) {
  return {static_cast<const char*>(object), size};
}

// A captured connect(): the relay, its connection and the program.
struct Initiator {
  explicit Initiator(RelayRig* rig, uint16_t bound_port = 0) : rig_(rig) {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    program = ProgramEnd(ends[0]);
    engine_fd = ends[1];
    const int on = 1;
    setsockopt(engine_fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    relay = rig->relays()->Make({"program", 1, std::nullopt});
    id = relay->id();
    connection.Observe(relay);
    relay->Attach(&connection);
    relay->TakeInitiator(Descriptor(engine_fd), Descriptor(), bound_port);
  }

  control::PendingRequest Request() const {
    auto request = control::Make<control::PendingRequest>(control::Verb::kPending);
    request.id = id;
    request.header.length = static_cast<uint32_t>(sizeof request + pad);
    return request;
  }
  std::string Pending() const {
    const auto request = Request();
    return BytesOf(&request, sizeof request) + std::string(pad, '\0');
  }
  void SendPending(uid_t uid = 0) {
    const ucred as{getpid(), uid, 0};
    const std::string bytes = Pending();
    // The kernel charges whole buffers as long as a byte is in them: the last one has its own.
    EXPECT_EQ(program.Send(bytes.substr(0, bytes.size() - 1), &as), bytes.size() - 1);
    EXPECT_EQ(program.Send(bytes.substr(bytes.size() - 1)), 1u);
    rig_->Settle();
  }
  // Up to a program that reads and writes.
  void Open(uid_t uid = 0) {
    SendPending(uid);
    connection.Connect(rig_->now());
    rig_->Settle();
  }
  size_t Queued() const {
    int queued = -1;
    ioctl(engine_fd, FIONREAD, &queued);
    return static_cast<size_t>(queued);
  }

  RelayRig* rig_;
  uint32_t pad = 200;
  FakeConnection connection;
  ProgramEnd program;
  Relay* relay = nullptr;
  uint64_t id = 0;
  int engine_fd = -1;  // the relay's; to look at
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TESTS_UNIT_ENGINE_RELAY_RIG_H_
