// A program with a C++ runtime of its own (and, as RUNTIME_PROBE_* say, with an Abseil of its own
// or with names that the product has inside): fetches a file over HTTP and uses what it has linked
// in.
//
//   runtime_probe ADDRESS PORT PATH OUTPUT
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#ifdef RUNTIME_PROBE_ABSEIL
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#endif

#ifdef RUNTIME_PROBE_NAMES
// As the product calls them, exported by the program: the loader prefers these.
namespace mptcptls::shim {
#define FOREIGN(name) \
  __attribute__((visibility("default"), used)) int name(...) { abort(); }
FOREIGN(Connect)
FOREIGN(Listen)
FOREIGN(Log)
FOREIGN(Setting)
FOREIGN(KeptVariable)
FOREIGN(Enabled)
FOREIGN(Required)
FOREIGN(Captured)
FOREIGN(FreshTcp)
FOREIGN(OpenEngine)
FOREIGN(StartEngine)
}  // namespace mptcptls::shim
extern "C" {
FOREIGN(Connect)
FOREIGN(Listen)
FOREIGN(Log)
FOREIGN(Trusted)
FOREIGN(state)
FOREIGN(zeros)
FOREIGN(saved)
FOREIGN(blocks)
FOREIGN(owner)
FOREIGN(count)
}
#endif

namespace {

int Connected(const char* address, const char* port) {
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1) throw std::invalid_argument(address);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    throw std::runtime_error(std::string("connect: ") + strerror(errno));
  return fd;
}

std::string Exchange(int fd, const std::string& request) {
  if (write(fd, request.data(), request.size()) != static_cast<ssize_t>(request.size()))
    throw std::runtime_error("write");
  std::string answer;
  char piece[65536];
  for (ssize_t n; (n = read(fd, piece, sizeof piece)) > 0;)
    answer.append(piece, static_cast<size_t>(n));
  close(fd);
  return answer;
}

std::string Request(const std::string& path) {
#ifdef RUNTIME_PROBE_ABSEIL
  return absl::StrCat("GET ", path, " HTTP/1.0\r\n\r\n");
#else
  return "GET " + path + " HTTP/1.0\r\n\r\n";
#endif
}

size_t HeaderLines(const std::string& head) {
#ifdef RUNTIME_PROBE_ABSEIL
  absl::flat_hash_map<std::string, int> lines;
  for (const auto line : absl::StrSplit(head, "\r\n")) ++lines[std::string(line)];
#else
  std::map<std::string, int> lines;
  for (size_t at = 0; at < head.size();) {
    const size_t end = std::min(head.find("\r\n", at), head.size());
    ++lines[head.substr(at, end - at)];
    at = end + 2;
  }
#endif
  return lines.size();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  try {
    // An exception through frames, caught, before and after connect().
    try {
      Connected("nonsense", "80");
      return 3;
    } catch (const std::invalid_argument&) {
    }
    std::string answer;
    std::thread([&] { answer = Exchange(Connected(argv[1], argv[2]), Request(argv[3])); }).join();
    const size_t end = answer.find("\r\n\r\n");
    if (end == std::string::npos) throw std::runtime_error("no answer");
    if (HeaderLines(answer.substr(0, end)) < 3) throw std::runtime_error("no header");
    std::ofstream(argv[4], std::ios::binary) << answer.substr(end + 4);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
