// The main job: curl and nginx, unmodified and preloaded, carry a file over every link of a shaped
// lab. The demo shows it; a test checks it in all its variants.
#ifndef MPTCPTLS_TESTS_NETNS_MAIN_JOB_H_
#define MPTCPTLS_TESTS_NETNS_MAIN_JOB_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {

enum class Direction { kDownload, kUpload };

struct MainJobOptions {
  Family family = Family::kV4;
  std::string tls = "1.3";
  Direction direction = Direction::kDownload;
  size_t size = 64 * kMiB;
  // Of the run over one link that the other is compared with.
  size_t single_size = 64 * kMiB;
  int mbit = 50;
};

struct TransferResult {
  CurlResult curl;
  size_t size = 0;
  bool equal = false;                // SHA-256 of the copy and the original
  std::vector<uint64_t> link_bytes;  // by the kernel's counters, in the direction of the file
  std::optional<EngineStatus> client;
  double MbitPerSecond() const { return static_cast<double>(size) * 8 / 1e6 / curl.seconds; }
  // The part of a link (1, 2, ...) of all bytes.
  double Share(int link) const;
};

class MainJob {
 public:
  // Makes the lab, shaped, and starts nginx under the product.
  explicit MainJob(const MainJobOptions& options);

  // Called now and then while a transfer runs, with the bytes that crossed the links so far.
  using Progress = std::function<void(uint64_t bytes, size_t size)>;
  // With the client's link 2 administratively down.
  TransferResult RunOverOneLink(const Progress& progress = nullptr);
  TransferResult RunOverAllLinks(const Progress& progress = nullptr);

  Lab& lab() { return lab_; }
  Nginx& nginx() { return nginx_; }

 private:
  TransferResult Transfer(size_t size, const std::string& name, const Progress& progress);
  uint64_t LinkBytes(int link) const;

  MainJobOptions options_;
  Lab lab_;
  Nginx nginx_;
};

// What must hold of a pair of runs: one line for each thing that does not; empty when all is well.
std::vector<std::string> Complaints(const TransferResult& one, const TransferResult& all);
// The connection of `status` that this host opened last and that carried the file; null without
// one.
const ConnectionStatus* FileConnection(const std::optional<EngineStatus>& status);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_MAIN_JOB_H_
