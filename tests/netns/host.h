// One host of the lab: a named network namespace.
#ifndef MPTCPTLS_TESTS_NETNS_HOST_H_
#define MPTCPTLS_TESTS_NETNS_HOST_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/netns/child.h"

namespace mptcptls::lab {

// What the kernel counted on an interface, link-layer headers included.
struct InterfaceCounters {
  uint64_t rx_bytes = 0;
  uint64_t rx_packets = 0;
  uint64_t tx_bytes = 0;
  uint64_t tx_packets = 0;
};

class Host {
 public:
  // Makes the namespace /run/netns/NETNS with its loopback up, or opens the one that is there.
  explicit Host(std::string netns);
  // Leaves the namespace; DestroyNamespaces() ends it.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // The calling thread is in the namespace while this lives.
  class Scope {
   public:
    explicit Scope(const Host& host);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    int back_;
  };

  const std::string& netns() const { return netns_; }
  int fd() const { return fd_; }

  // Starts a program here, as `ip netns exec` does: /sys shows this namespace.
  std::unique_ptr<Child> Start(const Command& command) const;
  // Runs a shell command to its end and returns its stdout. Throws with its output when it fails.
  std::string Run(const std::string& command) const;

  void SetSysctl(const std::string& name, const std::string& value) const;
  InterfaceCounters Counters(const std::string& interface) const;

  // Addresses, links, rules, routes, nftables ruleset and net.* sysctls, by these names, without
  // what changes by itself (counters, lifetimes): equal before and after means nothing was left
  // behind.
  std::map<std::string, std::string> Snapshot() const;
  // Processes whose network namespace this is.
  std::vector<pid_t> Processes() const;

 private:
  void EnterForExec() const;

  std::string netns_;
  int fd_;
};

// The lines of `before` and `after` that differ, as "-line" and "+line"; empty when nothing does.
std::string Difference(const std::map<std::string, std::string>& before,
                       const std::map<std::string, std::string>& after);

// Kills every process in the namespaces whose names start with PREFIX-, and removes these
// namespaces; their interfaces go with them.
void DestroyNamespaces(const std::string& prefix);
std::vector<std::string> ListNamespaces(const std::string& prefix);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_HOST_H_
