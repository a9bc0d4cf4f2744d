// Threads that meet in the hooks, under ThreadSanitizer.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <thread>
#include <vector>

#include "shim/tls_library.h"
#include "tests/unit/shim/fake_engine.h"

namespace mptcptls::shim {
namespace {

constexpr int kThreads = 4;
constexpr int kRounds = 30;

// Runs `body(thread)` in all threads at once.
void Together(const std::function<void(int)>& body) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&body, i] { body(i); });
  for (std::thread& thread : threads) thread.join();
}

sockaddr_in Server() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(443);
  inet_pton(AF_INET, "192.0.2.1", &address.sin_addr);
  return address;
}

TEST(Race, ConnectOptionsEpollClose) {
  FakeEngine engine;
  const sockaddr_in server = Server();
  Together([&](int thread) {
    const int set = epoll_create1(EPOLL_CLOEXEC);
    for (int round = 0; round < kRounds; ++round) {
      const bool waits = (thread + round) % 2 == 0;
      const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (waits ? 0 : SOCK_NONBLOCK), 0);
      epoll_event event{EPOLLOUT | EPOLLET, {.fd = fd}};
      EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event), 0);
      const int result = connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server);
      EXPECT_TRUE(result == 0 || (!waits && errno == EINPROGRESS));
      const int one = 1;
      EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
      EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event), 0);
      EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_DEL, fd, nullptr), 0);
      close(fd);
    }
    close(set);
  });
}

// Several threads use one connection, as they may.
TEST(Race, OneSocketManyThreads) {
  FakeEngine engine;
  const sockaddr_in server = Server();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server), 0);
  Together([&](int thread) {
    for (int round = 0; round < kRounds; ++round) {
      int value = round % 2;
      socklen_t length = sizeof value;
      const int option = thread % 2 == 0 ? TCP_NODELAY : TCP_CORK;
      EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value), 0);
      EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length), 0);
      EXPECT_EQ(value, 0);
      sockaddr_in peer{};
      socklen_t size = sizeof peer;
      EXPECT_EQ(getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size), 0);
      EXPECT_EQ(ntohs(peer.sin_port), 443);
    }
  });
  close(fd);
}

TEST(Race, ManyAcceptors) {
  FakeEngine engine;
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(listen(listener, 4 * kThreads), 0);
  std::thread deliver([&] {
    control::Address client = FakeEngine::Local();
    for (int i = 0; i < kThreads * 10; ++i) {
      const int end = engine.Deliver(client);
      char byte = 0;
      EXPECT_EQ(recv(end, &byte, 1, 0), 1);
      close(end);
    }
  });
  Together([&](int) {
    for (int round = 0; round < 10; ++round) {
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const int fd = accept(listener, reinterpret_cast<sockaddr*>(&from), &length);
      EXPECT_GE(fd, 0);
      EXPECT_EQ(ntohs(from.sin_port), FakeEngine::Local().port);
      close(fd);
    }
  });
  deliver.join();
  close(listener);
}

TEST(Race, TlsLibraryIsFoundOnce) {
  const TlsLibrary* found[kThreads] = {};
  Together([&](int thread) {
    for (uintptr_t site = 0; site < 200; ++site) {
      const auto* const caller =
          reinterpret_cast<const char*>(&Server) + site * static_cast<uintptr_t>(thread + 1) % 64;
      found[thread] = TlsLibraryOf(caller);
      ASSERT_NE(found[thread], nullptr);
      EXPECT_TRUE(found[thread]->complete);
    }
  });
  for (const TlsLibrary* library : found) EXPECT_EQ(library, found[0]);
}

TEST(Race, SslObjectsInManyThreads) {
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  Together([&](int) {
    for (int round = 0; round < kRounds; ++round) {
      SSL* const ssl = SSL_new(context);
      EXPECT_NE(ssl, nullptr);
      EXPECT_EQ(SSL_get_info_callback(ssl), nullptr);
      EXPECT_EQ(SSL_clear(ssl), 1);
      SSL_free(ssl);
    }
  });
  SSL_CTX_free(context);
}

}  // namespace
}  // namespace mptcptls::shim
