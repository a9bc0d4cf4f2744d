#include "tests/netns/main_job.h"

#include <cstdio>
#include <numeric>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

constexpr double kLeastSpeedUp = 1.7;
constexpr double kLeastShare = 0.35;

std::string Format(const char* format, double a, double b) {
  char text[200];
  snprintf(text, sizeof text, format, a, b);
  return text;
}

void CheckTransfer(const TransferResult& result, const char* name, std::vector<std::string>* bad) {
  if (result.curl.status != 0) {
    bad->push_back(std::string(name) + ": curl failed: " + result.curl.error);
  } else if (result.curl.http_status != 200 && result.curl.http_status != 201) {
    bad->push_back(std::string(name) + ": HTTP " + std::to_string(result.curl.http_status));
  } else if (!result.equal) {
    bad->push_back(std::string(name) + ": the copy's SHA-256 differs");
  }
}

void CheckAuthentication(const TransferResult& all, std::vector<std::string>* bad) {
  const ConnectionStatus* connection = FileConnection(all.client);
  if (connection == nullptr) {
    bad->push_back("mptcptls status shows no connection");
    return;
  }
  if (connection->mode != "tls-auth") bad->push_back("mode is " + connection->mode);
  size_t joined = 0;
  for (const SubflowStatus& subflow : connection->subflows) {
    if (subflow.joined_by != "mp_join") continue;
    ++joined;
    if (subflow.authenticated_by != "tls key") {
      bad->push_back("a join was authenticated by " + subflow.authenticated_by);
    }
  }
  if (joined == 0) bad->push_back("no subflow joined");
}

}  // namespace

double TransferResult::Share(int link) const {
  const uint64_t sum = std::accumulate(link_bytes.begin(), link_bytes.end(), uint64_t{0});
  if (sum == 0) return 0;
  return static_cast<double>(link_bytes[static_cast<size_t>(link) - 1]) / static_cast<double>(sum);
}

MainJob::MainJob(const MainJobOptions& options)
    : options_(options), lab_(LabOptions{}), nginx_(lab_, lab_.server()) {
  for (int link = 1; link <= lab_.links(); ++link) lab_.Shape(link, options_.mbit);
  nginx_.Start(Product::Environment());
}

uint64_t MainJob::LinkBytes(int link) const {
  const InterfaceCounters counters = lab_.client().Counters(Lab::Interface(link));
  return options_.direction == Direction::kDownload ? counters.rx_bytes : counters.tx_bytes;
}

TransferResult MainJob::RunOverOneLink(const Progress& progress) {
  lab_.AdminDown(lab_.client(), 2);
  TransferResult result = Transfer(options_.single_size, "one", progress);
  lab_.AdminUp(lab_.client(), 2);
  return result;
}

TransferResult MainJob::RunOverAllLinks(const Progress& progress) {
  return Transfer(options_.size, "all", progress);
}

TransferResult MainJob::Transfer(size_t size, const std::string& name, const Progress& progress) {
  const bool download = options_.direction == Direction::kDownload;
  const std::string original = download ? nginx_.www() + "/" + name : lab_.folder() + "/" + name;
  const std::string copy =
      download ? lab_.folder() + "/copy-" + name : nginx_.uploads() + "/" + name;
  TransferResult result;
  result.size = size;
  const std::string sum = WriteRandomFile(original, size);
  CurlOptions curl{.url = UrlOf("https", lab_.Address(lab_.server(), 1, options_.family),
                                (download ? "/" : "/upload/") + name),
                   .ca = nginx_.certificate(),
                   .tls = options_.tls,
                   .env = Product::Environment()};
  (download ? curl.output : curl.upload) = download ? copy : original;
  std::vector<uint64_t> before;
  for (int link = 1; link <= lab_.links(); ++link) before.push_back(LinkBytes(link));
  const auto crossed = [&](int link) {
    return LinkBytes(link) - before[static_cast<size_t>(link) - 1];
  };

  const auto child = StartCurl(lab_.client(), curl);
  const auto deadline = std::chrono::steady_clock::now() + curl.deadline;
  while (!child->Wait(std::chrono::milliseconds(200)) &&
         std::chrono::steady_clock::now() < deadline) {
    uint64_t bytes = 0;
    for (int link = 1; link <= lab_.links(); ++link) bytes += crossed(link);
    if (progress) progress(bytes, size);
  }
  result.curl = FinishCurl(*child, std::chrono::seconds(0));
  for (int link = 1; link <= lab_.links(); ++link) result.link_bytes.push_back(crossed(link));
  result.equal = FileSha256(copy) == sum;
  result.client = Product::Status(lab_.client());
  return result;
}

const ConnectionStatus* FileConnection(const std::optional<EngineStatus>& status) {
  if (!status) return nullptr;
  // The last one that carried more than a handshake.
  const ConnectionStatus* found = nullptr;
  for (const ConnectionStatus& connection : status->connections) {
    uint64_t bytes = 0;
    for (const SubflowStatus& subflow : connection.subflows) {
      bytes += subflow.bytes_sent + subflow.bytes_received;
    }
    // One that is alive is younger than any that is closed.
    if (found != nullptr && !found->closed && connection.closed) continue;
    if (connection.role == "initiator" && bytes > kMiB) found = &connection;
  }
  return found;
}

std::vector<std::string> Complaints(const TransferResult& one, const TransferResult& all) {
  std::vector<std::string> bad;
  CheckTransfer(one, "one link", &bad);
  CheckTransfer(all, "all links", &bad);
  if (!bad.empty()) return bad;
  CheckAuthentication(all, &bad);
  if (one.Share(1) < 0.99) bad.push_back("the run over one link used another");
  const double speed_up = all.MbitPerSecond() / one.MbitPerSecond();
  if (speed_up < kLeastSpeedUp) {
    bad.push_back(
        Format("%.2f times as fast as over one link, less than %.1f", speed_up, kLeastSpeedUp));
  }
  for (size_t link = 1; link <= all.link_bytes.size(); ++link) {
    const double share = all.Share(static_cast<int>(link));
    if (share < kLeastShare) {
      bad.push_back(
          "link " + std::to_string(link) +
          Format(" carried %.0f%% of the bytes, less than %.0f%%", share * 100, kLeastShare * 100));
    }
  }
  return bad;
}

}  // namespace mptcptls::lab
