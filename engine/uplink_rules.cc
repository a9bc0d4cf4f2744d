#include "engine/uplink_rules.h"

#include <fnmatch.h>

namespace mptcptls {

bool UplinkRule::Matches(std::string_view interface, Family of) const {
  return (!family || *family == of) &&
         fnmatch(name.c_str(), std::string(interface).c_str(), 0) == 0;
}

std::optional<LocalAddress> ApplyRules(const std::vector<UplinkRule>& rules, LocalAddress address) {
  bool use_said = false, subflows_said = false;
  for (const UplinkRule& rule : rules) {
    if (!rule.Matches(address.uplink, address.address.family)) continue;
    if (!use_said && rule.never) return std::nullopt;
    if (!use_said && rule.use) {
      address.use = *rule.use;
      use_said = true;
    }
    if (!subflows_said && rule.subflows) {
      address.subflows = *rule.subflows;
      subflows_said = true;
    }
  }
  return address;
}

std::string_view UplinkUseName(UplinkUse use) {
  switch (use) {
    case UplinkUse::kBackup:
      return "backup";
    case UplinkUse::kMetered:
      return "metered";
    case UplinkUse::kNormal:
      break;
  }
  return "normal";
}

}  // namespace mptcptls
