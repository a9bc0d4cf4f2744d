// Sockets of IPPROTO_MPTCP and the options of SOL_MPTCP, against an engine that a test plays.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <string>
#include <vector>

#include "engine/kernel_info.h"
#include "shim/addresses.h"
#include "shim/captured.h"
#include "shim/mptcp_socket.h"
#include "tests/unit/shim/fake_engine.h"

namespace mptcptls::shim {
namespace {

constexpr int kMptcp = kernel::kIpprotoMptcp;
constexpr uint8_t kCanary = 0xee;

sockaddr_in At(const char* text, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}

std::string Try(int result) { return result == 0 ? "ok" : strerrorname_np(errno); }

int IntOption(int fd, int level, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(fd, level, option, &value, &length) == 0 ? value : -errno;
}

// net.mptcp.enabled of the suite's own network namespace, for as long as it lives.
class KernelMptcp {
 public:
  explicit KernelMptcp(bool on) { Set(on); }
  ~KernelMptcp() { Set(true); }
  KernelMptcp(const KernelMptcp&) = delete;
  KernelMptcp& operator=(const KernelMptcp&) = delete;

 private:
  static void Set(bool on) {
    const int fd = open("/proc/sys/net/mptcp/enabled", O_WRONLY | O_CLOEXEC);
    EXPECT_EQ(write(fd, on ? "1" : "0", 1), 1) << "a kernel with MPTCP, and root, are needed";
    close(fd);
  }
};

// What getsockopt(SOL_MPTCP) says, in memory whose untouched bytes are known.
struct Asked {
  std::vector<uint8_t> bytes = std::vector<uint8_t>(65536, kCanary);
  socklen_t length = 0;

  std::string Ask(int fd, int option, socklen_t size) {
    length = size;
    errno = 77;
    const std::string result =
        Try(getsockopt(fd, kernel::kSolMptcp, option, bytes.data(), &length));
    if (result == "ok") {
      EXPECT_EQ(errno, 77);
    }
    return result;
  }
  template <typename Head>
  void Put(const Head& head) {
    memcpy(bytes.data(), &head, sizeof head);
  }
  template <typename Value>
  Value Get(size_t at) const {
    Value value;
    memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }
  size_t Touched() const {
    size_t end = bytes.size();
    while (end > 0 && bytes[end - 1] == kCanary) --end;
    return end;
  }
};

class Mptcp : public testing::Test {
 protected:
  static int Socket(int protocol, int domain = AF_INET) {
    return socket(domain, SOCK_STREAM | SOCK_CLOEXEC, protocol);
  }
  int Connected(int protocol) {
    const int fd = Socket(protocol);
    const sockaddr_in server = At("192.0.2.1", 443);
    EXPECT_EQ(Try(connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server)), "ok");
    return fd;
  }

  FakeEngine engine_;
};

TEST_F(Mptcp, SocketsAreCaptured) {
  for (const bool kernel : {true, false}) {
    const KernelMptcp switched(kernel);
    const int fd = Socket(kMptcp);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(InPlaceOfMptcp(fd), !kernel);
    EXPECT_TRUE(MadeAsMptcp(fd));
    EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), kMptcp);
    EXPECT_EQ(IntOption(fd, IPPROTO_TCP, kernel::kTcpIsMptcp), 1);
    int domain = 0;
    EXPECT_TRUE(FreshTcp(fd, &domain));
    EXPECT_EQ(domain, AF_INET);
    const sockaddr_in server = At("192.0.2.1", 443);
    EXPECT_EQ(Try(connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server)), "ok");
    control::Name name;
    EXPECT_TRUE(Captured(fd, &name));
    EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), kMptcp);
    EXPECT_EQ(send(fd, "hello", 5, 0), 5);
    char bytes[6] = "";
    EXPECT_EQ(recv(fd, bytes, 5, MSG_WAITALL), 5);
    EXPECT_STREQ(bytes, "hello");
    close(fd);
  }
}

TEST_F(Mptcp, TcpSocketsStayTcp) {
  const int fd = Socket(0);
  EXPECT_FALSE(MadeAsMptcp(fd));
  EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
  EXPECT_EQ(IntOption(fd, IPPROTO_TCP, kernel::kTcpIsMptcp), 0);
  close(fd);
  const int connected = Connected(IPPROTO_TCP);
  EXPECT_EQ(IntOption(connected, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
  close(connected);
}

// The mark is on the socket: every holder sees it, and no pacing rate of the program's replaces it.
TEST_F(Mptcp, TheMarkStays) {
  const KernelMptcp off(false);
  const int fd = Socket(kMptcp);
  const uint64_t rate = 1'000'000;
  EXPECT_EQ(Try(setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate)), "ok");
  EXPECT_TRUE(InPlaceOfMptcp(fd));
  uint64_t told = 0;
  socklen_t length = sizeof told;
  EXPECT_EQ(Try(getsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &told, &length)), "ok");
  EXPECT_EQ(told, ~0ull);
  const int copy = dup(fd);
  EXPECT_EQ(IntOption(copy, SOL_SOCKET, SO_PROTOCOL), kMptcp);
  close(copy);
  close(fd);
}

// connect() failed: the number is a socket as it was made, again.
TEST_F(Mptcp, IsAsItWasAfterARefusal) {
  for (const bool kernel : {true, false}) {
    const KernelMptcp switched(kernel);
    engine_.RefuseWith(ECONNREFUSED);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, kMptcp);
    const sockaddr_in server = At("192.0.2.1", 443);
    const auto again = [&] {
      return Try(connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server));
    };
    EXPECT_EQ(again(), "EINPROGRESS");
    pollfd state{fd, POLLOUT, 0};
    ASSERT_EQ(poll(&state, 1, 20000), 1);
    EXPECT_EQ(again(), "ECONNREFUSED");
    int domain = 0;
    EXPECT_TRUE(FreshTcp(fd, &domain));
    EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), kMptcp);
    EXPECT_EQ(InPlaceOfMptcp(fd), !kernel);
    close(fd);
  }
}

TEST_F(Mptcp, AcceptedSocketsAreWhatTheyBeganAs) {
  for (const bool kernel : {true, false}) {
    const KernelMptcp switched(kernel);
    const int listener = Socket(kMptcp);
    const sockaddr_in any = At("0.0.0.0", 8443);
    EXPECT_EQ(Try(bind(listener, reinterpret_cast<const sockaddr*>(&any), sizeof any)), "ok");
    EXPECT_EQ(Try(listen(listener, 5)), "ok");
    EXPECT_EQ(IntOption(listener, SOL_SOCKET, SO_PROTOCOL), kMptcp);
    control::Address client;
    const sockaddr_in from = At("198.51.100.7", 1234);
    ToControl(reinterpret_cast<const sockaddr*>(&from), sizeof from, &client);
    const int engine = engine_.Deliver(client);
    const int fd = accept(listener, nullptr, nullptr);
    ASSERT_GE(fd, 0);
    for (const int protocol : {kMptcp, static_cast<int>(IPPROTO_TCP)}) {
      engine_.AnswerProtocolWith(protocol);
      EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), protocol);
    }
    engine_.AnswerProtocolWith(0);  // it knows of no such connection any more
    EXPECT_EQ(IntOption(fd, SOL_SOCKET, SO_PROTOCOL), kMptcp);
    for (const int each : {fd, engine, listener}) close(each);
  }
}

TEST_F(Mptcp, TheEngineKnowsWhatWasAskedFor) {
  const int tcp = Connected(IPPROTO_TCP), mptcp = Connected(kMptcp);
  EXPECT_EQ(IntOption(tcp, IPPROTO_TCP, kernel::kTcpIsMptcp), 0);
  engine_.AnswerMptcpWith(FakeEngine::MptcpOf(1));
  EXPECT_EQ(IntOption(mptcp, IPPROTO_TCP, kernel::kTcpIsMptcp), 1);
  EXPECT_EQ(engine_.mptcp_flags(), (std::vector<uint8_t>{0, control::kFlagMptcp}));
  close(tcp);
  close(mptcp);
}

TEST_F(Mptcp, WhatIsNoneIsRefusedAsByTcp) {
  const int fd = Connected(kMptcp);
  for (const int option : {0, 1, 2, 3, 4, 5, -1}) {
    Asked asked;
    asked.Put(kernel::SubflowData{16, 0, 0, 1000});
    const auto before = asked.bytes;
    EXPECT_EQ(asked.Ask(fd, option, 4096), "EOPNOTSUPP");
    EXPECT_EQ(asked.length, 4096u);
    EXPECT_EQ(asked.bytes, before);
  }
  const int one = 1;
  for (const int option : {0, 1, 2, 3, 4, 5})
    EXPECT_EQ(Try(setsockopt(fd, kernel::kSolMptcp, option, &one, sizeof one)), "ENOPROTOOPT");
  close(fd);
}

TEST_F(Mptcp, InfoIsCutToTheProgramsSize) {
  engine_.AnswerMptcpWith(FakeEngine::MptcpOf(2));
  const int fd = Connected(IPPROTO_TCP);
  for (const socklen_t size :
       {0u, 1u, 15u, 16u, 72u, 95u, 96u, 97u, 4096u, 0x80000000u, UINT_MAX}) {
    Asked asked;
    EXPECT_EQ(asked.Ask(fd, kernel::kMptcpInfo, size), "ok");
    EXPECT_EQ(asked.length, std::min<socklen_t>(size, 96));
    EXPECT_EQ(asked.Touched(), asked.length);
    if (size >= 16) {
      EXPECT_EQ(asked.Get<uint32_t>(12), 0x01020304u);
    }
  }
  socklen_t nothing = 0, some = 96;
  EXPECT_EQ(Try(getsockopt(fd, kernel::kSolMptcp, kernel::kMptcpInfo, nullptr, &nothing)), "ok");
  EXPECT_EQ(Try(getsockopt(fd, kernel::kSolMptcp, kernel::kMptcpInfo, nullptr, &some)), "EFAULT");
  close(fd);
}

TEST_F(Mptcp, ArraysHoldWhatFits) {
  constexpr uint32_t kSubflows = 3;
  engine_.AnswerMptcpWith(FakeEngine::MptcpOf(kSubflows));
  const int fd = Connected(IPPROTO_TCP);
  for (const auto& [option, element] :
       {std::pair(kernel::kMptcpTcpInfo, 280u), std::pair(kernel::kMptcpSubflowAddresses, 256u)}) {
    for (const uint32_t head : {16u, 17u, 100u}) {
      for (const uint32_t user : {0u, 1u, 104u, element, element + 1, uint32_t{INT_MAX}}) {
        for (const socklen_t room : {0u, 1u, element - 1, element, 2 * element, 65536u - 100}) {
          Asked asked;
          asked.Put(kernel::SubflowData{head, 0, 0, user});
          EXPECT_EQ(asked.Ask(fd, option, head + room), "ok");
          const uint32_t size = std::min(user, element);
          const uint32_t copied = size == 0 ? 0 : std::min<uint32_t>(kSubflows, room / size) * size;
          EXPECT_EQ(asked.length, copied > 0 ? head + copied : 16) << head << " " << user;
          EXPECT_LE(asked.Touched(), std::max(asked.length, 16u));
          const auto data = asked.Get<kernel::SubflowData>(0);
          EXPECT_EQ(data.num_subflows, kSubflows);
          EXPECT_EQ(data.size_kernel, element);
          EXPECT_EQ(data.size_user, size);
          if (copied >= 2 * element && option == kernel::kMptcpTcpInfo) {
            EXPECT_EQ(asked.Get<kernel::TcpInfo>(head + element).bytes_received, 2u);
          }
        }
      }
    }
  }
  close(fd);
}

TEST_F(Mptcp, WrongSizesAreInvalid) {
  constexpr uint32_t kAbove = uint32_t{INT_MAX} + 1;
  engine_.AnswerMptcpWith(FakeEngine::MptcpOf(2));
  const int fd = Connected(IPPROTO_TCP);
  const struct {
    socklen_t size;
    kernel::SubflowData data;
  } table[] = {{0, {16, 0, 0, 280}},        {15, {15, 0, 0, 280}},        {4096, {15, 0, 0, 280}},
               {4096, {4097, 0, 0, 280}},   {4096, {kAbove, 0, 0, 280}},  {4096, {16, 1, 0, 280}},
               {4096, {16, 0, 1, 280}},     {4096, {16, 0, 0, kAbove}},   {kAbove, {16, 0, 0, 280}},
               {UINT_MAX, {16, 0, 0, 280}}, {4096, {UINT_MAX, 0, 0, 280}}};
  for (const auto& row : table) {
    for (const int option : {kernel::kMptcpTcpInfo, kernel::kMptcpSubflowAddresses}) {
      Asked asked;
      asked.Put(row.data);
      const auto before = asked.bytes;
      EXPECT_EQ(asked.Ask(fd, option, row.size), "EINVAL") << row.data.size_subflow_data;
      EXPECT_EQ(asked.bytes, before);
      EXPECT_EQ(asked.length, row.size);
    }
  }
  socklen_t some = 16;
  EXPECT_EQ(Try(getsockopt(fd, kernel::kSolMptcp, kernel::kMptcpTcpInfo, nullptr, &some)),
            "EFAULT");
  close(fd);
}

TEST_F(Mptcp, FullInfoFillsTheProgramsArrays) {
  engine_.AnswerMptcpWith(FakeEngine::MptcpOf(3));
  const int fd = Connected(IPPROTO_TCP);
  for (const uint32_t arrays : {0u, 1u, 3u, 4u, UINT_MAX}) {
    for (const uint32_t part : {0u, 8u, 100u, 1000u}) {
      std::vector<uint8_t> infos(4096, kCanary), tcps(4096, kCanary);
      Asked asked;
      asked.Put(kernel::FullInfoHead{0, part, 0, part, 0, arrays,
                                     reinterpret_cast<uint64_t>(infos.data()),
                                     reinterpret_cast<uint64_t>(tcps.data())});
      EXPECT_EQ(asked.Ask(fd, kernel::kMptcpFullInfo, 4096), "ok");
      EXPECT_EQ(asked.length, 136u);
      const auto head = asked.Get<kernel::FullInfoHead>(0);
      EXPECT_EQ(head.num_subflows, 3u);
      EXPECT_EQ(head.size_sfinfo_kernel, 264u);
      EXPECT_EQ(head.size_tcpinfo_kernel, 280u);
      EXPECT_EQ(head.size_sfinfo_user, std::min(part, 264u));
      EXPECT_EQ(head.size_tcpinfo_user, std::min(part, 280u));
      EXPECT_EQ(asked.Get<uint32_t>(40 + 12), 0x01020304u);
      const size_t count = std::min(arrays, 3u);
      EXPECT_EQ(std::count(infos.begin(), infos.end(), kCanary),
                static_cast<ptrdiff_t>(infos.size() - count * head.size_sfinfo_user));
      EXPECT_EQ(std::count(tcps.begin(), tcps.end(), kCanary),
                static_cast<ptrdiff_t>(tcps.size() - count * head.size_tcpinfo_user));
      if (count == 3 && part >= 8) {
        uint32_t id = 0;
        memcpy(&id, infos.data() + 2 * size_t{head.size_sfinfo_user}, sizeof id);
        EXPECT_EQ(id, 3u);
      }
    }
  }
  Asked asked;
  asked.Put(kernel::FullInfoHead{0, 280, 0, 264, 0, 1, 0, 0});
  EXPECT_EQ(asked.Ask(fd, kernel::kMptcpFullInfo, 136), "EFAULT");
  close(fd);
}

TEST_F(Mptcp, FullInfoOfWrongSizesIsInvalid) {
  constexpr uint32_t kAbove = uint32_t{INT_MAX} + 1;
  engine_.AnswerMptcpWith(FakeEngine::MptcpOf(1));
  const int fd = Connected(IPPROTO_TCP);
  const struct {
    socklen_t size;
    kernel::FullInfoHead head;
  } table[] = {{0, {}},
               {39, {}},
               {kAbove, {}},
               {136, {1, 0, 0, 0, 0, 0, 0, 0}},
               {136, {0, kAbove, 0, 0, 0, 0, 0, 0}},
               {136, {0, 0, 1, 0, 0, 0, 0, 0}},
               {136, {0, 0, 0, kAbove, 0, 0, 0, 0}},
               {136, {0, 0, 0, 0, 1, 0, 0, 0}}};
  for (const auto& row : table) {
    Asked asked;
    asked.Put(row.head);
    EXPECT_EQ(asked.Ask(fd, kernel::kMptcpFullInfo, row.size), "EINVAL") << &row - table;
  }
  close(fd);
}

// An engine that answers wrongly, too little or not at all.
TEST_F(Mptcp, WrongAnswersAreNone) {
  const int fd = Connected(kMptcp);
  const std::string right = FakeEngine::MptcpOf(2);
  const auto with = [&](auto change) {
    control::MptcpReply reply;
    memcpy(&reply, right.data(), sizeof reply);
    change(&reply);
    return std::string(reinterpret_cast<const char*>(&reply), sizeof reply) +
           right.substr(sizeof reply);
  };
  for (const std::string& wrong :
       {with([](auto* r) { r->header.magic ^= 1; }), with([](auto* r) { r->header.version += 1; }),
        with([](auto* r) { r->header.verb = control::Verb::kMptcp; }),
        with([](auto* r) { r->header.length -= 1; }), with([](auto* r) { r->subflows = 1; }),
        with([](auto* r) { r->subflows = UINT32_MAX; }), right.substr(0, 100), std::string("?")}) {
    engine_.AnswerMptcpWith(wrong);
    Asked asked;
    EXPECT_EQ(asked.Ask(fd, kernel::kMptcpInfo, 96), "EOPNOTSUPP");
    EXPECT_EQ(asked.Touched(), 0u);
    EXPECT_EQ(IntOption(fd, IPPROTO_TCP, kernel::kTcpIsMptcp), 0);
  }
  // It ends amid its subflows.
  engine_.AnswerMptcpWith(right.substr(0, right.size() - 1));
  Asked asked;
  asked.Put(kernel::SubflowData{16, 0, 0, 280});
  EXPECT_EQ(asked.Ask(fd, kernel::kMptcpTcpInfo, 4096), "ENOTCONN");
  close(fd);
}

// Until it is captured a socket in place of an MPTCP one tells what a fresh one of the kernel does.
TEST_F(Mptcp, FreshOnesTellTheSame) {
  std::vector<std::string> told;
  for (const bool kernel : {true, false}) {
    const KernelMptcp switched(kernel);
    for (const int domain : {AF_INET, AF_INET6}) {
      const int fd = Socket(kMptcp, domain);
      std::string text;
      for (const int option : {0, 1, 2, 3, 4, 5}) {
        for (const socklen_t size : {0u, 15u, 16u, 40u, 200u}) {
          Asked asked;
          asked.bytes.assign(asked.bytes.size(), 0);
          if (option == 2 || option == 3) asked.Put(kernel::SubflowData{16, 0, 0, 1000});
          text += asked.Ask(fd, option, size) + " " + std::to_string(asked.length) + "\n";
        }
      }
      told.push_back(text);
      close(fd);
    }
  }
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0], told[2]);
  EXPECT_EQ(told[1], told[3]);
}

// Nobody to give the socket to: the kernel's refusal.
TEST(MptcpWithoutEngine, TheKernelsErrorStays) {
  const KernelMptcp off(false);
  errno = 77;
  EXPECT_EQ(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, kMptcp), -1);
  EXPECT_EQ(errno, ENOPROTOOPT);
  // What the kernel has for no protocol is no socket of ours.
  EXPECT_EQ(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, kMptcp), -1);
  EXPECT_EQ(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, kMptcp), -1);
}

}  // namespace
}  // namespace mptcptls::shim
