// The attacker: a host beside the first path that sends whatever it likes, under any address, while
// its own kernel keeps silent.
#ifndef MPTCPTLS_TESTS_NETNS_ATTACKER_H_
#define MPTCPTLS_TESTS_NETNS_ATTACKER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/capture.h"
#include "tests/netns/host.h"
#include "tests/netns/observation.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {

class Attacker {
 public:
  Attacker(const Host& host, const std::string& interface, std::string address,
           const std::string& folder);

  struct Segment {
    std::string source = {};  // empty: the attacker's own address
    std::string destination = {};
    uint16_t source_port = 0;
    uint16_t destination_port = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgement = 0;
    uint16_t flags = 0;  // Tins::TCP::SYN and friends
    Bytes mptcp = {};    // an option's bytes after kind and length
  };
  void Send(const Segment& segment) const;

  // Packets to the attacker's own address so far.
  std::vector<TracedPacket> Received() const;
  using Wanted = std::function<bool(const TracedPacket&)>;
  // The first of these that is wanted; nullopt when none comes.
  std::optional<TracedPacket> Await(const Wanted& wanted,
                                    std::chrono::milliseconds deadline = kPatience) const;

  const std::string& address() const { return address_; }
  // A source port that was not used before.
  uint16_t NextPort() { return ++last_port_; }

 private:
  const Host& host_;
  std::string address_;
  Capture capture_;
  uint16_t last_port_ = 20000;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_ATTACKER_H_
