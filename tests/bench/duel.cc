#include "tests/bench/duel.h"

#include <signal.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/bench/format.h"
#include "tests/netns/product.h"

namespace mptcptls::bench {
namespace {

using lab::Child;
using lab::Family;
using lab::Host;
using lab::Middle;
using lab::Product;

constexpr int kPort = 5201;
constexpr char kFile[] = "/file";
// A sparse file: curl asks for as much of it as it shall carry. Enough for 100 Mbit/s for minutes.
constexpr uint64_t kFileBytes = uint64_t{1} << 32;
constexpr uint64_t kLeastBytes = 100'000;
// A transfer of a fixed size that is slower than expected is cut off, and its speed is known too.
constexpr double kPatience = 3;
constexpr int kCurlTimedOut = 28;
// iperf3's own exchanges before and after, each repeated with back-off on a bad link.
constexpr double kIperf3Patience = 30;
// Longer than a kernel that lost its last segment several times needs.
constexpr std::chrono::seconds kSettling{30};

std::chrono::milliseconds Milliseconds(double seconds) {
  return std::chrono::milliseconds(std::lround(seconds * 1e3));
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

std::vector<std::string> Environment(bool ours) {
  return ours ? Product::Environment() : std::vector<std::string>();
}

// The only one of a lab of one link, as it is.
std::string Route(const Host& host) {
  const std::string route = FirstLine(host.Run("ip -4 route show dev l1"));
  return route + " dev l1";
}

// Sockets that may still send; TIME_WAIT may not.
bool AnyConnection(const Host& host) {
  return !host.Run("ss -Htn state connected exclude time-wait").empty();
}

// The bytes went through the engine, as plain TCP: empty, or what was wrong.
std::string CheckOurs(const Host& host) {
  const std::optional<lab::EngineStatus> status = Product::Status(host);
  if (!status || status->connections.empty()) {
    return "the engine knows of no connection, so the bytes went another way: see mptcptls check";
  }
  for (const lab::ConnectionStatus& connection : status->connections) {
    if (connection.mode != "tcp") return "a connection's mode is " + connection.mode + ", not tcp";
  }
  return "";
}

}  // namespace

std::string NameOf(Tool tool) { return tool == Tool::kIperf3 ? "iperf3" : "curl"; }

std::string NameOf(Ours ours) {
  return ours == Ours::kNowhere ? "kernel" : ours == Ours::kSends ? "send" : "receive";
}

std::unique_ptr<Child> StartIperf3Server(const Host& host, int port,
                                         const std::vector<std::string>& env) {
  auto server = host.Start(
      {.argv = {"iperf3", "-s", "-1", "--forceflush", "-p", std::to_string(port)}, .env = env});
  const auto listens = [&] { return server->out().find("listening") != std::string::npos; };
  lab::Eventually([&] { return listens() || !server->Running(); });
  if (!listens()) throw std::runtime_error("iperf3 -s does not start: " + server->err());
  return server;
}

std::unique_ptr<Child> StartIperf3Client(const Host& host, const std::string& address, int port,
                                         double seconds, const std::vector<std::string>& env) {
  return host.Start({.argv = {"iperf3", "-J", "-c", address, "-p", std::to_string(port), "-t",
                              Format("%.0f", std::max(seconds, 1.0))},
                     .env = env});
}

Speed FinishIperf3(Child& client, Child& server, double seconds) {
  Speed speed;
  const std::optional<int> status = client.Wait(Milliseconds(seconds + kIperf3Patience));
  const auto json = nlohmann::json::parse(client.out(), nullptr, false);
  if (!status) {
    speed.failure = "iperf3 hung and was killed";
  } else if (*status != 0 || json.is_discarded() || json.contains("error")) {
    speed.failure = json.is_object() ? "iperf3: " + json.value("error", "no reason given")
                                     : "iperf3: " + FirstLine(client.err());
  } else {
    speed.mbit = json.at("end").at("sum_received").at("bits_per_second").get<double>() / 1e6;
    if (!server.Wait()) speed.failure = "iperf3's server does not end";
  }
  return speed;
}

Duel::Duel() : lab_({.links = 1, .middle = Middle::kEmulator}), nginx_(lab_, lab_.server()) {
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    // By its route and not by the sysctl: where CUBIC is not among the allowed ones of the machine,
    // a namespace cannot have it as its default.
    host->Run("ip route change " + Route(*host) + " congctl cubic");
    // Each connection begins as if it were the first.
    host->SetSysctl("net.ipv4.tcp_no_metrics_save", "1");
  }
  lab::WriteFile(nginx_.www() + kFile, "");
  std::filesystem::resize_file(nginx_.www() + kFile, kFileBytes);
}

std::string Duel::Address() const { return lab_.Address(lab_.server(), 1, Family::kV4); }

void Duel::Set(const Wire& wire, uint64_t seed) {
  lab_.Emulator(1, wire.ToSettings());
  lab_.Emulator(1, "restart " + std::to_string(seed));
}

void Duel::Settle() {
  lab_.Emulator(1, "delay_ms=0 jitter_ms=0 reorder=0 loss=0 rate_mbit=0");
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    if (Product::EnginePid(*host) != 0) Product::Down(*host);
  }
  const bool settled = lab::Eventually(
      [this] { return !AnyConnection(lab_.client()) && !AnyConnection(lab_.server()); }, kSettling);
  if (!settled) throw std::runtime_error("connections of a transfer do not end");
}

Speed Duel::Run(Tool tool, Ours ours, const Wire& wire, std::chrono::duration<double> length,
                uint64_t seed) {
  Set(wire, seed);
  Speed speed;
  try {
    speed = Transfer(tool, ours, wire, length.count());
  } catch (const std::exception& error) {
    speed.failure = FirstLine(error.what());  // a program that does not start is a result as well
  }
  Settle();
  return speed;
}

Speed Duel::Transfer(Tool tool, Ours ours, const Wire& wire, double seconds) {
  Speed speed;
  if (tool == Tool::kIperf3) {
    speed = RunIperf3(ours, seconds);
  } else {
    const double bytes = wire.LikelyMbit() * 1e6 / 8 * seconds;
    speed = RunCurl(ours, std::max(static_cast<uint64_t>(bytes), kLeastBytes), seconds);
  }
  if (ours != Ours::kNowhere && speed.failure.empty()) {
    const bool at_client = (tool == Tool::kIperf3) == (ours == Ours::kSends);
    speed.failure = CheckOurs(at_client ? lab_.client() : lab_.server());
  }
  return speed;
}

Speed Duel::RunIperf3(Ours ours, double seconds) {
  const auto server = StartIperf3Server(lab_.server(), kPort, Environment(ours == Ours::kReceives));
  const auto client = StartIperf3Client(lab_.client(), Address(), kPort, seconds,
                                        Environment(ours == Ours::kSends));
  return FinishIperf3(*client, *server, seconds);
}

// From the moment when the connection is up: the start of an engine is not in it, nor a lost SYN.
Speed Duel::RunCurl(Ours ours, uint64_t bytes, double seconds) {
  nginx_.Start(Environment(ours == Ours::kSends));
  const double longest = std::ceil(seconds * kPatience);
  const lab::CurlResult result = lab::RunCurl(
      lab_.client(),
      {.url = lab::UrlOf("https", Address(), kFile),
       .ca = nginx_.certificate(),
       .extra = {"-r", "0-" + std::to_string(bytes - 1), "--max-time", Format("%.0f", longest)},
       .env = Environment(ours == Ours::kReceives),
       .deadline = std::chrono::seconds(std::lround(longest) + 20)});
  nginx_.Stop(SIGTERM);
  Speed speed;
  if (result.status != 0 && result.status != kCurlTimedOut) {
    speed.failure = FirstLine(result.error);
  } else if (result.downloaded == 0) {
    speed.failure = "nothing arrived";
  } else {
    speed.mbit = static_cast<double>(result.downloaded) * 8 / 1e6 /
                 (result.seconds - result.connect_seconds);
  }
  return speed;
}

}  // namespace mptcptls::bench
