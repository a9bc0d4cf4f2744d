// Many programs at once, some of them killed, some that read slowly: whoever is left gets every
// byte, and afterwards nothing is left of anybody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {
namespace {

using nlohmann::json;

constexpr int kClients = 64, kKilled = 8;  // of each kind
constexpr size_t kSmall = 200'000;

size_t Descriptors(pid_t pid) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(pid) + "/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

class Stress : public testing::Test {
 protected:
  Stress() : nginx_(lab_, lab_.server()) {
    for (const int link : {1, 2}) lab_.Shape(link, 200);
    sum_ = WriteRandomFile(nginx_.www() + "/small", kSmall);
    large_sum_ = WriteRandomFile(nginx_.www() + "/large", 8 * kMiB);
  }

  std::string Path(int index) const { return lab_.folder() + "/copy" + std::to_string(index); }

  CurlOptions Options(const std::string& file, const std::string& output) const {
    return {.url = UrlOf("https", lab_.Address(lab_.server(), 1, Family::kV4), file),
            .output = output,
            .ca = nginx_.certificate(),
            .env = Product::Environment()};
  }

  // Every second one fetches the file four times on one connection.
  std::unique_ptr<Child> StartClient(int index) const {
    CurlOptions options = Options("/small", Path(index) + "-0");
    for (int again = 1; index % 2 == 1 && again < 4; ++again) {
      options.extra.insert(options.extra.end(),
                           {"-o", Path(index) + "-" + std::to_string(again), options.url});
    }
    return StartCurl(lab_.client(), options);
  }
  void ExpectCopies(int index) const {
    for (int copy = 0; copy < (index % 2 == 1 ? 4 : 1); ++copy) {
      EXPECT_EQ(FileSha256(Path(index) + "-" + std::to_string(copy)), sum_) << index;
    }
  }

  // What runs on a host before anybody came.
  struct Baseline {
    pid_t engine;
    size_t descriptors;
  };
  Baseline BaselineOf(const Host& host) const {
    const pid_t engine = Product::EnginePid(host);
    return {engine, Descriptors(engine)};
  }
  void ExpectNothingLeft(const Host& host, const Baseline& before) const {
    EXPECT_EQ(Product::EnginePid(host), before.engine);
    EXPECT_TRUE(Eventually([&] { return Open(host) == 0; })) << Product::Status(host)->json;
    // New blocks of ports are guarded by descriptors of their own, and are kept.
    const auto left = [&] { return Descriptors(before.engine) % 256; };
    EXPECT_TRUE(Eventually([&] { return left() == before.descriptors % 256; }))
        << left() << " and not " << before.descriptors % 256;
    const json counters = json::parse(Product::Status(host)->json).at("counters");
    EXPECT_EQ(counters.at("bugs"), 0);
    EXPECT_EQ(counters.at("tun_write_errors"), 0);
    EXPECT_EQ(counters.at("drop_memory"), 0);
  }
  static size_t Open(const Host& host) {
    return json::parse(Product::Status(host)->json).at("connections").size();
  }

  Lab lab_{LabOptions{}};
  Nginx nginx_;
  std::string sum_, large_sum_;
};

TEST_F(Stress, ManyAtOnceAndSomeAreKilled) {
  nginx_.Start(Product::Environment());
  CurlOptions first = Options("/small", Path(-1));
  ASSERT_EQ(RunCurl(lab_.client(), first).status, 0);  // starts the client's engine
  ASSERT_TRUE(Eventually([&] { return Open(lab_.client()) == 0 && Open(lab_.server()) == 0; }));
  const Baseline client = BaselineOf(lab_.client()), server = BaselineOf(lab_.server());

  CurlOptions slowly = Options("/large", Path(-2));
  slowly.extra = {"--limit-rate", "2M"};
  const auto slow = StartCurl(lab_.client(), slowly);
  std::vector<std::unique_ptr<Child>> doomed, clients;
  for (int i = 0; i < kKilled; ++i) {
    // A download and an upload each, slow enough to be in the middle of it when the end comes.
    CurlOptions down = Options("/large", Path(1000 + i));
    down.extra = {"--limit-rate", "100k"};
    doomed.push_back(StartCurl(lab_.client(), down));
    CurlOptions up = Options("/upload/" + std::to_string(i), "");
    up.upload = nginx_.www() + "/large";
    up.extra = {"--limit-rate", "100k"};
    doomed.push_back(StartCurl(lab_.client(), up));
  }
  for (int i = 0; i < kClients; ++i) clients.push_back(StartClient(i));
  EXPECT_TRUE(Eventually([&] {
    int begun = 0;
    for (int i = 0; i < kKilled; ++i) {
      std::error_code none;
      const auto size = std::filesystem::file_size(Path(1000 + i), none);
      if (!none && size > 0) ++begun;
    }
    return begun == kKilled;
  }));
  for (const auto& child : doomed) child->Signal(SIGKILL);

  for (int i = 0; i < kClients; ++i) {
    const CurlResult result = FinishCurl(*clients[static_cast<size_t>(i)], std::chrono::seconds(60));
    EXPECT_EQ(result.status, 0) << i << ": " << result.error;
    ExpectCopies(i);
  }
  EXPECT_EQ(FinishCurl(*slow, std::chrono::seconds(60)).status, 0);
  EXPECT_EQ(FileSha256(Path(-2)), large_sum_);
  doomed.clear();
  ExpectNothingLeft(lab_.client(), client);
  ExpectNothingLeft(lab_.server(), server);
}

// nginx's own: old workers finish what they began, new ones take what comes.
TEST_F(Stress, ReloadedUnderLoad) {
  nginx_.Start(Product::Environment());
  std::vector<std::unique_ptr<Child>> clients;
  for (int i = 0; i < kClients; ++i) {
    if (i % 16 == 8) nginx_.Reload();
    clients.push_back(StartClient(i));
  }
  for (int i = 0; i < kClients; ++i) {
    const CurlResult result = FinishCurl(*clients[static_cast<size_t>(i)], std::chrono::seconds(60));
    EXPECT_EQ(result.status, 0) << i << ": " << result.error;
    ExpectCopies(i);
  }
}

}  // namespace
}  // namespace mptcptls::lab
