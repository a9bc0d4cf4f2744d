// InputFirewallReason() (tun/steering.h): does something on this host drop input that a captured
// listener would no longer be protected by?
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "tun/nft.h"
#include "tun/nft_ruleset.h"
#include "tun/steering.h"

namespace mptcptls {
namespace {

// Legacy iptables, one family. Asking the kernel about a table creates it, so the list of those
// that exist is read first. The headers of the two families differ in name only.
template <typename GetInfo, typename GetEntries, typename Entry>
bool LegacyFilterDrops(const char* names_file, int family, int level, int info_option,
                       int entries_option) {
  std::ifstream names(names_file);
  bool has_filter = false;
  for (std::string name; std::getline(names, name);) has_filter |= name == "filter";
  if (!has_filter) return false;
  const int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
  if (fd < 0) return true;  // it is there, and we may not look
  GetInfo info{};
  std::string("filter").copy(info.name, sizeof info.name - 1);
  socklen_t length = sizeof info;
  bool drops = true;
  if (getsockopt(fd, level, info_option, &info, &length) == 0) {
    std::vector<char> storage(sizeof(GetEntries) + info.size);
    auto* entries = reinterpret_cast<GetEntries*>(storage.data());
    std::string("filter").copy(entries->name, sizeof entries->name - 1);
    entries->size = info.size;
    length = static_cast<socklen_t>(storage.size());
    const uint32_t first = info.hook_entry[NF_INET_LOCAL_IN];
    if (getsockopt(fd, level, entries_option, entries, &length) == 0 &&
        first == info.underflow[NF_INET_LOCAL_IN] && first + sizeof(Entry) <= info.size) {
      // No rule but the policy: its verdict decides.
      const auto* policy = reinterpret_cast<const Entry*>(
          reinterpret_cast<const char*>(entries->entrytable) + first);
      const auto* target = reinterpret_cast<const xt_standard_target*>(
          reinterpret_cast<const char*>(policy) + policy->target_offset);
      drops = target->verdict != -NF_ACCEPT - 1;
    }
  }
  close(fd);
  return drops;
}

}  // namespace

std::string InputFirewallReason() {
  std::string error, ruleset;
  const std::unique_ptr<Nft> nft = Nft::Open(&error);
  if (nft == nullptr || !nft->ListRuleset(&ruleset, &error))
    return "the host's firewall rules cannot be read (" + error + ")";
  std::string reason = FindInputDrop(ruleset);
  if (!reason.empty()) return reason;
  if (LegacyFilterDrops<ipt_getinfo, ipt_get_entries, ipt_entry>(
          "/proc/net/ip_tables_names", AF_INET, IPPROTO_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES))
    return "iptables (legacy) filters input";
  if (LegacyFilterDrops<ip6t_getinfo, ip6t_get_entries, ip6t_entry>(
          "/proc/net/ip6_tables_names", AF_INET6, IPPROTO_IPV6, IP6T_SO_GET_INFO,
          IP6T_SO_GET_ENTRIES))
    return "ip6tables (legacy) filters input";
  return "";
}

}  // namespace mptcptls
