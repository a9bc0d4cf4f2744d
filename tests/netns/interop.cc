#include "tests/netns/interop.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

using nlohmann::json;

// Counters of the kernel that stay 0 between two ends that work over paths that do.
const std::set<std::string>& ErrorCounters() {
  static const std::set<std::string> kNames = {"AddAddrDrop",
                                               "AddAddrTxDrop",
                                               "Blackhole",
                                               "DSSCorruptionFallback",
                                               "DSSCorruptionReset",
                                               "DSSNoMatchTCP",
                                               "DSSNotMatching",
                                               "DataCsumErr",
                                               "DssFallback",
                                               "EchoAddTxDrop",
                                               "FallbackFailed",
                                               "InfiniteMapRx",
                                               "InfiniteMapTx",
                                               "MPCapableDataFallback",
                                               "MPCapableFallbackACK",
                                               "MPCapableFallbackSYNACK",
                                               "MPCapableSYNTXDisabled",
                                               "MPCapableSYNTXDrop",
                                               "MPFailRx",
                                               "MPFailTx",
                                               "MPFallbackTokenInit",
                                               "MPFastcloseRx",
                                               "MPFastcloseTx",
                                               "MPJoinAckHMacFailure",
                                               "MPJoinNoTokenFound",
                                               "MPJoinRejected",
                                               "MPJoinSynAckHMacFailure",
                                               "MPJoinSynTxBindErr",
                                               "MPJoinSynTxConnectErr",
                                               "MPJoinSynTxCreatSkErr",
                                               "MPRstRx",
                                               "MPRstTx",
                                               "MismatchPortAckRx",
                                               "MismatchPortSynRx",
                                               "RmAddrDrop",
                                               "RmAddrTxDrop",
                                               "SubflowStale"};
  return kNames;
}

// Per cent of the other's bytes: so much is on a path that carries acknowledgements alone.
constexpr uint64_t kIdleShare = 4;
constexpr std::chrono::seconds kEndPatience{40};

std::string TalkerProgram() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "talker";
}

bool Says(const Child& talker, const std::string& word) {
  return talker.out().find(word) != std::string::npos;
}

std::string ToText(const std::map<std::string, uint64_t>& counters) {
  std::string text;
  for (const auto& [name, value] : counters) text += " " + name + "=" + std::to_string(value);
  return text;
}

}  // namespace

Interop::Interop(const InteropOptions& options)
    : options_(options),
      lab_({.links = options.links, .middle = options.middle, .kernel_mptcp = true}),
      kernel_(options.we == Role::kClient ? lab_.server() : lab_.client()) {
  // What the kernel can do there is not ours.
  ours().SetSysctl("net.mptcp.enabled", "0");
  for (int link = 1; link <= options.links; ++link) {
    if (options.mbit > 0) lab_.Shape(link, options.mbit);
    if (options.both_families) continue;
    // Addresses of the other family would be announced and joined as well.
    for (const Host* host : {&lab_.client(), &lab_.server()}) {
      host->Run(std::string("ip ") + (options.family == Family::kV4 ? "-6" : "-4") +
                " addr flush dev " + Lab::Interface(link));
    }
  }
  kernel_.Limit(4, 4);
  const char* const folder = getenv("INTEROP_TRACE");
  for (int link = 1; folder != nullptr && link <= options.links; ++link) {
    const std::string name = Lab::Interface(link);
    traces_.push_back(std::make_unique<Capture>(
        lab_.client(), name, std::string(folder) + "/" + name + ".pcap", "tcp", 160));
  }
}

void Interop::Talk(const TalkOptions& options) {
  const auto start = [&](const Host& host, const char* verb, const std::string& address,
                         bool silent) {
    Command command{.argv = {TalkerProgram()}};
    if (&host == &ours()) command.env = Product::Environment();
    if (&host == &kernels() && !options.kernel_plain) command.argv.push_back("--mptcp");
    if (silent) command.argv.push_back("--silent");
    if (options.unread) command.argv.push_back("--unread");
    command.argv.insert(command.argv.end(), {verb, address, std::to_string(kTalkPort)});
    return host.Start(command);
  };
  const std::string any = options_.family == Family::kV4 ? "0.0.0.0" : "::";
  server_ = start(lab_.server(), "listen", options.listen.empty() ? any : options.listen,
                  options.server_silent);
  RequireEventually([&] { return Says(*server_, "listening") || !server_->Running(); },
                    "the server does not listen");
  client_ = start(lab_.client(), "connect", Address(lab_.server(), 1), options.client_silent);
  RequireEventually([&] { return Says(*client_, "connected") && Says(*server_, "connected"); },
                    "the talkers do not connect");
}

std::string Interop::Diagnosis() const {
  std::string text;
  for (const auto& [name, talker] :
       {std::pair{"client", client_.get()}, {"server", server_.get()}}) {
    if (talker == nullptr) continue;
    text += std::string("\n  ") + name + ": " + talker->out() + talker->err();
  }
  if (const auto status = Product::Status(ours())) {
    json all = json::parse(status->json);
    for (const char* key : {"connections", "closed"}) text += "\n  ours: " + all.at(key).dump();
    for (auto it = all["counters"].begin(); it != all["counters"].end(); ++it) {
      if (*it != 0) text += " " + it.key() + "=" + it->dump();
    }
  }
  text += "\n  kernel's counters:" + ToText(kernel_.Counters()) + "\n  kernel's sockets:\n" +
          kernels().Run("ip mptcp endpoint show; ss -HMain; ss -Htin");
  for (const KernelEvent& event : kernel_.Events()) {
    text += "  event " + event.name;
    for (const auto& [name, value] : event.fields) text += " " + name + "=" + value;
    text += "\n";
  }
  return text;
}

void Interop::Require(bool condition, const std::string& what) const {
  if (!condition) throw std::runtime_error(what + Diagnosis());
}

void Interop::RequireEventually(const std::function<bool()>& condition,
                                const std::string& what) const {
  Require(Eventually(condition), what);
}

std::optional<ConnectionStatus> Interop::OurConnection() const {
  const auto status = Product::Status(ours());
  if (!status) return std::nullopt;
  const auto alive = std::ranges::find_if(
      status->connections, [](const ConnectionStatus& c) { return c.state == "connected"; });
  if (alive == status->connections.end()) return std::nullopt;
  return *alive;
}

size_t Interop::OurSubflows() const {
  const auto connection = OurConnection();
  if (!connection) return 0;
  return static_cast<size_t>(std::ranges::count_if(
      connection->subflows, [](const SubflowStatus& s) { return s.state == "ESTAB"; }));
}

uint64_t Interop::OurCounter(const std::string& name) const {
  const auto status = Product::Status(ours());
  Require(status.has_value(), "no engine");
  return json::parse(status->json).at("counters").at(name);
}

void Interop::AwaitSubflows(size_t count) {
  RequireEventually(
      [&] {
        const auto connections = kernel_.Connections();
        return OurSubflows() == count && connections.size() == 1 &&
               connections[0].subflows + 1 == static_cast<int>(count);
      },
      "the two ends have not " + std::to_string(count) + " subflows");
  NoteSubflows(count);
}

void Interop::AwaitSubflowTraffic(uint64_t more) {
  const auto carried = [this] {
    std::map<std::string, std::pair<uint64_t, uint64_t>> bytes;
    const auto connection = OurConnection();
    Require(connection.has_value(), "our connection is gone");
    for (const SubflowStatus& s : connection->subflows) {
      bytes[s.local + " to " + s.remote] = {s.bytes_sent, s.bytes_received};
    }
    return bytes;
  };
  const auto before = carried();
  RequireEventually(
      [&] {
        auto now = carried();
        return std::ranges::all_of(before, [&](const auto& subflow) {
          const auto [sent, received] = now[subflow.first];
          return sent >= subflow.second.first + more && received >= subflow.second.second + more;
        });
      },
      "not each subflow carries, both ways");
}

Carried Interop::CarriedBy(int link) const {
  const InterfaceCounters counters = lab_.client().Counters(Lab::Interface(link));
  return {.up = counters.tx_bytes, .down = counters.rx_bytes};
}

void Interop::AwaitTraffic(int link, uint64_t more) const {
  const Carried before = CarriedBy(link);
  RequireEventually(
      [&] {
        const Carried now = CarriedBy(link);
        return now.up >= before.up + more && now.down >= before.down + more;
      },
      "link " + std::to_string(link) + " does not carry, both ways");
}

bool Interop::IdlesWhile(int idle, int busy, uint64_t more) const {
  const Carried before = CarriedBy(idle);
  AwaitTraffic(busy, more);
  const Carried now = CarriedBy(idle);
  const uint64_t limit = more * kIdleShare / 100;
  return now.up - before.up <= limit && now.down - before.down <= limit;
}

TalkResult Interop::ResultOf(Child& talker, const std::string& who) {
  Require(talker.Wait(kEndPatience) == 0, who + " does not end");
  const std::string out = talker.out();
  const json value = json::parse(out.substr(out.find('{')));
  return {.said = value.at("said"),
          .heard = value.at("heard"),
          .right = value.at("right") == value.at("heard"),
          .end = value.at("end"),
          .mptcp = value.at("mptcp")};
}

void Interop::EndWell() {
  client_->Signal(SIGUSR1);
  const TalkResult client = ResultOf(*client_, "the client");
  const TalkResult server = ResultOf(*server_, "the server");
  Require(client.end == "eof" && server.end == "eof",
          "the client was told " + client.end + ", the server " + server.end);
  Require(client.right && server.right, "what was heard is wrong");
  Require(client.heard == server.said && server.heard == client.said, "not all was heard");
  RequireNothingLeft();
  RequireNoErrors();
}

void Interop::RequireNothingLeft() {
  RequireEventually(
      [&] {
        const auto status = Product::Status(ours());
        return (!status || std::ranges::all_of(status->connections, &ConnectionStatus::closed)) &&
               kernel_.Connections().empty() &&
               (other_end_gone_ ||
                kernels().Run("ss -Htn state connected exclude time-wait").empty());
      },
      "something is left");
}

void Interop::RequireNoErrors() {
  for (const auto& [name, value] : kernel_.Counters()) {
    if (!ErrorCounters().contains(name)) continue;
    Require(allowed_.contains(name), "the kernel counted " + name + " " + std::to_string(value));
    shown_[name] = value;
  }
  for (const char* name :
       {"bugs", "mapping_errors", "checksum_errors", "options_malformed", "tun_write_errors",
        "joins_refused_hmac", "joins_refused_token", "add_addr_refused", "fastclose_refused"}) {
    Require(OurCounter(name) == 0, std::string("the engine counted ") + name);
  }
}

void Interop::RequireCounters(const std::map<std::string, uint64_t>& counters, bool exact) {
  const auto reached = [&](bool equal) {
    return std::ranges::all_of(counters, [&](const auto& wanted) {
      const uint64_t value = kernel_.Counter(wanted.first);
      return equal ? value == wanted.second : value >= wanted.second;
    });
  };
  RequireEventually([&] { return reached(false); },
                    "the kernel has not counted" + ToText(counters));
  if (exact) Require(reached(true), "the kernel has counted more than" + ToText(counters));
  for (const auto& [name, value] : counters) shown_[name] = kernel_.Counter(name);
}

}  // namespace mptcptls::lab
