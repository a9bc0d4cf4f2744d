#include "tun/steering.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tun/nft.h"
#include "tun/route_intervals.h"

namespace mptcptls {
namespace {

// After every filter that the host itself has at ingress, so that what it drops stays dropped.
constexpr int kReceivePriority = 2000000000;
// Any address will do: the TUN device asks no neighbour. Documentation and link-local ones are
// never the host's own (RFC 5737, RFC 4291 2.5.6).
constexpr char kTunNextHop4[] = "192.0.2.1";
constexpr char kTunNextHop6[] = "fe80::99";

struct State {
  std::vector<UplinkAddress> uplinks;
  std::vector<NextHop> next_hops;
  std::vector<PortRange> source_ports;
  std::vector<SteeredListener> listeners;
  std::set<FourTuple> spared;
  std::set<FourTuple> taken;
};

auto Essence(const UplinkAddress& u) { return std::tuple(u.ifindex, u.ifname, u.address); }
auto Essence(const NextHop& h) {
  return std::tuple(h.ifindex, h.prefix, h.prefix_length, h.gateway, h.metric);
}

template <typename T>
bool SameEssence(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const T& x, const T& y) { return Essence(x) == Essence(y); });
}

const char* Name(Family family) { return family == Family::kV4 ? "ip" : "ip6"; }
const char* AddressType(Family family) { return family == Family::kV4 ? "ipv4_addr" : "ipv6_addr"; }
char Digit(Family family) { return family == Family::kV4 ? '4' : '6'; }

using Elements = std::set<std::string>;

std::string Joined(const Elements& elements) {
  std::string text;
  for (const std::string& element : elements)
    absl::StrAppend(&text, text.empty() ? "" : ", ", element);
  return text;
}

Elements Without(const Elements& all, const Elements& some) {
  Elements rest;
  std::ranges::set_difference(all, some, std::inserter(rest, rest.end()));
  return rest;
}

std::string RangeText(uint32_t first, uint32_t last) {
  return first == last ? absl::StrCat(first) : absl::StrCat(first, "-", last);
}

// Disjoint ranges of all ports in `ports`, so that the kernel never sees an overlap.
Elements Merged(std::vector<PortRange> ports) {
  std::sort(ports.begin(), ports.end());
  Elements merged;
  for (size_t i = 0; i < ports.size();) {
    uint32_t last = ports[i].last;
    size_t next = i + 1;
    while (next < ports.size() && ports[next].first <= last + 1) {
      last = std::max<uint32_t>(last, ports[next].last);
      ++next;
    }
    merged.insert(RangeText(ports[i].first, last));
    i = next;
  }
  return merged;
}

// As a packet to it has them: source first.
std::string ConnectionText(const FourTuple& connection) {
  const auto& [local, remote] = connection;
  return absl::StrCat(remote.address.ToString(), " . ", remote.port, " . ",
                      local.address.ToString(), " . ", local.port);
}

// The sets that hold ports: all that changes when the engine reserves a block or a program listens.
//   taken4/taken6: ports taken on every uplink address: source ports and wildcard listeners
//   listen4/listen6: address and port of listeners bound to one address
//   single4/single6: connections of ports where another program listens, or nobody
//   quoted4/quoted6: ports that an ICMP error may quote as ours (those of the former two)
using PortSets = std::map<std::string, Elements>;

PortSets MakePortSets(const State& state) {
  PortSets sets;
  for (Family family : {Family::kV4, Family::kV6}) {
    std::vector<PortRange> taken = state.source_ports;
    std::vector<PortRange> quoted = state.source_ports;
    Elements& bound = sets[absl::StrCat("listen", std::string(1, Digit(family)))];
    for (const SteeredListener& listener : state.listeners) {
      if (listener.address.family != family) continue;
      const PortRange port{listener.port, listener.port};
      if (listener.address.IsUnspecified()) {
        taken.push_back(port);
        quoted.push_back(port);
        continue;
      }
      // An answer could not be sent from an address that no uplink has.
      const bool ours = std::any_of(state.uplinks.begin(), state.uplinks.end(),
                                    [&](const auto& u) { return u.address == listener.address; });
      if (!ours) continue;
      bound.insert(absl::StrCat(listener.address.ToString(), " . ", listener.port));
      quoted.push_back(port);
    }
    Elements& single = sets[absl::StrCat("single", std::string(1, Digit(family)))];
    for (const FourTuple& connection : state.taken) {
      if (connection.local.address.family != family) continue;
      single.insert(ConnectionText(connection));
    }
    sets[absl::StrCat("taken", std::string(1, Digit(family)))] = Merged(std::move(taken));
    sets[absl::StrCat("quoted", std::string(1, Digit(family)))] = Merged(std::move(quoted));
  }
  return sets;
}

std::string SetType(const std::string& name) {
  const Family family = name.back() == '4' ? Family::kV4 : Family::kV6;
  if (name.rfind("listen", 0) == 0)
    return absl::StrCat("type ", AddressType(family), " . inet_service;");
  if (name.rfind("single", 0) == 0)
    return absl::StrCat("type ", AddressType(family), " . inet_service . ", AddressType(family),
                        " . inet_service;");
  if (name.rfind("quoted", 0) == 0)
    return absl::StrCat("typeof @th,", family == Family::kV4 ? 224 : 384, ",16; flags interval;");
  return "type inet_service; flags interval;";
}

void AppendElements(std::string* text, const Elements& elements) {
  if (!elements.empty()) absl::StrAppend(text, " elements = { ", Joined(elements), " }\n");
}

// The ruleset as text; one object per table build.
class TableText {
 public:
  TableText(const std::string& table, const std::string& tun, const State& state)
      : table_(table), tun_(tun), state_(state) {}

  std::string Build() {
    for (const auto& [name, elements] : MakePortSets(state_)) {
      absl::StrAppend(&text_, "set ", name, " { ", SetType(name));
      AppendElements(&text_, elements);
      absl::StrAppend(&text_, "}\n");
    }
    AddressSet(Family::kV4);
    AddressSet(Family::kV6);
    std::set<std::pair<int, Family>> done;
    for (const UplinkAddress& uplink : state_.uplinks) {
      if (done.emplace(uplink.ifindex, uplink.address.family).second) NextHopSets(uplink);
    }
    Transmit();
    if (!state_.uplinks.empty()) Receive();
    return absl::StrCat("table netdev ", table_, " {\nflags owner\ncounter strays { }\n", text_,
                        "}\n");
  }

 private:
  void AddressSet(Family family) {
    Elements addresses;
    for (const UplinkAddress& uplink : state_.uplinks) {
      if (uplink.address.family == family) addresses.insert(uplink.address.ToString());
    }
    absl::StrAppend(&text_, "set address", std::string(1, Digit(family)), " { type ",
                    AddressType(family), ";");
    AppendElements(&text_, addresses);
    absl::StrAppend(&text_, "}\n");
  }

  static std::string Suffix(const UplinkAddress& uplink) {
    return absl::StrCat(std::string(1, Digit(uplink.address.family)), "_", uplink.ifindex);
  }

  void NextHopSets(const UplinkAddress& uplink) {
    const Family family = uplink.address.family;
    Elements onlink, gateways;
    for (const RouteInterval& i : FlattenRoutes(state_.next_hops, uplink.ifindex, family)) {
      std::string range = i.first.ToString();
      if (i.first != i.last) absl::StrAppend(&range, "-", i.last.ToString());
      if (i.gateway)
        gateways.insert(absl::StrCat(range, " : ", i.gateway->ToString()));
      else
        onlink.insert(range);
    }
    const char* type = AddressType(family);
    absl::StrAppend(&text_, "set onlink", Suffix(uplink), " { type ", type, "; flags interval;");
    AppendElements(&text_, onlink);
    absl::StrAppend(&text_, "}\nmap gateway", Suffix(uplink), " { type ", type, " : ", type,
                    "; flags interval;");
    AppendElements(&text_, gateways);
    absl::StrAppend(&text_, "}\n");
  }

  // What the engine wrote leaves by the uplink whose address it carries. All else is dropped: the
  // host neither takes in nor forwards a packet that came out of the TUN device.
  void Transmit() {
    absl::StrAppend(&text_, "chain transmit { type filter hook ingress device \"", tun_,
                    "\" priority 0; policy drop;\n");
    Elements seen;
    for (const UplinkAddress& uplink : state_.uplinks) {
      const std::string address = uplink.address.ToString();
      if (!seen.insert(address).second) continue;
      const char* ip = Name(uplink.address.family);
      const std::string from = absl::StrCat(ip, " saddr ", address, " ");
      const std::string device = absl::StrCat(" device \"", uplink.ifname, "\"\n");
      absl::StrAppend(&text_, from, ip, " daddr @onlink", Suffix(uplink), " fwd ", ip, " to ", ip,
                      " daddr", device);
      absl::StrAppend(&text_, from, "fwd ", ip, " to ", ip, " daddr map @gateway", Suffix(uplink),
                      device);
    }
    absl::StrAppend(&text_, "counter name strays drop\n}\n");
  }

  void Receive() {
    Elements devices;
    for (const UplinkAddress& uplink : state_.uplinks)
      devices.insert(absl::StrCat("\"", uplink.ifname, "\""));
    absl::StrAppend(&text_, "chain receive { type filter hook ingress devices = { ",
                    Joined(devices), " } priority ", kReceivePriority, "; policy accept;\n");
    const std::string into4 = absl::StrCat(" fwd ip to ", kTunNextHop4, " device \"", tun_, "\"\n");
    const std::string into6 =
        absl::StrCat(" fwd ip6 to ", kTunNextHop6, " device \"", tun_, "\"\n");
    Spare(Family::kV4);
    Spare(Family::kV6);
    absl::StrAppend(&text_, "ip daddr @address4 tcp dport @taken4", into4);
    absl::StrAppend(&text_, "ip daddr . tcp dport @listen4", into4);
    absl::StrAppend(&text_, "ip6 daddr @address6 tcp dport @taken6", into6);
    absl::StrAppend(&text_, "ip6 daddr . tcp dport @listen6", into6);
    absl::StrAppend(&text_, "ip saddr . tcp sport . ip daddr . tcp dport @single4", into4);
    absl::StrAppend(&text_, "ip6 saddr . tcp sport . ip6 daddr . tcp dport @single6", into6);
    // ICMP errors quote our packet: its protocol and source port, behind the 8 bytes of the ICMP
    // header and an IP header without options (we send none).
    absl::StrAppend(&text_,
                    "ip daddr @address4 icmp type { destination-unreachable, time-exceeded } ",
                    "@th,136,8 6 @th,224,16 @quoted4", into4);
    absl::StrAppend(&text_, "ip6 daddr @address6 icmpv6 type ",
                    "{ destination-unreachable, packet-too-big, time-exceeded } ",
                    "@th,112,8 6 @th,384,16 @quoted6", into6);
    absl::StrAppend(&text_, "}\n");
  }

  void Spare(Family family) {
    Elements spared;
    for (const FourTuple& connection : state_.spared) {
      if (connection.local.address.family == family) spared.insert(ConnectionText(connection));
    }
    if (spared.empty()) return;
    const char* ip = Name(family);
    absl::StrAppend(&text_, ip, " saddr . tcp sport . ", ip, " daddr . tcp dport { ",
                    Joined(spared), " } accept\n");
  }

  const std::string& table_;
  const std::string& tun_;
  const State& state_;
  std::string text_;
};

class NftSteering : public Steering {
 public:
  NftSteering(std::unique_ptr<Nft> nft, const std::string& tun_name)
      : nft_(std::move(nft)), tun_name_(tun_name), table_(absl::StrCat("mptcptls_", getpid())) {}

  // A table that takes every packet out of the TUN device and drops it: proves that the kernel has
  // what we need, and lets nothing slip through before the first Apply().
  bool Install(std::string* error) { return Rebuild(state_, error); }

  bool Apply(const std::vector<UplinkAddress>& uplinks, const std::vector<NextHop>& next_hops,
             const std::vector<PortRange>& source_ports,
             const std::vector<SteeredListener>& listeners, std::string* error) override {
    State wanted{uplinks, next_hops, source_ports, listeners, spared_, taken_};
    const bool same_rules = !stale_ && SameEssence(uplinks, state_.uplinks) &&
                            SameEssence(next_hops, state_.next_hops) && spared_ == state_.spared;
    if (same_rules ? !UpdatePorts(wanted, error) : !Rebuild(wanted, error)) return false;
    state_ = std::move(wanted);
    return true;
  }

  void Spare(std::set<FourTuple> connections) override { spared_ = std::move(connections); }
  void Take(std::set<FourTuple> connections) override { taken_ = std::move(connections); }

  std::vector<std::string> Describe() const override;

 private:
  bool Rebuild(const State& wanted, std::string* error) {
    std::string script;
    // `add` first: a delete of what is not there would fail the whole transaction.
    if (installed_) absl::StrAppend(&script, "delete table netdev ", table_, "\n");
    absl::StrAppend(&script, TableText(table_, tun_name_, wanted).Build());
    if (!nft_->Run(script, error)) {
      stale_ = true;  // the old state stands; the next Apply() tries again
      return false;
    }
    installed_ = true;
    stale_ = false;
    return true;
  }

  bool UpdatePorts(const State& wanted, std::string* error) {
    const PortSets before = MakePortSets(state_);
    std::string script;
    for (const auto& [name, elements] : MakePortSets(wanted)) {
      const Elements& old = before.at(name);
      if (elements == old) continue;
      // Intervals may be joined or split; single connections, which may be many, only go.
      if (name.rfind("single", 0) != 0) {
        absl::StrAppend(&script, "flush set netdev ", table_, " ", name, "\n");
        ChangeElements(&script, "add", name, elements);
      } else {
        ChangeElements(&script, "delete", name, Without(old, elements));
        ChangeElements(&script, "add", name, Without(elements, old));
      }
    }
    if (script.empty() || nft_->Run(script, error)) return true;
    stale_ = true;  // whatever became of it, the next Apply() builds all of it anew
    return false;
  }

  void ChangeElements(std::string* script, const char* verb, const std::string& set,
                      const Elements& elements) const {
    if (elements.empty()) return;
    absl::StrAppend(script, verb, " element netdev ", table_, " ", set, " { ", Joined(elements),
                    " }\n");
  }

  std::unique_ptr<Nft> nft_;
  std::string tun_name_;
  std::string table_;
  State state_;
  std::set<FourTuple> spared_, taken_;  // from the next Apply() on
  bool installed_ = false;
  bool stale_ = false;  // the last change failed
};

std::vector<std::string> NftSteering::Describe() const {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat("nftables table netdev ", table_, " (vanishes with this process)"));
  for (const UplinkAddress& uplink : state_.uplinks)
    lines.push_back(
        absl::StrCat("  ", uplink.ifname, " ", uplink.address.ToString(), " <-> ", tun_name_));
  for (const PortRange& range : state_.source_ports)
    lines.push_back(absl::StrCat("  source ports ", RangeText(range.first, range.last)));
  for (const SteeredListener& listener : state_.listeners)
    lines.push_back(
        absl::StrCat("  listener ", Endpoint{listener.address, listener.port}.ToString()));
  if (!state_.taken.empty())
    lines.push_back(
        absl::StrCat("  connections that outlive their listener: ", state_.taken.size()));
  std::string text, error;
  if (nft_->Query(absl::StrCat("list counter netdev ", table_, " strays"), &text, &error)) {
    const size_t at = text.find("packets ");
    if (at != std::string::npos)
      lines.push_back(absl::StrCat("  packets out of ", tun_name_, " that no rule took, dropped: ",
                                   text.substr(at + 8, text.find(' ', at + 8) - at - 8)));
  }
  return lines;
}

}  // namespace

std::unique_ptr<Steering> Steering::Open(int /*tun_ifindex*/, const std::string& tun_name,
                                         std::string* error) {
  std::unique_ptr<Nft> nft = Nft::Open(error);
  if (nft == nullptr) return nullptr;
  auto steering = std::make_unique<NftSteering>(std::move(nft), tun_name);
  if (!steering->Install(error)) return nullptr;
  return steering;
}

}  // namespace mptcptls
