// A raw peer: IPv4 TCP packets built and read with libtins, from a host whose own TCP keeps silent.
#ifndef MPTCPTLS_TESTS_NETNS_RAW_PEER_H_
#define MPTCPTLS_TESTS_NETNS_RAW_PEER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/capture.h"
#include "tests/netns/host.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {

class RawPeer {
 public:
  // Speaks from `address` of `host` to `server`:`port`; hears what comes back on `interface`.
  RawPeer(const Host& host, const std::string& interface, std::string address, std::string server,
          uint16_t port, const std::string& folder);

  struct Segment {
    uint16_t source_port = 0;
    uint32_t sequence = 0;
    uint32_t acknowledgement = 0;
    uint16_t flags = 0;               // Tins::TCP::SYN and friends
    std::vector<uint8_t> mptcp = {};  // an option's bytes after kind and length
  };
  void Send(const Segment& segment);

  // All packets from the server so far, as the capture has them.
  std::vector<TracedPacket> Received() const;
  // The first packet to this port that `wanted` accepts; nullopt when none comes.
  std::optional<TracedPacket> Await(uint16_t port,
                                    const std::function<bool(const TracedPacket&)>& wanted) const;

 private:
  const Host& host_;
  std::string address_, server_;
  uint16_t port_;
  Capture capture_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_RAW_PEER_H_
