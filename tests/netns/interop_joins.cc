// Further subflows, by whoever opens them, and what a user of the kernel's tools sees of them.
#include <openssl/sha.h>

#include <algorithm>

#include "tests/netns/capture.h"
#include "tests/netns/interop_rows.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

// Every link carries what each end says, to an address of its own: ours, or the kernel's.
std::string JoinByAnnouncement(Interop& interop) {
  TalkOverAllLinks(interop);
  const auto further = static_cast<uint64_t>(interop.options().links - 1);
  if (interop.we_are_client()) {
    interop.RequireCounters({{"MPCapableSYNRX", 1},
                             {"MPCapableACKRX", 1},
                             {"MPJoinSynRx", further},
                             {"MPJoinAckRx", further}});
    // It may announce again before our echo is there.
    interop.RequireCounters({{"AddAddrTx", further}, {"EchoAdd", further}}, false);
  } else {
    interop.RequireCounters({{"MPCapableSYNTX", 1},
                             {"MPCapableSYNACKRX", 1},
                             {"MPJoinSynTx", further},
                             {"MPJoinSynAckRx", further}});
    interop.RequireCounters({{"AddAddr", further}, {"EchoAddTx", further}}, false);
  }
  interop.EndWell();
  return "each link carries, both ways";
}

// Through a router: the second uplink reaches the server's first address.
std::string WeJoinTheFirstAddress(Interop& interop) {
  interop.Talk();
  interop.AwaitSubflows(static_cast<size_t>(interop.options().links));
  interop.AwaitSubflowTraffic();
  const auto further = static_cast<uint64_t>(interop.options().links - 1);
  interop.RequireCounters({{"MPJoinSynRx", further}, {"MPJoinAckRx", further}});
  interop.EndWell();
  return "our uplinks join its first address";
}

std::string KernelJoinsTheFirstAddress(Interop& interop) {
  interop.kernel().Limit(4, 0);
  for (int link = 2; link <= interop.options().links; ++link) {
    interop.kernel().AddEndpoint(interop.Address(interop.kernels(), link) + " dev " +
                                 Lab::Interface(link) + " subflow");
  }
  interop.Talk();
  interop.AwaitSubflows(static_cast<size_t>(interop.options().links));
  interop.AwaitSubflowTraffic();
  const auto further = static_cast<uint64_t>(interop.options().links - 1);
  interop.RequireCounters({{"MPJoinSynTx", further}, {"MPJoinSynAckRx", further}});
  interop.EndWell();
  return "its subflow endpoints join our first address";
}

// Both of its addresses to both of ours.
std::string KernelMeshes(Interop& interop) {
  for (const int link : {1, 2}) {
    interop.kernel().AddEndpoint(interop.Address(interop.kernels(), link) + " dev " +
                                 Lab::Interface(link) + " subflow fullmesh");
  }
  interop.Talk();
  interop.AwaitSubflows(4);
  interop.AwaitSubflowTraffic();
  interop.RequireCounters({{"MPJoinSynTx", 3}, {"MPJoinSynAckRx", 3}});
  interop.EndWell();
  return "2 x 2 subflows carry";
}

// The first subflow is of one family; the other link is joined in the other one.
std::string BothFamilies(Interop& interop) {
  const Lab& lab = interop.lab();
  const bool v4 = interop.options().family == Family::kV4;
  const Family second = v4 ? Family::kV6 : Family::kV4;
  if (interop.we_are_client()) {
    interop.kernel().AddEndpoint(lab.Address(interop.kernels(), 2, second) + " dev l2 signal");
  }
  interop.Talk({.listen = "::"});
  const auto over = [&](const std::string& address) {
    const auto connection = interop.OurConnection();
    return connection && std::ranges::any_of(connection->subflows, [&](const SubflowStatus& s) {
             return s.state == "ESTAB" && s.local.starts_with(address);
           });
  };
  // As the engine writes an endpoint.
  const auto text = [](const std::string& address, bool ipv4) {
    return ipv4 ? address + ":" : "[" + address + "]:";
  };
  const std::string first = text(interop.Address(interop.ours(), 1), v4);
  const std::string other = text(lab.Address(interop.ours(), 2, second), !v4);
  interop.RequireEventually([&] { return over(first) && over(other); },
                            "no subflow in each family");
  interop.NoteSubflows(interop.OurSubflows());
  interop.AwaitSubflowTraffic();
  interop.RequireCounters({{interop.we_are_client() ? "MPJoinAckRx" : "MPJoinSynAckRx", 1}}, false);
  interop.EndWell();
  return "subflows of both families carry";
}

// RFC 8684 3.2: a token is the most significant 32 bits of SHA-256(key).
uint32_t TokenOf(const uint8_t* key) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(key, 8, digest);
  return uint32_t{digest[0]} << 24 | uint32_t{digest[1]} << 16 | uint32_t{digest[2]} << 8 |
         digest[3];
}

// The token that belongs to the key which the kernel showed in its MP_CAPABLE: the first one in a
// SYN/ACK (it is the server) or in a third ACK. 0 without one.
uint32_t TokenOfKernelsKey(const std::vector<TracedPacket>& packets, bool kernel_serves) {
  for (const TracedPacket& packet : packets) {
    const MptcpOption* capable = packet.Find(kMpCapable);
    if (capable == nullptr || !packet.ack || packet.syn != kernel_serves) continue;
    if (capable->bytes.size() < 10) continue;
    return TokenOf(capable->bytes.data() + 2);
  }
  return 0;
}

std::string UsersOfTheKernelSee(Interop& interop) {
  Capture capture(interop.lab().client(), "l1", interop.lab().folder() + "/l1.pcap",
                  "tcp port " + std::to_string(kTalkPort), 160);
  TalkOverAllLinks(interop);
  const auto connections = interop.kernel().Connections();
  interop.Require(connections.size() == 1 && connections[0].state == "ESTAB" &&
                      connections[0].subflows == 1 && !connections[0].fallback,
                  "ss -M shows no connection of two subflows");
  interop.EndWell();
  capture.Stop();
  const uint32_t token = TokenOfKernelsKey(ReadTrace(capture.file()), interop.we_are_client());
  interop.Require(token != 0 && std::stoul(connections[0].token, nullptr, 16) == token,
                  "ss -M shows another token than that of the key on the wire");
  std::vector<std::string> wanted = {"CREATED", "ESTABLISHED", "SF_ESTABLISHED", "CLOSED"};
  if (!interop.we_are_client()) wanted.insert(wanted.end() - 2, "ANNOUNCED");
  std::vector<std::string> seen;
  interop.RequireEventually(
      [&] {
        seen.clear();
        for (const KernelEvent& event : interop.kernel().Events()) {
          const auto field = event.fields.find("token");
          if (field == event.fields.end()) continue;
          if (std::stoul(field->second, nullptr, 16) != token) return false;
          // The end of a subflow is told or not, as the connection's end comes first or not.
          if (event.name != "SF_CLOSED") seen.push_back(event.name);
        }
        return seen == wanted;
      },
      "ip mptcp monitor does not show what happened, under its token");
  return "established, joined, closed, right token";
}

}  // namespace

void TalkOverAllLinks(Interop& interop, const std::string& flags, const TalkOptions& options) {
  const int links = interop.options().links;
  for (int link = 2; interop.we_are_client() && link <= links; ++link) {
    interop.kernel().AddEndpoint(interop.Address(interop.kernels(), link) + " dev " +
                                 Lab::Interface(link) + " signal" + flags);
  }
  interop.Talk(options);
  interop.AwaitSubflows(static_cast<size_t>(links));
  interop.AwaitSubflowTraffic();
}

std::vector<InteropRow> JoinRows() {
  std::vector<InteropRow> rows;
  const auto add = [&](const std::string& name, Role we, Family family, int links, Middle middle,
                       auto run) {
    rows.push_back({name, {.we = we, .family = family, .links = links, .middle = middle}, run});
  };
  constexpr Role kC = Role::kClient, kS = Role::kServer;
  constexpr Family k4 = Family::kV4, k6 = Family::kV6;
  add("kernel announces, we join", kC, k4, 2, Middle::kBridge, JoinByAnnouncement);
  add("kernel announces, we join", kC, k6, 2, Middle::kBridge, JoinByAnnouncement);
  add("kernel announces two, we join", kC, k4, 3, Middle::kBridge, JoinByAnnouncement);
  add("we announce, kernel joins", kS, k4, 2, Middle::kBridge, JoinByAnnouncement);
  add("we announce, kernel joins", kS, k6, 2, Middle::kBridge, JoinByAnnouncement);
  add("we announce two, kernel joins", kS, k4, 3, Middle::kBridge, JoinByAnnouncement);
  add("we join by ourselves", kC, k4, 2, Middle::kRouter, WeJoinTheFirstAddress);
  add("we join by ourselves", kC, k6, 3, Middle::kRouter, WeJoinTheFirstAddress);
  add("kernel's subflow endpoint", kS, k4, 2, Middle::kRouter, KernelJoinsTheFirstAddress);
  add("kernel's subflow endpoints", kS, k6, 3, Middle::kRouter, KernelJoinsTheFirstAddress);
  add("kernel's full mesh", kS, k4, 2, Middle::kRouter, KernelMeshes);
  rows.push_back(
      {"joined over IPv6", {.we = kC, .family = k4, .both_families = true}, BothFamilies});
  // An IPv4 socket of the kernel joins no IPv6 address, one of IPv6 joins both.
  for (const Role we : {kC, kS}) {
    rows.push_back(
        {"joined over IPv4", {.we = we, .family = k6, .both_families = true}, BothFamilies});
  }
  add("ip mptcp monitor, ss -M", kC, k4, 2, Middle::kBridge, UsersOfTheKernelSee);
  add("ip mptcp monitor, ss -M", kS, k4, 2, Middle::kBridge, UsersOfTheKernelSee);
  return rows;
}

}  // namespace mptcptls::lab
