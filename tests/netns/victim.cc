#include "tests/netns/victim.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

// A download that would take half a minute, and ends at once when the links are fast again.
constexpr size_t kSize = 24 * kMiB;
constexpr char kSlow[] = "4mbit", kFast[] = "1gbit";
// Seconds after which curl gives up a connection that says nothing: a server that has forgotten it
// resets it at the next segment, and that reset can be lost in a full queue.
constexpr char kSilence[] = "10";
constexpr int kHeaders = 160;  // bytes of each packet that the observer keeps

}  // namespace

Victim::Victim(Authentication authentication)
    : authentication_(authentication),
      nginx_(lab_, lab_.server()),
      sum_(WriteRandomFile(nginx_.www() + "/file", kSize)) {
  nginx_.Start(Environment());
}

std::vector<std::string> Victim::Environment() const {
  std::vector<std::string> env = Product::Environment();
  // TLS keys are what the product does by itself.
  if (authentication_ == Authentication::kKeys) env.push_back("MPTCPTLS_AUTH=keys");
  return env;
}

std::string Victim::Watched(int link) const {
  return lab_.folder() + "/path" + std::to_string(link) + "-" + std::to_string(downloads_) +
         ".pcap";
}

// Towards the client only, behind the bridge: what the attacker is told does not queue. What waits
// in a queue stays there when the rate changes.
void Victim::Shape(const std::string& rate) const {
  for (const char* port : {"c1", "c2"}) {
    lab_.wire().Run(std::string("tc qdisc replace dev ") + port + " root tbf rate " + rate +
                    " burst 128kb latency 50ms");
  }
}

void Victim::StartDownload() {
  ++downloads_;
  observer_.clear();
  Shape(kSlow);
  for (const int link : {1, 2}) {
    observer_.push_back(std::make_unique<Capture>(
        lab_.wire(), "s" + std::to_string(link), Watched(link),
        "tcp port 443 and host " + lab_.Address(client(), link, Family::kV4), kHeaders));
  }
  curl_ = StartCurl(client(), {.url = UrlOf("https", ServerAddress(), "/file"),
                               .output = lab_.folder() + "/copy",
                               .ca = nginx_.certificate(),
                               .extra = {"--speed-limit", "1", "--speed-time", kSilence},
                               .env = Environment()});
}

void Victim::AwaitBothPaths() {
  const auto ready = [this] {
    if (!ObserveJoin(SeenOnSecondPath()) || !Seen().add_addr) return false;
    const auto connection = Connection(server());
    return connection && connection->subflows.size() == 2 && connection->subflows[1].bytes_sent > 0;
  };
  if (!Eventually([&] { return ready() || !Downloading(); }) || !Downloading()) {
    throw std::runtime_error("the download does not use both paths: " + CurlError());
  }
}

Download Victim::FinishDownload() {
  Shape(kFast);
  const CurlResult result = FinishCurl(*curl_, std::chrono::seconds(60));
  for (const auto& capture : observer_) capture->Stop();
  if (result.status < 0) return Download::kHung;
  if (result.status > 0) return Download::kFailed;
  if (FileSha256(lab_.folder() + "/copy") != sum_) {
    throw std::runtime_error("curl is content with a wrong copy");
  }
  return Download::kComplete;
}

void Victim::HoldHandshake() {
  lab_.wire().Run(
      "nft 'table netdev hold { chain in { type filter hook ingress device s1 priority 0; "
      "ip length > 300 drop; }; }'");
}

void Victim::LetHandshakeGoOn() { lab_.wire().Run("nft delete table netdev hold"); }

uint64_t Victim::Counter(const Host& host, const std::string& name) {
  const auto status = Product::Status(host);
  if (!status) throw std::runtime_error("no engine runs on " + host.netns());
  return nlohmann::json::parse(status->json).at("counters").at(name);
}

std::optional<ConnectionStatus> Victim::Connection(const Host& host) const {
  const std::string end = ClientAddress() + ":" + std::to_string(Seen().client_port);
  const auto status = Product::Status(host);
  if (!status) return std::nullopt;
  for (const ConnectionStatus& connection : status->connections) {
    if (connection.local == end || connection.remote == end) return connection;
  }
  return std::nullopt;
}

}  // namespace mptcptls::lab
