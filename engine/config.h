// The engine's configuration: one TOML file (README.md, "Configuration"). Whatever it does not say
// has a default that needs no file.
#ifndef MPTCPTLS_ENGINE_CONFIG_H_
#define MPTCPTLS_ENGINE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/uplink_rules.h"
#include "stack/host.h"
#include "stack/mptcp/connection.h"
#include "stack/mptcp/path_policy.h"
#include "stack/mptcp/scheduler.h"
#include "stack/tcp/policy.h"
#include "stack/types.h"

namespace mptcptls {

// A destination (or, for listeners, an own address) by network and port; what is not given matches
// anything.
struct Match {
  std::optional<IpAddress> network;
  uint8_t prefix_length = 0;
  uint16_t port = 0;  // 0: any

  bool Matches(const Endpoint& endpoint) const;
  std::string ToString() const;  // as it is written in the file
};

// What a rule is for.
enum class RuleFor { kBoth, kDestinations, kListeners };

// What it does not say is for the next rule that matches. All its conditions must hold.
struct Rule {
  RuleFor is_for = RuleFor::kBoth;
  Match match;
  std::string program;  // the name of a process, with the shell's wildcards; empty: any
  std::optional<AuthPolicy> auth;
  std::optional<SchedulerKind> scheduler;
  std::optional<bool> bypass;
  uint32_t line = 0;  // in the file

  // "program git*, to 192.0.2.0/24: auth tls, scheduler ecf"
  std::string ToString() const;
  bool IsForProgram(std::string_view name) const;
  bool Matches(const Endpoint& endpoint, bool listen, std::string_view of) const;
};

struct Config {
  std::string file;  // where it came from, empty: defaults only
  Duration idle_timeout = std::chrono::seconds(60);
  Duration cache_lifetime = std::chrono::minutes(10);
  std::vector<uint16_t> clear_ports = {80, 8080};
  std::vector<std::string> interfaces;            // bridges to use as uplinks all the same
  std::vector<Match> listen_allow;                // listeners captured behind an input firewall
  std::vector<Match> bypass;                      // destinations and listeners left to the kernel
  std::vector<Rule> rules;                        // the first that matches decides
  size_t send_buffer = HostConfig().send_buffer;  // bytes, the most that tuning may use
  size_t receive_buffer = HostConfig().receive_buffer;
  TcpPolicy tcp;
  PathPolicy paths;
  std::vector<UplinkRule> uplinks;  // the first that says something decides about that
  SchedulerKind scheduler = HostConfig().scheduler;
  size_t token_server_id_bits = 0;
  uint16_t token_server_id = 0;
  std::optional<TokenKey> token_key;

  size_t syn_queue = 1024;    // half-open connections
  size_t max_orphans = 8192;  // connections whose program is gone
  size_t max_time_waits = 16384;

  bool IsClearPort(uint16_t port) const;
  bool ListenAllowed(const Endpoint& endpoint) const;
  // Why a destination or listener of this program stays with the kernel; empty: it does not.
  std::string BypassReason(const Endpoint& endpoint, bool listen, std::string_view program) const;
  // What the rules say; nullopt: nothing.
  std::optional<AuthPolicy> AuthFor(const Endpoint& endpoint, bool listen,
                                    std::string_view program) const;
  std::optional<SchedulerKind> SchedulerFor(const Endpoint& endpoint, bool listen,
                                            std::string_view program) const;
};

inline constexpr char kDefaultConfigFile[] = "/etc/mptcptls.toml";

// nullopt and an error with file, line, column, cause and remedy. A key that is not known is an
// error. A file that does not exist is one only if it was `asked_for`.
std::optional<Config> LoadConfig(const std::string& path, bool asked_for, std::string* error);
std::optional<Config> ParseConfig(const std::string& text, const std::string& path,
                                  std::string* error);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_CONFIG_H_
