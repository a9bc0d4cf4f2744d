#include "tun/route_dump.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include <functional>
#include <map>
#include <set>

namespace mptcptls {
namespace {

using Message = std::function<void(nlmsghdr*)>;

// Calls `take` for every message of a dump or a single answer. Returns 0 or libnl's error.
int Ask(nl_sock* socket, nl_msg* request, const Message& take) {
  struct Context {
    const Message& take;
    bool interrupted = false;
  } context{take};
  nl_cb* callbacks = nl_cb_alloc(NL_CB_DEFAULT);
  if (callbacks == nullptr) return -NLE_NOMEM;
  nl_cb_set(
      callbacks, NL_CB_VALID, NL_CB_CUSTOM,
      [](nl_msg* message, void* argument) -> int {
        static_cast<Context*>(argument)->take(nlmsg_hdr(message));
        return NL_OK;
      },
      &context);
  // The configuration changed while it was dumped: what came is not one state.
  nl_cb_set(
      callbacks, NL_CB_DUMP_INTR, NL_CB_CUSTOM,
      [](nl_msg*, void* argument) -> int {
        static_cast<Context*>(argument)->interrupted = true;
        return NL_OK;
      },
      &context);
  int result = nl_send_auto(socket, request);
  if (result >= 0) {
    bool finished = false;
    nl_cb_set(
        callbacks, NL_CB_FINISH, NL_CB_CUSTOM,
        [](nl_msg*, void* argument) -> int {
          *static_cast<bool*>(argument) = true;
          return NL_STOP;
        },
        &finished);
    nl_cb_set(
        callbacks, NL_CB_ACK, NL_CB_CUSTOM,
        [](nl_msg*, void* argument) -> int {
          *static_cast<bool*>(argument) = true;
          return NL_STOP;
        },
        &finished);
    do {
      result = nl_recvmsgs(socket, callbacks);
    } while (result >= 0 && !finished);
  }
  nl_cb_put(callbacks);
  if (result >= 0 && context.interrupted) return -NLE_DUMP_INTR;
  return result < 0 ? result : 0;
}

// A dump that the kernel says was torn is asked for again; `begin` empties what came before.
template <typename Header>
bool Dump(nl_sock* socket, int type, uint8_t family, const std::function<void()>& begin,
          const Message& take, std::string* error) {
  constexpr int kAttempts = 16;
  int result = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    begin();
    nl_msg* request = nlmsg_alloc_simple(type, NLM_F_DUMP);
    if (request == nullptr) break;
    Header header{};
    *reinterpret_cast<uint8_t*>(&header) = family;  // every rtnetlink header begins with it
    nlmsg_append(request, &header, sizeof header, NLMSG_ALIGNTO);
    result = Ask(socket, request, take);
    nlmsg_free(request);
    if (result == 0) return true;
    if (result != -NLE_DUMP_INTR) break;
  }
  *error = std::string("cannot read the network's configuration: ") + nl_geterror(result);
  return false;
}

template <typename T>
T Value(const nlattr* attribute) {
  T value{};
  memcpy(&value, nla_data(attribute), std::min(sizeof value, size_t(nla_len(attribute))));
  return value;
}

std::optional<IpAddress> Address(const nlattr* attribute) {
  if (attribute == nullptr) return std::nullopt;
  const ByteSpan bytes(static_cast<const uint8_t*>(nla_data(attribute)),
                       static_cast<size_t>(nla_len(attribute)));
  if (bytes.size() == 4) return IpAddress::V4(bytes);
  if (bytes.size() == 16) return IpAddress::V6(bytes);
  return std::nullopt;
}

std::optional<Family> KnownFamily(uint8_t family) {
  if (family == AF_INET) return Family::kV4;
  if (family == AF_INET6) return Family::kV6;
  return std::nullopt;
}

LinkInfo ParseLink(nlmsghdr* message) {
  LinkInfo link;
  const auto* header = static_cast<const ifinfomsg*>(nlmsg_data(message));
  nlattr* attributes[IFLA_MAX + 1] = {};
  nlmsg_parse(message, sizeof(ifinfomsg), attributes, IFLA_MAX, nullptr);
  link.ifindex = header->ifi_index;
  link.up = (header->ifi_flags & IFF_UP) != 0;
  link.running = link.up && (header->ifi_flags & IFF_LOWER_UP) != 0;
  link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
  if (attributes[IFLA_IFNAME] != nullptr) link.name = nla_get_string(attributes[IFLA_IFNAME]);
  if (attributes[IFLA_MTU] != nullptr) link.mtu = Value<uint32_t>(attributes[IFLA_MTU]);
  if (attributes[IFLA_MASTER] != nullptr) link.master = Value<int>(attributes[IFLA_MASTER]);
  if (attributes[IFLA_LINKINFO] != nullptr) {
    nlattr* info[IFLA_INFO_MAX + 1] = {};
    nla_parse_nested(info, IFLA_INFO_MAX, attributes[IFLA_LINKINFO], nullptr);
    if (info[IFLA_INFO_KIND] != nullptr) link.kind = nla_get_string(info[IFLA_INFO_KIND]);
  }
  return link;
}

std::optional<AddressInfo> ParseAddress(nlmsghdr* message) {
  const auto* header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
  nlattr* attributes[IFA_MAX + 1] = {};
  nlmsg_parse(message, sizeof(ifaddrmsg), attributes, IFA_MAX, nullptr);
  // On a point-to-point link IFA_ADDRESS is the peer's.
  const nlattr* own =
      attributes[IFA_LOCAL] != nullptr ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
  const std::optional<IpAddress> address = Address(own);
  if (!address) return std::nullopt;
  uint32_t flags = header->ifa_flags;
  if (attributes[IFA_FLAGS] != nullptr) flags = Value<uint32_t>(attributes[IFA_FLAGS]);
  constexpr uint32_t kUnusable = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
  AddressInfo info;
  info.ifindex = static_cast<int>(header->ifa_index);
  info.address = *address;
  info.prefix_length = header->ifa_prefixlen;
  info.usable = (flags & kUnusable) == 0 && header->ifa_scope == RT_SCOPE_UNIVERSE &&
                !address->IsLinkLocal() && !address->IsLoopback() && !address->IsMulticast();
  return info;
}

void ParseMetrics(nlattr* metrics, NextHop* hop) {
  if (metrics == nullptr) return;
  nlattr* values[RTAX_MAX + 1] = {};
  nla_parse_nested(values, RTAX_MAX, metrics, nullptr);
  if (values[RTAX_MTU] != nullptr) hop->mtu = Value<uint32_t>(values[RTAX_MTU]);
}

// RTA_VIA: an IPv4 route over an IPv6 gateway (RFC 5549). The fwd rule takes no such next hop, so
// the route leads nowhere as far as we are concerned: the same family's gateway or none.
bool HasForeignGateway(nlattr** attributes) { return attributes[RTA_VIA] != nullptr; }

// One entry per interface: the first hop that a multipath route has on it.
void ParseMultipath(nlattr* multipath, NextHop hop, std::vector<NextHop>* routes) {
  auto* next = static_cast<rtnexthop*>(nla_data(multipath));
  int left = nla_len(multipath);
  std::set<int> seen;
  while (RTNH_OK(next, left)) {
    nlattr* attributes[RTA_MAX + 1] = {};
    nla_parse(attributes, RTA_MAX, reinterpret_cast<nlattr*>(RTNH_DATA(next)),
              next->rtnh_len - static_cast<int>(sizeof(rtnexthop)), nullptr);
    if (!HasForeignGateway(attributes) && (next->rtnh_flags & RTNH_F_DEAD) == 0 &&
        seen.insert(next->rtnh_ifindex).second) {
      hop.ifindex = next->rtnh_ifindex;
      hop.gateway = Address(attributes[RTA_GATEWAY]);
      routes->push_back(hop);
    }
    left -= static_cast<int>(RTNH_ALIGN(next->rtnh_len));
    next = RTNH_NEXT(next);
  }
}

void ParseRoute(nlmsghdr* message, std::vector<NextHop>* routes) {
  const auto* header = static_cast<const rtmsg*>(nlmsg_data(message));
  const std::optional<Family> family = KnownFamily(header->rtm_family);
  nlattr* attributes[RTA_MAX + 1] = {};
  nlmsg_parse(message, sizeof(rtmsg), attributes, RTA_MAX, nullptr);
  uint32_t table = header->rtm_table;
  if (attributes[RTA_TABLE] != nullptr) table = Value<uint32_t>(attributes[RTA_TABLE]);
  if (!family || (table != RT_TABLE_MAIN && table != RT_TABLE_DEFAULT)) return;
  // Cached exceptions, and routes for some sources or services only, are not for everybody.
  if ((header->rtm_flags & RTM_F_CLONED) != 0 || header->rtm_src_len != 0 || header->rtm_tos != 0)
    return;
  NextHop hop;
  hop.prefix.family = *family;
  if (const auto prefix = Address(attributes[RTA_DST])) hop.prefix = *prefix;
  hop.prefix_length = header->rtm_dst_len;
  if (attributes[RTA_PRIORITY] != nullptr) hop.metric = Value<uint32_t>(attributes[RTA_PRIORITY]);
  ParseMetrics(attributes[RTA_METRICS], &hop);
  switch (header->rtm_type) {
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT:
      routes->push_back(hop);
      return;
    case RTN_UNICAST:
      break;
    default:
      return;
  }
  if (attributes[RTA_MULTIPATH] != nullptr) {
    ParseMultipath(attributes[RTA_MULTIPATH], hop, routes);
    return;
  }
  if (attributes[RTA_OIF] == nullptr || HasForeignGateway(attributes) ||
      (header->rtm_flags & RTNH_F_DEAD) != 0)
    return;
  hop.ifindex = Value<int>(attributes[RTA_OIF]);
  hop.gateway = Address(attributes[RTA_GATEWAY]);
  routes->push_back(hop);
}

bool IsKernelsOwnRule(nlmsghdr* message) {
  const auto* header = static_cast<const fib_rule_hdr*>(nlmsg_data(message));
  nlattr* attributes[FRA_MAX + 1] = {};
  nlmsg_parse(message, sizeof(fib_rule_hdr), attributes, FRA_MAX, nullptr);
  uint32_t table = header->table;
  if (attributes[FRA_TABLE] != nullptr) table = Value<uint32_t>(attributes[FRA_TABLE]);
  const std::map<uint32_t, uint32_t> kDefaults = {
      {0, RT_TABLE_LOCAL}, {32766, RT_TABLE_MAIN}, {32767, RT_TABLE_DEFAULT}};
  uint32_t priority = 0;
  if (attributes[FRA_PRIORITY] != nullptr) priority = Value<uint32_t>(attributes[FRA_PRIORITY]);
  const auto own = kDefaults.find(priority);
  return own != kDefaults.end() && own->second == table && header->src_len == 0 &&
         header->dst_len == 0 && header->tos == 0 && header->action == FR_ACT_TO_TBL &&
         (header->flags & FIB_RULE_INVERT) == 0 && attributes[FRA_FWMARK] == nullptr &&
         attributes[FRA_IIFNAME] == nullptr && attributes[FRA_OIFNAME] == nullptr;
}

}  // namespace

std::unique_ptr<RouteDump> RouteDump::Open(std::string* error) {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) {
    *error = "cannot read the network's configuration: out of memory";
    return nullptr;
  }
  const int result = nl_connect(socket, NETLINK_ROUTE);
  if (result != 0) {
    *error =
        std::string("cannot read the network's configuration over netlink: ") + nl_geterror(result);
    nl_socket_free(socket);
    return nullptr;
  }
  fcntl(nl_socket_get_fd(socket), F_SETFD, FD_CLOEXEC);
  return std::unique_ptr<RouteDump>(new RouteDump(socket));
}

RouteDump::~RouteDump() { nl_socket_free(socket_); }

bool RouteDump::Links(std::vector<LinkInfo>* links, std::string* error) {
  return Dump<ifinfomsg>(
      socket_, RTM_GETLINK, AF_UNSPEC, [&] { links->clear(); },
      [&](nlmsghdr* message) {
        if (message->nlmsg_type == RTM_NEWLINK) links->push_back(ParseLink(message));
      },
      error);
}

bool RouteDump::Addresses(std::vector<AddressInfo>* addresses, std::string* error) {
  return Dump<ifaddrmsg>(
      socket_, RTM_GETADDR, AF_UNSPEC, [&] { addresses->clear(); },
      [&](nlmsghdr* message) {
        if (message->nlmsg_type != RTM_NEWADDR) return;
        if (const auto address = ParseAddress(message)) addresses->push_back(*address);
      },
      error);
}

bool RouteDump::Routes(std::vector<NextHop>* routes, std::string* error) {
  return Dump<rtmsg>(
      socket_, RTM_GETROUTE, AF_UNSPEC, [&] { routes->clear(); },
      [&](nlmsghdr* message) {
        if (message->nlmsg_type == RTM_NEWROUTE) ParseRoute(message, routes);
      },
      error);
}

bool RouteDump::HasPolicyRules(bool* found, std::string* error) {
  return Dump<fib_rule_hdr>(
      socket_, RTM_GETRULE, AF_UNSPEC, [&] { *found = false; },
      [&](nlmsghdr* message) {
        const auto* header = static_cast<const fib_rule_hdr*>(nlmsg_data(message));
        if (message->nlmsg_type == RTM_NEWRULE && KnownFamily(header->family) &&
            !IsKernelsOwnRule(message))
          *found = true;
      },
      error);
}

std::optional<RouteLookup> RouteDump::Lookup(const IpAddress& remote, const IpAddress* local) {
  nl_msg* request = nlmsg_alloc_simple(RTM_GETROUTE, 0);
  if (request == nullptr) return std::nullopt;
  rtmsg header{};
  header.rtm_family = remote.family == Family::kV4 ? AF_INET : AF_INET6;
  header.rtm_dst_len = static_cast<uint8_t>(remote.size() * 8);
  nlmsg_append(request, &header, sizeof header, NLMSG_ALIGNTO);
  nla_put(request, RTA_DST, static_cast<int>(remote.size()), remote.bytes.data());
  if (local != nullptr)
    nla_put(request, RTA_SRC, static_cast<int>(local->size()), local->bytes.data());
  std::optional<RouteLookup> found;
  const int result = Ask(socket_, request, [&](nlmsghdr* message) {
    const auto* route = static_cast<const rtmsg*>(nlmsg_data(message));
    if (message->nlmsg_type != RTM_NEWROUTE) return;
    if (route->rtm_type != RTN_UNICAST && route->rtm_type != RTN_LOCAL) return;
    nlattr* attributes[RTA_MAX + 1] = {};
    nlmsg_parse(message, sizeof(rtmsg), attributes, RTA_MAX, nullptr);
    if (attributes[RTA_OIF] == nullptr) return;
    found = RouteLookup{Value<int>(attributes[RTA_OIF]), Address(attributes[RTA_PREFSRC])};
  });
  nlmsg_free(request);
  return result == 0 ? found : std::nullopt;
}

}  // namespace mptcptls
