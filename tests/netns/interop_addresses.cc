// Addresses that come with a port of their own, that go, and that must not be joined.
#include <algorithm>

#include "tests/netns/capture.h"
#include "tests/netns/interop_rows.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

constexpr size_t kAddAddrWithPort4 = 18, kAddAddrWithPort6 = 30;

std::string KernelAnnouncesAPort(Interop& interop) {
  // With them an IPv6 address and a port have no room, and the kernel says nothing (AddAddrTxDrop).
  if (interop.options().family == Family::kV6) {
    interop.kernels().SetSysctl("net.ipv4.tcp_timestamps", "0");
  }
  TalkOverAllLinks(interop, " port 9000");
  const auto connection = interop.OurConnection();
  interop.Require(connection && std::ranges::any_of(connection->subflows,
                                                    [](const SubflowStatus& s) {
                                                      return s.remote.ends_with(":9000");
                                                    }),
                  "no subflow goes to port 9000");
  interop.RequireCounters({{"MPJoinPortSynRx", 1}, {"MPJoinPortAckRx", 1}});
  interop.RequireCounters({{"AddAddrTx", 1}, {"EchoAdd", 1}}, false);
  interop.EndWell();
  return "we join port 9000";
}

// A listener on one address: its port on another address may be somebody else's.
std::string WeAnnounceAPort(Interop& interop) {
  Capture capture(interop.lab().client(), "l1", interop.lab().folder() + "/l1.pcap",
                  "tcp port " + std::to_string(kTalkPort), 160);
  TalkOverAllLinks(interop, "", {.listen = interop.Address(interop.ours(), 1)});
  interop.RequireCounters({{"MPJoinSynAckRx", 1}});
  interop.RequireCounters({{"AddAddr", 1}, {"PortAdd", 1}, {"EchoAddTx", 1}}, false);
  interop.EndWell();
  capture.Stop();
  const bool v6 = interop.options().family == Family::kV6;
  bool seen = false;
  for (const TracedPacket& packet : ReadTrace(capture.file())) {
    const MptcpOption* add = packet.Find(kAddAddr);
    if (add == nullptr || packet.source_port != kTalkPort) continue;
    seen = true;
    interop.Require(packet.payload == 0, "an ADD_ADDR with data");
    interop.Require(add->length() == (v6 ? kAddAddrWithPort6 : kAddAddrWithPort4),
                    "an ADD_ADDR of " + std::to_string(add->length()) + " bytes");
  }
  interop.Require(seen, "no ADD_ADDR on link 1");
  return v6 ? "30 bytes on a pure ACK; it joins our port" : "it joins our port";
}

// The peer or we take an address back: what is left carries on.
void AwaitTheFirstAlone(Interop& interop) {
  interop.AwaitSubflows(1);
  interop.AwaitTraffic(1);
  interop.EndWell();
}

bool HasEvent(Interop& interop, const std::string& name) {
  return std::ranges::any_of(interop.kernel().Events(),
                             [&](const KernelEvent& event) { return event.name == name; });
}

std::string KernelTakesBack(Interop& interop) {
  if (!interop.we_are_client()) {
    interop.kernel().Limit(4, 0);
    interop.kernel().AddEndpoint(interop.Address(interop.kernels(), 2) + " dev l2 subflow");
  }
  TalkOverAllLinks(interop);
  // Whoever ends the subflow first names the reason in its RST.
  interop.Allow({"MPRstTx", "MPRstRx"});
  interop.kernel().DeleteEndpoint(interop.Address(interop.kernels(), 2));
  interop.RequireCounters({{"RmAddrTx", 1}});
  interop.RequireEventually([&] { return HasEvent(interop, "SF_CLOSED"); },
                            "ip mptcp monitor shows no subflow closed");
  AwaitTheFirstAlone(interop);
  return "subflow ends, the other carries on";
}

std::string WeTakeBack(Interop& interop) {
  TalkOverAllLinks(interop);
  interop.Allow({"MPRstTx"});
  interop.OtherEndIsGone();
  interop.ours().Run("ip addr del " + interop.Address(interop.ours(), 2) +
                     (interop.options().family == Family::kV4 ? "/24" : "/64") + " dev l2");
  interop.RequireCounters({{"RmAddr", 1}});
  AwaitTheFirstAlone(interop);
  return "it drops the subflow, the other carries on";
}

// Flag C (RFC 8684 3.1): the server may not be reached at its first address, as behind a load
// balancer; our second uplink could, and must not try.
std::string FirstAddressForbidden(Interop& interop) {
  interop.kernels().SetSysctl("net.mptcp.allow_join_initial_addr_port", "0");
  TalkOverAllLinks(interop);
  const auto connection = interop.OurConnection();
  const std::string first = interop.Address(interop.kernels(), 1);
  interop.Require(connection && 1 == std::ranges::count_if(connection->subflows,
                                                           [&](const SubflowStatus& s) {
                                                             return s.remote.starts_with(first);
                                                           }),
                  "a further subflow to the first address");
  interop.RequireCounters({{"MPJoinSynRx", 1}, {"MPJoinAckRx", 1}});
  interop.EndWell();
  return "we join the announced address only";
}

// The kernel's client says so as well; we open nothing towards it anyway.
std::string ClientsFirstAddressForbidden(Interop& interop) {
  interop.kernels().SetSysctl("net.mptcp.allow_join_initial_addr_port", "0");
  TalkOverAllLinks(interop);
  interop.RequireCounters({{"MPCapableSYNACKRX", 1}, {"MPJoinSynAckRx", 1}});
  interop.EndWell();
  return "no matter for us";
}

}  // namespace

std::vector<InteropRow> AddressRows() {
  std::vector<InteropRow> rows;
  const auto add = [&](const std::string& name, Role we, Family family, Middle middle, auto run) {
    rows.push_back({name, {.we = we, .family = family, .middle = middle}, run});
  };
  constexpr Role kC = Role::kClient, kS = Role::kServer;
  constexpr Family k4 = Family::kV4, k6 = Family::kV6;
  add("kernel announces a port", kC, k4, Middle::kBridge, KernelAnnouncesAPort);
  add("kernel announces a port", kC, k6, Middle::kBridge, KernelAnnouncesAPort);
  add("we announce a port", kS, k4, Middle::kBridge, WeAnnounceAPort);
  add("we announce a port", kS, k6, Middle::kBridge, WeAnnounceAPort);
  add("kernel takes its address back", kC, k4, Middle::kBridge, KernelTakesBack);
  add("kernel takes its address back", kC, k6, Middle::kBridge, KernelTakesBack);
  add("kernel takes its address back", kS, k4, Middle::kRouter, KernelTakesBack);
  add("we lose our address", kC, k4, Middle::kBridge, WeTakeBack);
  add("we lose our address", kS, k4, Middle::kBridge, WeTakeBack);
  add("we lose our address", kS, k6, Middle::kBridge, WeTakeBack);
  add("flag C of the kernel", kC, k4, Middle::kRouter, FirstAddressForbidden);
  add("flag C of the kernel", kS, k4, Middle::kBridge, ClientsFirstAddressForbidden);
  return rows;
}

}  // namespace mptcptls::lab
