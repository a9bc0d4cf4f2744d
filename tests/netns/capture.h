// A packet capture on one interface of a host, complete from the moment it is made to Stop().
#ifndef MPTCPTLS_TESTS_NETNS_CAPTURE_H_
#define MPTCPTLS_TESTS_NETNS_CAPTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/netns/host.h"

namespace mptcptls::lab {

class Capture {
 public:
  // Starts tcpdump and returns when it really captures. `filter` is a pcap filter ("tcp port 443");
  // empty takes all. `snap` bytes of each packet are kept, 0: all. `env` is tcpdump's environment.
  Capture(const Host& host, std::string interface, std::string file, const std::string& filter = "",
          int snap = 0, const std::vector<std::string>& env = {});
  // Returns when the file holds every packet that crossed the interface before the call. Throws
  // when the kernel dropped some.
  void Stop();
  const std::string& file() const { return file_; }

 private:
  void SendMarker() const;

  const Host& host_;
  std::string interface_;
  std::string file_;
  std::unique_ptr<Child> tcpdump_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_CAPTURE_H_
