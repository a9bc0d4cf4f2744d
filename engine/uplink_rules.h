// What the configuration says of uplinks ([[uplink]]): which are used, and for what.
#ifndef MPTCPTLS_ENGINE_UPLINK_RULES_H_
#define MPTCPTLS_ENGINE_UPLINK_RULES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stack/host.h"
#include "stack/mptcp/path_policy.h"
#include "stack/types.h"

namespace mptcptls {

// What it does not say is for the next rule that matches.
struct UplinkRule {
  std::string name;              // of interfaces, with the shell's wildcards: "wwan*"
  std::optional<Family> family;  // of addresses; nullopt: both
  bool never = false;
  std::optional<UplinkUse> use;
  std::optional<size_t> subflows;

  bool Matches(std::string_view interface, Family of) const;
};

// What the rules make of an address; nullopt: it is not used.
std::optional<LocalAddress> ApplyRules(const std::vector<UplinkRule>& rules, LocalAddress address);

// "normal", "backup", "metered".
std::string_view UplinkUseName(UplinkUse use);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_UPLINK_RULES_H_
