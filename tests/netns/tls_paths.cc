#include "tests/netns/tls_paths.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace mptcptls::lab {

std::vector<ConnectionStatus> ConnectionsOf(const Host& host) {
  const auto status = Product::Status(host);
  if (!status) return {};
  std::vector<ConnectionStatus> connections = status->connections;
  std::ranges::stable_partition(connections, [](const auto& each) { return each.closed; });
  return connections;
}

std::string WhyNotTwoPathsUnderTls(const ConnectionStatus& connection) {
  if (connection.mode != "tls-auth") return "mode is " + connection.mode;
  if (connection.key != "present") return "key is " + connection.key;
  if (connection.subflows.size() < 2) {
    std::string why = "one subflow";
    for (const std::string& path : connection.unused_paths) why += "; " + path;
    return why;
  }
  for (const SubflowStatus& subflow : connection.subflows) {
    if (subflow.joined_by == "mp_join" && subflow.authenticated_by != "tls key")
      return "a join was authenticated by " + subflow.authenticated_by;
  }
  return "";
}

std::string AwaitTwoPathsUnderTls(const Host& host) {
  std::string why;
  Eventually([&] {
    const auto connections = ConnectionsOf(host);
    why = connections.empty() ? "no connection" : WhyNotTwoPathsUnderTls(connections.back());
    return why.empty();
  });
  return why;
}

StdinPipe::StdinPipe(std::string file) : file_(std::move(file)), fd_(-1) {
  unlink(file_.c_str());
  // Open for both, it neither waits for a reader nor shows one the end.
  if (mkfifo(file_.c_str(), 0600) == 0) fd_ = open(file_.c_str(), O_RDWR | O_CLOEXEC);
  if (fd_ < 0) throw std::runtime_error("cannot make the pipe " + file_);
}

StdinPipe::~StdinPipe() { Close(); }

void StdinPipe::Write(const std::string& text) const {
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = write(fd_, text.data() + done, text.size() - done);
    if (n < 0) throw std::runtime_error("cannot write to " + file_);
    done += static_cast<size_t>(n);
  }
}

void StdinPipe::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

}  // namespace mptcptls::lab
