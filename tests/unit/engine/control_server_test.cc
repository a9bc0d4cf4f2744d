// The engine's door: what knocks at it may be anything.
#include "engine/control_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/un.h>

#include <filesystem>
#include <thread>

#include "engine/unix_socket.h"
#include "tests/unit/engine/relay_rig.h"

namespace mptcptls {
namespace {

using testing::ElementsAre;

int OpenDescriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    ++count;
  return count;
}

// A server on a name that the kernel chooses, and those who come to it.
class ControlServerTest : public testing::Test, public LoopClient {
 protected:
  ControlServerTest() {
    std::string error;
    loop_ = EventLoop::Create(&error);
    Descriptor name(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un own{};
    own.sun_family = AF_UNIX;
    EXPECT_EQ(bind(name.get(), reinterpret_cast<sockaddr*>(&own), sizeof(sa_family_t)), 0);
    length_ = sizeof address_;
    getsockname(name.get(), reinterpret_cast<sockaddr*>(&address_), &length_);
    EXPECT_EQ(listen(name.get(), SOMAXCONN), 0);
    server_ = std::make_unique<ControlServer>(
        loop_.get(), std::move(name),
        [this](ControlPeer& peer, ControlMessage& message) { OnRequest(peer, message); });
    descriptors_ = OpenDescriptors();
  }

  virtual void OnRequest(ControlPeer& peer, ControlMessage& message) {
    verbs_.push_back(message.verb());
    had_descriptor_ = message.descriptor.valid();
    peer.Answer(0, "done");
  }

  ProgramEnd Connect() {
    ProgramEnd end(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(end.fd(), reinterpret_cast<sockaddr*>(&address_), length_), 0);
    return end;
  }
  void Settle() {
    for (int i = 0; i < 4; ++i) loop_->Run(this);
  }
  Time NextDeadline() override { return loop_->now(); }
  void Advance(Time /*now*/) override {}
  void OnBatchDone(Time /*now*/) override {
    server_->Sweep();
    loop_->Stop();
  }

  // Sends, and takes the reply: its error, or 1 when there was none.
  int Ask(const std::string& bytes) {
    ProgramEnd peer = Connect();
    peer.Send(bytes);
    Settle();
    return ErrorOf(&peer);
  }
  static int ErrorOf(ProgramEnd* peer) {
    const std::string answer = peer->Read();
    control::Reply reply;
    if (answer.size() != sizeof reply) return 1;
    memcpy(&reply, answer.data(), sizeof reply);
    EXPECT_EQ(reply.header.magic, control::kMagic);
    EXPECT_EQ(reply.header.version, control::kVersion);
    EXPECT_EQ(reply.header.length, sizeof reply);
    EXPECT_EQ(reply.reason[sizeof reply.reason - 1], 0);
    return reply.error;
  }
  static std::string Bare(control::Verb verb) {
    auto request = control::Make<control::StatusRequest>(verb);
    return BytesOf(&request, sizeof request);
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<ControlServer> server_;
  sockaddr_un address_{};
  socklen_t length_ = 0;
  int descriptors_ = 0;
  std::vector<control::Verb> verbs_;
  bool had_descriptor_ = false;
};

TEST_F(ControlServerTest, EveryVerbHasItsOneLength) {
  const struct {
    control::Verb verb;
    size_t length;
  } table[] = {{control::Verb::kConnect, sizeof(control::ConnectRequest)},
               {control::Verb::kListen, sizeof(control::ListenRequest)},
               {control::Verb::kKey, sizeof(control::KeyMessage)},
               {control::Verb::kResult, sizeof(control::ResultRequest)},
               {control::Verb::kGetOption, sizeof(control::OptionRequest)},
               {control::Verb::kSetOption, sizeof(control::OptionRequest)},
               {control::Verb::kReap, sizeof(control::ReapRequest)},
               {control::Verb::kForget, sizeof(control::ForgetRequest)},
               {control::Verb::kStatus, sizeof(control::Header)},
               {control::Verb::kDump, sizeof(control::Header)},
               {control::Verb::kDown, sizeof(control::Header)}};
  for (const auto& row : table) {
    control::Header header;
    header.verb = row.verb;
    for (const size_t length :
         {row.length - 1, row.length, row.length + 1, size_t{0}, size_t{UINT32_MAX}}) {
      header.length = static_cast<uint32_t>(length);
      std::string bytes = BytesOf(&header, sizeof header);
      bytes.resize(row.length);
      verbs_.clear();
      const bool right = length == row.length;
      EXPECT_EQ(Ask(bytes), right ? 0 : control::kErrorMalformed)
          << static_cast<int>(row.verb) << " " << length;
      EXPECT_EQ(verbs_.size(), right ? 1u : 0u);
    }
  }
  EXPECT_EQ(OpenDescriptors(), descriptors_);
}

TEST_F(ControlServerTest, WhatIsNoRequestIsMalformed) {
  for (const int verb : {0 /* a reply */, 2 /* pending */, 13, 255, 65535})
    EXPECT_EQ(Ask(Bare(static_cast<control::Verb>(verb))), control::kErrorMalformed) << verb;
  control::Header header;
  header.verb = control::Verb::kStatus;
  header.length = sizeof header;
  header.magic ^= 1;
  EXPECT_EQ(Ask(BytesOf(&header, sizeof header)), control::kErrorMalformed);
  header.version += 1;
  EXPECT_EQ(Ask(BytesOf(&header, sizeof header)), control::kErrorMalformed)
      << "the version of what is not ours means nothing";
  EXPECT_EQ(Ask("GET / HTTP/1.1\r\nHost: engine\r\n\r\n"), control::kErrorMalformed);
  EXPECT_EQ(Ask(std::string(100000, '\xff')), control::kErrorMalformed);
  EXPECT_TRUE(verbs_.empty());
}

TEST_F(ControlServerTest, OtherVersionIsToldSoWhateverItsVerbsAre) {
  control::Header header;
  header.verb = static_cast<control::Verb>(4711);
  header.length = 1 << 30;
  for (const uint32_t version : {control::kVersion + 1, 0u, UINT32_MAX}) {
    header.version = version;
    EXPECT_EQ(Ask(BytesOf(&header, sizeof header)), control::kErrorVersion);
  }
}

TEST_F(ControlServerTest, OneByteAtATimeIsAsGood) {
  ProgramEnd peer = Connect();
  auto request = control::Make<control::ListenRequest>(control::Verb::kListen);
  for (const char byte : BytesOf(&request, sizeof request)) {
    EXPECT_TRUE(verbs_.empty());
    ASSERT_EQ(peer.Send(std::string(1, byte)), 1u);
    Settle();
  }
  EXPECT_THAT(verbs_, ElementsAre(control::Verb::kListen));
  EXPECT_EQ(ErrorOf(&peer), 0);
}

TEST_F(ControlServerTest, OneConversationIsOneRequest) {
  EXPECT_EQ(Ask(Bare(control::Verb::kStatus) + Bare(control::Verb::kDown)), 0);
  EXPECT_THAT(verbs_, ElementsAre(control::Verb::kStatus));
}

TEST_F(ControlServerTest, HalfARequestIsNone) {
  for (size_t size = 0; size < sizeof(control::Header); ++size) {
    ProgramEnd peer = Connect();
    peer.Send(Bare(control::Verb::kStatus).substr(0, size));
    Settle();
    peer.Close();
    Settle();
  }
  EXPECT_TRUE(verbs_.empty());
  EXPECT_EQ(OpenDescriptors(), descriptors_);
}

// Attaches `count` descriptors to these bytes.
void SendWith(int fd, const std::string& bytes, size_t count) {
  std::vector<int> attached(count, STDIN_FILENO);
  std::vector<char> space(CMSG_SPACE(count * sizeof(int)));
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr m{};
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  m.msg_control = space.data();
  m.msg_controllen = space.size();
  cmsghdr* const c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(count * sizeof(int));
  memcpy(CMSG_DATA(c), attached.data(), count * sizeof(int));
  ASSERT_EQ(sendmsg(fd, &m, MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

TEST_F(ControlServerTest, NoDescriptorLeaks) {
  const std::string request = Bare(control::Verb::kStatus);
  for (const size_t count : {1, 2, 4, 5, 100, 253}) {
    {
      ProgramEnd peer = Connect();
      SendWith(peer.fd(), request, count);
      Settle();
      EXPECT_TRUE(had_descriptor_) << count;
      EXPECT_EQ(ErrorOf(&peer), 0);
    }
    Settle();
    EXPECT_EQ(OpenDescriptors(), descriptors_) << count;
  }
  {
    // On every byte of a request, and of one that is never completed.
    ProgramEnd peer = Connect();
    for (const char byte : request) SendWith(peer.fd(), std::string(1, byte), 3);
    ProgramEnd unfinished = Connect();
    SendWith(unfinished.fd(), request.substr(0, 5), 10);
    Settle();
    EXPECT_EQ(ErrorOf(&peer), 0);
  }
  Settle();
  EXPECT_EQ(OpenDescriptors(), descriptors_);
}

TEST_F(ControlServerTest, CredentialsAreTheKernelsWord) {
  class Asking : public ControlHandler {
   public:
    void OnMessage(ControlPeer& peer, ControlMessage&) override { seen = peer.credentials(); }
    void OnPeerOver(ControlPeer&) override {}
    ucred seen{};
  };
  Asking handler;
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  ProgramEnd program(ends[0]);
  ControlPeer peer(loop_.get(), &handler, Descriptor(ends[1]), *PeerCredentials(ends[1]));
  program.Send(Bare(control::Verb::kStatus));
  Settle();
  EXPECT_EQ(handler.seen.pid, getpid());
  EXPECT_EQ(handler.seen.uid, getuid());
  EXPECT_TRUE(peer.over());
}

TEST_F(ControlServerTest, SilentPeersAreDropped) {
  ProgramEnd silent = Connect();
  ProgramEnd half = Connect();
  half.Send("STPM");
  Settle();
  const Time began = loop_->now();
  loop_->timers()->Advance(began + ControlServer::kPatience / 2);
  Settle();
  EXPECT_EQ(silent.Events() & POLLHUP, 0);
  loop_->timers()->Advance(began + ControlServer::kPatience);
  EXPECT_NE(silent.Events() & POLLHUP, 0);
  EXPECT_NE(half.Events() & POLLHUP, 0);
  // And the next is served, and timed, as the first.
  EXPECT_EQ(Ask(Bare(control::Verb::kStatus)), 0);
  ProgramEnd again = Connect();
  Settle();
  loop_->timers()->Advance(loop_->now() + 2 * ControlServer::kPatience);
  EXPECT_NE(again.Events() & POLLHUP, 0);
}

TEST_F(ControlServerTest, CrowdLosesItsEldest) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 8192);
  setrlimit(RLIMIT_NOFILE, &files);
  ASSERT_GE(files.rlim_cur, 2 * ControlServer::kMaxPeers + 100);
  std::vector<ProgramEnd> crowd;
  for (size_t i = 0; i < ControlServer::kMaxPeers + 2; ++i) {
    crowd.push_back(Connect());
    if (i % 100 == 0) Settle();
  }
  Settle();
  for (const size_t gone : {0, 1}) EXPECT_NE(crowd[gone].Events() & POLLHUP, 0);
  EXPECT_EQ(crowd[2].Events() & POLLHUP, 0);
  EXPECT_EQ(Ask(Bare(control::Verb::kStatus)), 0) << "who has something to say is heard";
}

TEST_F(ControlServerTest, WithoutDescriptorsTheyWaitAndNothingSpins) {
  // UBSan looks at an object of a type that it does not know yet through a pipe; there are no
  // descriptors for that later.
  ProgramEnd before = Connect();
  before.Send(Bare(control::Verb::kStatus));
  Settle();
  EXPECT_EQ(ErrorOf(&before), 0);
  verbs_.clear();

  ProgramEnd peer = Connect();
  peer.Send(Bare(control::Verb::kStatus));
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  // The lowest number that is free is the first beyond the limit.
  const Descriptor lowest(dup(STDIN_FILENO));
  const rlimit none{static_cast<rlim_t>(lowest.get()), files.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  Settle();
  setrlimit(RLIMIT_NOFILE, &files);
  EXPECT_TRUE(verbs_.empty());
  const Time again = loop_->timers()->Next();
  EXPECT_LE(again, loop_->now() + std::chrono::seconds(1));
  loop_->timers()->Advance(again);
  Settle();
  EXPECT_EQ(ErrorOf(&peer), 0);
}

// Who takes the socket over has the conversation.
class TakenOver : public ControlServerTest {
 protected:
  void OnRequest(ControlPeer& peer, ControlMessage& /*message*/) override {
    taken_ = peer.TakeSocket();
  }
  Descriptor taken_;
};

TEST_F(TakenOver, SocketLivesOnElsewhere) {
  ProgramEnd peer = Connect();
  peer.Send(Bare(control::Verb::kDump) + "and more");
  Settle();
  loop_->timers()->Advance(loop_->now() + 2 * ControlServer::kPatience);
  EXPECT_EQ(peer.Events() & POLLHUP, 0);
  char bytes[16] = {};
  EXPECT_EQ(recv(taken_.get(), bytes, sizeof bytes, MSG_DONTWAIT), 8);
  EXPECT_STREQ(bytes, "and more") << "what was not of the request is left alone";
}

// ---- The name

// In a network namespace of its own, where the engine's name is free.
void InFreshNamespace(const std::function<void()>& body) {
  std::thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "needs root";
    body();
  }).join();
}

TEST(EngineName, OneOfTwoHasIt) {
  InFreshNamespace([] {
    bool taken = false;
    std::string error;
    Descriptor first = TakeEngineName(&taken, &error);
    ASSERT_TRUE(first.valid()) << error;
    EXPECT_FALSE(TakeEngineName(&taken, &error).valid());
    EXPECT_TRUE(taken);
    EXPECT_THAT(error, testing::HasSubstr("mptcptls/engine"));
    first.Reset();
    EXPECT_TRUE(TakeEngineName(&taken, &error).valid());
    EXPECT_FALSE(taken);
  });
}

TEST(EngineName, IsGivenUpOnlyWhenNobodyWaits) {
  InFreshNamespace([] {
    std::string error;
    bool taken = false;
    const auto loop = EventLoop::Create(&error);
    ControlServer server(loop.get(), TakeEngineName(&taken, &error), {});
    sockaddr_un address;
    const socklen_t length = control::EngineAddress(&address);
    Descriptor late(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(late.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_FALSE(server.Close()) << "he came before the end and is served";
    EXPECT_FALSE(TakeEngineName(&taken, &error).valid());
    EXPECT_TRUE(taken) << "it is held again";
    late.Reset();
    loop->timers()->Advance(loop->now() + 2 * ControlServer::kPatience);
    server.Sweep();
    EXPECT_TRUE(server.Close());
    EXPECT_TRUE(TakeEngineName(&taken, &error).valid()) << error;
  });
}

}  // namespace
}  // namespace mptcptls
