// talker: a plain program over TCP that talks and listens at once, without end, until a signal says
// how to end. It checks each byte that it hears. It knows nothing of Multipath TCP but for a flag
// that asks for the kernel's own.
//
//   SIGUSR1  says no more (FIN), hears the other out, ends
//   SIGUSR2  breaks off: by SO_LINGER 0, or with --unread by close() beside bytes that it never
//   read
//
// stdout: "listening", "connected", and at the end one JSON object.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
// After <netinet/in.h>, with which it would else collide.
#include <linux/mptcp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>
#include <vector>

namespace {

struct Options {
  bool mptcp = false;
  bool listens = false;
  bool silent = false;  // says nothing by itself
  bool unread = false;  // how SIGUSR2 breaks off
  std::string address;
  uint16_t port = 0;
};

[[noreturn]] void ThrowErrno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// What each end says: a prime number of random bytes over and over, so that no two places that are
// near each other look alike.
class Speech {
 public:
  explicit Speech(unsigned seed) : bytes_(1'048'573) {
    std::mt19937 dice(seed);
    for (char& byte : bytes_) byte = static_cast<char>(dice());
  }
  // What begins at this place of the stream; at least one byte, as many as lie in a row.
  std::pair<const char*, size_t> At(uint64_t place) const {
    const size_t offset = place % bytes_.size();
    return {bytes_.data() + offset, bytes_.size() - offset};
  }
  // How many of these bytes are right.
  size_t Match(uint64_t place, const char* heard, size_t size) const {
    for (size_t done = 0; done < size;) {
      const auto [right, in_a_row] = At(place + done);
      const size_t n = std::min(size - done, in_a_row);
      if (memcmp(heard + done, right, n) != 0) {
        return static_cast<size_t>(std::mismatch(heard, heard + size, right - done).first - heard);
      }
      done += n;
    }
    return size;
  }

 private:
  std::vector<char> bytes_;
};

void Announce(const char* what) {
  printf("%s\n", what);
  fflush(stdout);
}

class Talker {
 public:
  explicit Talker(const Options& options)
      : options_(options), own_(options.listens ? 2 : 1), others_(options.listens ? 1 : 2) {
    // Signals wait until they are asked for, also those that come early.
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = signalfd(-1, &set, SFD_CLOEXEC);
    if (signals_ < 0) ThrowErrno("signalfd");
  }

  int Run() {
    const int fd = options_.listens ? Accept() : Connect();
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) ThrowErrno("O_NONBLOCK");
    Announce("connected");
    Talk(fd);
    if (!broken_off_) NoteProtocol(fd);
    close(fd);
    const nlohmann::json result = {
        {"said", said_}, {"heard", heard_}, {"right", right_}, {"end", end_}, {"mptcp", is_mptcp_}};
    printf("%s\n", result.dump().c_str());
    return 0;
  }

 private:
  int Socket(sockaddr_storage* address, socklen_t* size) const {
    auto* v4 = reinterpret_cast<sockaddr_in*>(address);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(address);
    *address = {};
    if (inet_pton(AF_INET, options_.address.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(options_.port);
      *size = sizeof *v4;
    } else if (inet_pton(AF_INET6, options_.address.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(options_.port);
      *size = sizeof *v6;
    } else {
      throw std::runtime_error(options_.address + " is no IPv4 or IPv6 address");
    }
    const int fd =
        socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, options_.mptcp ? IPPROTO_MPTCP : 0);
    if (fd < 0) ThrowErrno("socket");
    return fd;
  }

  int Connect() const {
    sockaddr_storage address;
    socklen_t size;
    const int fd = Socket(&address, &size);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), size) != 0) ThrowErrno("connect");
    return fd;
  }

  int Accept() const {
    sockaddr_storage address;
    socklen_t size;
    const int listener = Socket(&address, &size);
    const int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0) ThrowErrno("bind");
    if (listen(listener, 8) != 0) ThrowErrno("listen");
    Announce("listening");
    const int fd = accept(listener, nullptr, nullptr);
    if (fd < 0) ThrowErrno("accept");
    return fd;  // the listener stays: further subflows come to it
  }

  void Talk(int fd) {
    while (!(finished_ && end_ == "eof") && end_ != "error" && !broken_off_) {
      const bool hears = end_.empty(), says = !finished_ && !options_.silent;
      pollfd ready[2] = {{fd, static_cast<short>((hears ? POLLIN : 0) | (says ? POLLOUT : 0)), 0},
                         {signals_, POLLIN, 0}};
      if (poll(ready, 2, -1) < 0 && errno != EINTR) ThrowErrno("poll");
      if ((ready[1].revents & POLLIN) != 0) Obey(fd);
      if (broken_off_) return;
      if (hears && (ready[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0) Hear(fd);
      if (says && !finished_ && (ready[0].revents & POLLOUT) != 0) Say(fd);
      if (!failure_.empty()) {
        end_ = failure_;
        return;
      }
    }
  }

  void Hear(int fd) {
    const ssize_t n = read(fd, buffer_.data(), buffer_.size());
    if (n < 0) {
      if (errno != EAGAIN) failure_ = strerrorname_np(errno);
      return;
    }
    if (n == 0) {
      end_ = "eof";
      Finish(fd);  // who has been heard out has nothing to say any more
      return;
    }
    const auto size = static_cast<size_t>(n);
    if (right_ == heard_) right_ += others_.Match(heard_, buffer_.data(), size);
    heard_ += size;
  }

  void Say(int fd) {
    const auto [bytes, in_a_row] = own_.At(said_);
    const ssize_t n = send(fd, bytes, std::min<size_t>(in_a_row, 65536), MSG_NOSIGNAL);
    if (n >= 0) said_ += static_cast<uint64_t>(n);
    // The reason, if there is one, is what read() says.
    if (n < 0 && errno == EPIPE) finished_ = true;
    if (n < 0 && errno != EPIPE && errno != EAGAIN) failure_ = strerrorname_np(errno);
  }

  void Finish(int fd) {
    if (finished_) return;
    finished_ = true;
    if (shutdown(fd, SHUT_WR) != 0 && errno != ENOTCONN) ThrowErrno("shutdown");
  }

  void Obey(int fd) {
    signalfd_siginfo info;
    if (read(signals_, &info, sizeof info) != sizeof info) ThrowErrno("read(signalfd)");
    if (info.ssi_signo == SIGUSR1) return Finish(fd);
    NoteProtocol(fd);
    if (options_.unread) {
      pollfd ready{fd, POLLIN, 0};
      if (poll(&ready, 1, -1) < 0) ThrowErrno("poll");
    } else {
      const linger now{1, 0};
      if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0) ThrowErrno("SO_LINGER");
    }
    broken_off_ = true;
    end_ = "broken off";
  }

  // Whether the kernel speaks Multipath TCP on it, and goes on to.
  void NoteProtocol(int fd) {
    mptcp_info info{};
    socklen_t size = sizeof info;
    is_mptcp_ = options_.mptcp && getsockopt(fd, SOL_MPTCP, MPTCP_INFO, &info, &size) == 0 &&
                (info.mptcpi_flags & MPTCP_INFO_FLAG_FALLBACK) == 0;
  }

  const Options options_;
  const Speech own_, others_;
  int signals_ = -1;
  std::array<char, 65536> buffer_;
  uint64_t said_ = 0, heard_ = 0, right_ = 0;
  bool finished_ = false, broken_off_ = false, is_mptcp_ = false;
  std::string end_, failure_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Talks and listens at once over TCP until SIGUSR1 (end) or SIGUSR2 (break off).",
               "talker");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--mptcp", options.mptcp, "IPPROTO_MPTCP: the kernel's Multipath TCP");
  app.add_flag("--silent", options.silent, "says nothing");
  app.add_flag("--unread", options.unread, "breaks off by close() beside unread bytes");
  for (const char* verb : {"listen", "connect"}) {
    CLI::App* command = app.add_subcommand(verb);
    command->add_option("ADDRESS", options.address)->required();
    command->add_option("PORT", options.port)->required();
  }
  CLI11_PARSE(app, argc, argv);
  options.listens = app.got_subcommand("listen");
  try {
    return Talker(options).Run();
  } catch (const std::exception& error) {
    fprintf(stderr, "talker: %s\n", error.what());
    return 1;
  }
}
