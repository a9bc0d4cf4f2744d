// A program of the kernel's MPTCP: it knows linux/mptcp.h and nothing of us. Both ends say what
// their sockets tell, numbers that differ from run to run only by what must hold of them.
//   mptcp_probe server ADDRESS PROTOCOL         one connection: echoes messages
//   mptcp_probe client ADDRESS PROTOCOL PATHS   until both ends have PATHS subflows
//   mptcp_probe single ADDRESS PROTOCOL         the same, without waiting for a path
//   mptcp_probe tls ADDRESS PATH PATHS          GETs from an HTTPS server, until there are PATHS
// PROTOCOL: mptcp or tcp.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/netns/mptcp_probe.h"

using namespace mptcptls::probe;

namespace {

constexpr size_t kMessage = 1000;
constexpr auto kPatience = std::chrono::seconds(20);

bool SendAll(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

// A whole message, or "" at the end.
std::string Receive(int fd) {
  std::string bytes(kMessage, 0);
  return recv(fd, bytes.data(), bytes.size(), MSG_WAITALL) == static_cast<ssize_t>(kMessage) ? bytes
                                                                                             : "";
}

// 'e' is echoed; 'a' is answered by 'y' when there are as many subflows as its second byte says;
// 's' makes the server say what its socket tells.
int Server(const Address& address, int protocol) {
  const int listener = Open(address.family(), protocol);
  const int one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  Done("bind", bind(listener, address.get(), address.length));
  Done("listen", listen(listener, 5));
  Say("-- listener");
  SayShapes(listener);
  Say("ready");
  const int fd = accept(listener, nullptr, nullptr);
  uint64_t bytes = 0;
  for (std::string message; !(message = Receive(fd)).empty();) {
    bytes += kMessage;
    if (message[0] == 'a') message[0] = Established(fd) == message[1] - '0' ? 'y' : 'n';
    if (message[0] == 's') {
      Say("-- accepted");
      SayState(fd, bytes - kMessage, bytes);
      SayShapes(fd);
    }
    if (!SendAll(fd, message)) break;
  }
  close(fd);
  return 0;
}

bool Ask(int fd, const std::string& start, char expected, uint64_t* bytes) {
  std::string message = start;
  message.resize(kMessage, '.');
  if (!SendAll(fd, message)) return false;
  *bytes += kMessage;
  message = Receive(fd);
  return !message.empty() && message[0] == expected;
}

int Client(const Address& address, int protocol, int paths) {
  const int fd = Open(address.family(), protocol);
  Say("-- fresh");
  SayShapes(fd);
  Done("connect", connect(fd, address.get(), address.length));
  uint64_t bytes = 0;
  if (!Ask(fd, "e", 'e', &bytes)) return 1;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (paths > 0 && std::chrono::steady_clock::now() < end) {
    const bool there = Established(fd) == paths;
    if (Ask(fd, "a" + std::to_string(paths), 'y', &bytes) && there) break;
  }
  Say("-- connected");
  SayState(fd, bytes, bytes);
  SayShapes(fd);
  if (!Ask(fd, "s", 's', &bytes)) return 1;
  shutdown(fd, SHUT_WR);
  Say("ends: %s", Receive(fd).empty() ? "yes" : "no");
  close(fd);
  return 0;
}

// What the server sends to one request on a connection that stays.
size_t Get(SSL* ssl, const std::string& path) {
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: server.test\r\n\r\n";
  if (SSL_write(ssl, request.data(), static_cast<int>(request.size())) <= 0) return 0;
  std::string head;
  for (char c; head.find("\r\n\r\n") == std::string::npos && SSL_read(ssl, &c, 1) == 1;) head += c;
  const size_t at = head.find("Content-Length: ");
  if (at == std::string::npos) return 0;
  const auto length = static_cast<size_t>(atoll(head.c_str() + at + 16));
  std::vector<char> bytes(65536);
  size_t left = length;
  while (left > 0) {
    const int n = SSL_read(ssl, bytes.data(), static_cast<int>(std::min(left, bytes.size())));
    if (n <= 0) return 0;
    left -= static_cast<size_t>(n);
  }
  return head.size() + length;
}

int TlsClient(const Address& address, const std::string& path, int paths) {
  const int fd = Open(address.family(), kIpprotoMptcp);
  Done("connect", connect(fd, address.get(), address.length));
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL* const ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  Say("handshake: %d", SSL_connect(ssl));
  uint64_t bytes = 0;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    const size_t got = Get(ssl, path);
    if (got == 0) return 1;
    bytes += got;
  } while (Established(fd) != paths && std::chrono::steady_clock::now() < end);
  Say("-- connected");
  SayTotals(fd, bytes);
  SSL_free(ssl);
  SSL_CTX_free(context);
  close(fd);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc >= 4 ? argv[1] : "";
  const int protocol = argc >= 4 && strcmp(argv[3], "tcp") == 0 ? IPPROTO_TCP : kIpprotoMptcp;
  if (what == "server") return Server(Parse(argv[2], kPort), protocol);
  if (what == "single") return Client(Parse(argv[2], kPort), protocol, 0);
  if (what == "client" && argc == 5) return Client(Parse(argv[2], kPort), protocol, atoi(argv[4]));
  if (what == "tls" && argc == 5) return TlsClient(Parse(argv[2], 443), argv[3], atoi(argv[4]));
  fputs(
      "usage: mptcp_probe server|single ADDRESS mptcp|tcp, client ADDRESS mptcp|tcp PATHS, "
      "tls ADDRESS PATH PATHS\n",
      stderr);
  return 2;
}
