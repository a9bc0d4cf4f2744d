// Hosts for the tests of tun/: unnamed network namespaces of this process, gone with it, and raw
// packets to send through them.
#ifndef MPTCPTLS_TESTS_NETNS_TUN_HOSTS_H_
#define MPTCPTLS_TESTS_NETNS_TUN_HOSTS_H_

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tun/steering.h"
#include "tun/tun_device.h"
#include "tun/uplinks.h"

namespace mptcptls {

// One network namespace.
class Namespace {
 public:
  Namespace();
  ~Namespace();
  Namespace(const Namespace&) = delete;
  Namespace& operator=(const Namespace&) = delete;

  // The calling thread is in the namespace while this lives.
  class Scope {
   public:
    explicit Scope(const Namespace& host);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    int back_;
  };

  // Runs a shell command in the namespace and returns what it printed; a failing test if it fails.
  std::string Run(const std::string& command) const;
  // The same without judging: exit status in `*status`.
  std::string Try(const std::string& command, int* status) const;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// A host with the three pieces of tun/ at work.
struct Host {
  explicit Host(const Namespace& host);
  // Takes in what netlink reports and lays the rules down again.
  bool Refresh();

  const Namespace& net;
  std::unique_ptr<TunDevice> tun;
  std::unique_ptr<UplinkMonitor> uplinks;
  std::unique_ptr<Steering> steering;
  std::vector<PortRange> ports;
  std::vector<SteeredListener> listeners;
  std::string error;
};

// Polls until `condition` holds; false when it did not within five seconds.
bool Eventually(const std::function<bool()>& condition);

// A TCP segment of `payload` bytes, its checksum field filled with the pseudo-header's sum.
struct Segment {
  IpAddress source, destination;
  uint16_t source_port = 0, destination_port = 0;
  size_t payload = 0;
  uint16_t gso_size = 0;  // 0: one packet
};
std::vector<uint8_t> MakeSegment(const Segment& segment);
int Send(TunDevice& tun, const Segment& segment);

// The next packet that a matching function accepts; empty when none came within five seconds.
std::vector<uint8_t> Receive(TunDevice& tun, Offload* offload);
// True when a packet waits to be read right now.
bool HasPacket(TunDevice& tun);

}  // namespace mptcptls

#endif  // MPTCPTLS_TESTS_NETNS_TUN_HOSTS_H_
