// The product under test, as its users have it: the library to preload and the command beside it.
#ifndef MPTCPTLS_TESTS_NETNS_PRODUCT_H_
#define MPTCPTLS_TESTS_NETNS_PRODUCT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/host.h"

namespace mptcptls::lab {

// What `mptcptls status --json` says of a subflow; times in microseconds.
struct SubflowStatus {
  std::string local, remote, uplink, state;
  std::string joined_by;         // mp_capable, mp_join
  std::string authenticated_by;  // tls key, clear key, none
  uint64_t bytes_sent = 0, bytes_received = 0, retransmitted_bytes = 0;
  uint64_t srtt_us = 0;
};

struct ConnectionStatus {
  std::string role;  // initiator, responder
  std::string mode;  // tls-auth, keys, tcp
  std::string key;   // none, present, refused: ...
  std::string local, remote, state;
  bool closed = false;
  std::vector<SubflowStatus> subflows;
  std::vector<std::string> unused_paths;  // "LOCAL to REMOTE: reason"
};

struct EngineStatus {
  int pid = 0;
  std::vector<std::string> installed;
  std::vector<ConnectionStatus> connections;  // alive first, then closed, newest last
  std::string json;                           // all of it
};

class Product {
 public:
  static std::string Library();
  static std::string Command();  // mptcptls
  static std::string Engine();   // mptcptlsd
  // Environment of a captured program that must not fall back to the kernel in silence. `before` is
  // a library to preload ahead of the product.
  static std::vector<std::string> Environment(const std::string& before = "");

  // nullopt when no engine runs on the host. Throws when the command fails in another way.
  static std::optional<EngineStatus> Status(const Host& host);
  // The engine's process, 0 without one.
  static pid_t EnginePid(const Host& host);
  // Ends the engine and waits until it is gone.
  static void Down(const Host& host);
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_PRODUCT_H_
