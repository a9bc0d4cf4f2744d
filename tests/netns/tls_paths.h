// What a test of a program's TLS asks: two paths, joined under the key of its TLS session.
#ifndef MPTCPTLS_TESTS_NETNS_TLS_PATHS_H_
#define MPTCPTLS_TESTS_NETNS_TLS_PATHS_H_

#include <optional>
#include <string>
#include <vector>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"

namespace mptcptls::lab {

// The connections of the engine on `host`, closed ones first, the newest last; empty without one.
std::vector<ConnectionStatus> ConnectionsOf(const Host& host);

// What is not so of "TLS-auth, a key, and at least two subflows of which the further ones were
// authenticated by the TLS key"; empty when all is.
std::string WhyNotTwoPathsUnderTls(const ConnectionStatus& connection);

// The same of the newest connection of `host`, which has some time to get there.
std::string AwaitTwoPathsUnderTls(const Host& host);

// A FIFO that a program reads as its stdin, for as long as the test likes.
class StdinPipe {
 public:
  explicit StdinPipe(std::string file);
  ~StdinPipe();
  StdinPipe(const StdinPipe&) = delete;
  StdinPipe& operator=(const StdinPipe&) = delete;

  const std::string& file() const { return file_; }
  // Waits until the program has taken it.
  void Write(const std::string& text) const;
  // The program reads the end, once it has it open.
  void Close();

 private:
  std::string file_;
  int fd_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_TLS_PATHS_H_
