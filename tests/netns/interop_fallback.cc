// A middlebox takes MPTCP's options away, or the kernel's program asks for none: plain TCP, with
// every byte there.
#include "tests/netns/interop_rows.h"

namespace mptcptls::lab {
namespace {

// What is stripped of option 30, by nftables on the bridge of link 1.
constexpr char kSyn[] = "tcp flags & (syn | ack) == syn";
constexpr char kSynAck[] = "tcp flags & (syn | ack) == (syn | ack)";
constexpr char kAllButSyns[] = "tcp flags & syn == 0";
// The first that has ACK and no SYN and comes from the client: no more than one an hour.
constexpr char kThirdAck[] =
    "iifname c1 tcp flags & (syn | ack) == ack limit rate 1/hour burst 1 packets";

void Strip(Interop& interop, const std::string& which) {
  interop.lab().wire().Run(
      "nft 'table bridge strip { chain middle { type filter hook forward "
      "priority 0; " +
      which + " counter reset tcp option mptcp; }; }'");
}

// Bytes both ways over link 1, plain TCP for both ends, and nothing on link 2.
std::string ExpectTcp(Interop& interop, const TalkOptions& options = {}) {
  if (interop.we_are_client()) {
    interop.kernel().AddEndpoint(interop.Address(interop.kernels(), 2) + " dev l2 signal");
  }
  interop.Talk(options);
  interop.AwaitTraffic(1, 2 << 20);
  const auto connection = interop.OurConnection();
  interop.Require(connection && connection->mode == "tcp", "we take it for more than TCP");
  interop.Require(interop.OurSubflows() == 1, "there are further subflows");
  for (const KernelConnection& known : interop.kernel().Connections()) {
    interop.Require(known.fallback && known.subflows == 0, "the kernel takes it for MPTCP");
  }
  interop.EndWell();
  return "plain TCP, all bytes both ways";
}

std::string StripFromSyn(Interop& interop) {
  Strip(interop, kSyn);
  interop.Allow({"MPCapableFallbackSYNACK"});
  const std::string outcome = ExpectTcp(interop);
  interop.Require(interop.kernel().Counter("MPCapableSYNRX") == 0, "the option came through");
  if (!interop.we_are_client()) interop.RequireCounters({{"MPCapableFallbackSYNACK", 1}});
  return outcome;
}

std::string StripFromSynAck(Interop& interop) {
  Strip(interop, kSynAck);
  interop.Allow({"MPCapableFallbackSYNACK", "MPCapableFallbackACK"});
  const std::string outcome = ExpectTcp(interop);
  interop.RequireCounters(
      {{interop.we_are_client() ? "MPCapableFallbackACK" : "MPCapableFallbackSYNACK", 1}});
  return outcome;
}

std::string StripFromThirdAck(Interop& interop) {
  Strip(interop, kThirdAck);
  interop.Allow({"MPCapableFallbackACK", "MPCapableDataFallback", "DssFallback", "InfiniteMapRx"});
  const std::string outcome = ExpectTcp(interop);
  interop.RequireCounters(
      {{interop.we_are_client() ? "MPCapableFallbackACK" : "MPCapableDataFallback", 1}});
  return outcome;
}

std::string StripFromData(Interop& interop) {
  Strip(interop, kAllButSyns);
  interop.Allow({"MPCapableFallbackACK", "MPCapableDataFallback", "DssFallback"});
  const std::string outcome = ExpectTcp(interop);
  interop.RequireCounters(
      {{interop.we_are_client() ? "MPCapableFallbackACK" : "MPCapableDataFallback", 1}});
  return outcome;
}

std::string KernelSpeaksTcp(Interop& interop) {
  interop.kernels().SetSysctl("net.mptcp.enabled", "0");
  return ExpectTcp(interop, {.kernel_plain = true});
}

}  // namespace

std::vector<InteropRow> FallbackRows() {
  std::vector<InteropRow> rows;
  for (const Role we : {Role::kClient, Role::kServer}) {
    rows.push_back({"option stripped from the SYN", {.we = we}, StripFromSyn});
    rows.push_back({"option stripped from the SYN/ACK", {.we = we}, StripFromSynAck});
    rows.push_back({"option stripped from the third ACK", {.we = we}, StripFromThirdAck});
    rows.push_back({"option stripped from all but SYNs", {.we = we}, StripFromData});
    rows.push_back({"kernel without MPTCP", {.we = we}, KernelSpeaksTcp});
  }
  return rows;
}

}  // namespace mptcptls::lab
