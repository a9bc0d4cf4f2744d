// mptcptls-demo: the main job for people to watch. Exit status 0 means that all of it held.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "tests/netns/main_job.h"

namespace mptcptls::lab {
namespace {

// A line that is written over on a terminal; elsewhere one line for each tenth of the way.
class ProgressLine {
 public:
  explicit ProgressLine(std::string title) : title_(std::move(title)) {}
  ~ProgressLine() {
    if (shown_ && isatty(1)) printf("\n");
  }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  void Show(uint64_t bytes, size_t size) {
    const int percent = static_cast<int>(std::min<uint64_t>(100, bytes * 100 / size));
    if (!isatty(1) && percent / 10 == percent_ / 10) return;
    percent_ = percent;
    shown_ = true;
    const std::string bar(static_cast<size_t>(percent) * 40 / 100, '#');
    printf(isatty(1) ? "\r  %-22s [%-40s] %3d%%" : "  %-22s [%-40s] %3d%%\n", title_.c_str(),
           bar.c_str(), percent);
    fflush(stdout);
  }

 private:
  std::string title_;
  int percent_ = 0;
  bool shown_ = false;
};

std::string AddressPart(const std::string& endpoint) {
  const size_t colon = endpoint.rfind(':');
  return colon == std::string::npos ? endpoint : endpoint.substr(0, colon);
}

std::string JoinedHow(const SubflowStatus& subflow) {
  if (subflow.joined_by == "mp_capable") return "first subflow";
  return "MP_JOIN, " + subflow.authenticated_by;
}

void PrintTable(const TransferResult& all) {
  const ConnectionStatus* connection = FileConnection(all.client);
  if (connection == nullptr) return;
  printf("\n  connection %s -> %s, mode %s, key %s\n\n", connection->local.c_str(),
         connection->remote.c_str(), connection->mode.c_str(), connection->key.c_str());
  printf("  %-6s %-34s %12s %6s %12s %9s  %s\n", "path", "addresses", "bytes", "share", "goodput",
         "RTT", "admitted by");
  for (size_t link = 1; link <= all.link_bytes.size(); ++link) {
    const std::string uplink = Lab::Interface(static_cast<int>(link));
    const auto subflow = std::find_if(connection->subflows.begin(), connection->subflows.end(),
                                      [&](const SubflowStatus& s) { return s.uplink == uplink; });
    const uint64_t bytes = all.link_bytes[link - 1];
    const bool known = subflow != connection->subflows.end();
    const std::string addresses =
        known ? AddressPart(subflow->local) + " -> " + AddressPart(subflow->remote) : "unused";
    const uint64_t carried =
        known ? std::max(subflow->bytes_received, subflow->bytes_sent) : uint64_t{0};
    printf("  %-6s %-34s %12llu %5.1f%% %7.1f Mb/s %6.1f ms  %s\n", uplink.c_str(),
           addresses.c_str(), static_cast<unsigned long long>(bytes),
           all.Share(static_cast<int>(link)) * 100,
           static_cast<double>(carried) * 8 / 1e6 / all.curl.seconds,
           known ? static_cast<double>(subflow->srtt_us) / 1000 : 0.0,
           known ? JoinedHow(*subflow).c_str() : "-");
  }
  for (const std::string& unused : connection->unused_paths) {
    printf("  not used: %s\n", unused.c_str());
  }
}

int Run(const MainJobOptions& options) {
  printf(
      "Two hosts, two links of %d Mbit/s each. nginx and curl are Debian's own, started with\n"
      "LD_PRELOAD=%s\n\n",
      options.mbit, Product::Library().c_str());
  MainJob job(options);
  ProgressLine one_line("over one link");
  const TransferResult one =
      job.RunOverOneLink([&](uint64_t bytes, size_t size) { one_line.Show(bytes, size); });
  if (isatty(1)) printf("\n");
  ProgressLine all_line("over both links");
  const TransferResult all =
      job.RunOverAllLinks([&](uint64_t bytes, size_t size) { all_line.Show(bytes, size); });
  if (isatty(1)) printf("\n");

  PrintTable(all);
  printf("\n  %zu MiB %s, SHA-256 %s\n", all.size / kMiB,
         options.direction == Direction::kDownload ? "downloaded" : "uploaded",
         all.equal ? "equal" : "DIFFERENT");
  if (one.curl.status == 0 && all.curl.status == 0) {
    printf("  one link %.1f Mbit/s, both links %.1f Mbit/s: %.2f times as fast\n",
           one.MbitPerSecond(), all.MbitPerSecond(), all.MbitPerSecond() / one.MbitPerSecond());
  }
  const std::vector<std::string> complaints = Complaints(one, all);
  for (const std::string& complaint : complaints) {
    printf("  FAILED: %s\n", complaint.c_str());
  }
  printf(complaints.empty() ? "\n  All as it should be; taking it down again.\n"
                            : "\n  Not as it should be; taking it down again.\n");
  return complaints.empty() ? 0 : 1;
}

}  // namespace
}  // namespace mptcptls::lab

int main(int argc, char** argv) {
  using namespace mptcptls::lab;
  CLI::App app(
      "curl and nginx, unmodified, over two shaped links with libmptcptls: a table per path, and "
      "exit status 0 if both links carried their part under TLS keys.",
      "demo.sh");
  MainJobOptions options;
  bool v6 = false;
  bool upload = false;
  app.add_flag("--ipv6", v6, "over IPv6");
  app.add_flag("--upload", upload, "curl uploads instead");
  app.add_option("--tls", options.tls)->check(CLI::IsMember({"1.2", "1.3"}))->capture_default_str();
  app.add_option("--rate", options.mbit, "Mbit/s of each link")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (v6) options.family = Family::kV6;
  if (upload) options.direction = Direction::kUpload;
  try {
    return Run(options);
  } catch (const std::exception& error) {
    fprintf(stderr, "demo: %s\n", error.what());
    return 1;
  }
}
