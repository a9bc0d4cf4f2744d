// What libkeyoracle.so wrote: the keys that OpenSSL itself exports, on both ends.
#ifndef MPTCPTLS_TESTS_NETNS_ORACLE_H_
#define MPTCPTLS_TESTS_NETNS_ORACLE_H_

#include <string>
#include <vector>

namespace mptcptls::lab {

struct OracleLine {
  std::string client_random;  // 64 hex digits
  std::string key;            // 32 hex digits: Key-A, Key-B
  std::string protocol;       // "TLSv1.3"
  std::string role;           // "client" or "server"
};

// A file that every user may append to, for one or more programs.
class KeyOracle {
 public:
  explicit KeyOracle(std::string file);
  // The library to preload (the oracle goes before the product), and its variable.
  static std::string Library();
  std::string Variable() const { return "KEY_ORACLE_FILE=" + file_; }
  std::vector<OracleLine> Lines() const;

 private:
  std::string file_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_ORACLE_H_
