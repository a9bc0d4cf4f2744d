// The kernel's own Multipath TCP on a host: its path manager's settings, its counters, and what its
// users see of it (ip mptcp, nstat, ss).
#ifndef MPTCPTLS_TESTS_NETNS_KERNEL_MPTCP_H_
#define MPTCPTLS_TESTS_NETNS_KERNEL_MPTCP_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/netns/host.h"

namespace mptcptls::lab {

// A connection as `ss -M` shows it.
struct KernelConnection {
  std::string state;  // ESTAB, FIN-WAIT-1, ...
  std::string token;  // the kernel's own, 8 hex digits without leading zeros
  int subflows = 0;   // beside the first
  bool fallback = false;
};

// One line of `ip mptcp monitor`: "SF_ESTABLISHED" and its "token=..." fields.
struct KernelEvent {
  std::string name;
  std::map<std::string, std::string> fields;
};

class KernelMptcp {
 public:
  // Starts to watch its events.
  explicit KernelMptcp(const Host& host);

  // `ip mptcp limits`: further subflows, and how many of the peer's addresses it joins.
  void Limit(int subflows, int add_addr_accepted) const;
  // `what` as after `ip mptcp endpoint add`: "10.9.2.2 dev l2 signal port 9000".
  void AddEndpoint(const std::string& what) const;
  void DeleteEndpoint(const std::string& address) const;
  // `flags` as after `ip mptcp endpoint change id N`: "backup".
  void ChangeEndpoint(const std::string& address, const std::string& flags) const;

  // The counters of the host's MPTCP that are not 0, without their prefix "MPTcpExt".
  std::map<std::string, uint64_t> Counters() const;
  uint64_t Counter(const std::string& name) const;
  // Those connections that are not closed; listeners are none.
  std::vector<KernelConnection> Connections() const;
  // So far.
  std::vector<KernelEvent> Events() const;

 private:
  std::string IdOf(const std::string& address) const;

  const Host& host_;
  std::unique_ptr<Child> monitor_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_KERNEL_MPTCP_H_
