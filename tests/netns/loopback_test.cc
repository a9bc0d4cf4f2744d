// MPTCPTLS_CAPTURE=all: programs of one host speak through the engine, which sends nothing over
// `lo`; without it they have the kernel's TCP.
#include <gtest/gtest.h>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/tls_paths.h"

namespace mptcptls::lab {
namespace {

constexpr size_t kSize = 8 * kMiB;
constexpr int kConnectionRefused = 7;  // curl's

class CaptureAll : public testing::Test {
 protected:
  CaptureAll() : sum_(WriteRandomFile(nginx_.www() + "/file", kSize)) {}

  static std::vector<std::string> All() {
    std::vector<std::string> env = Product::Environment();
    env.emplace_back("MPTCPTLS_CAPTURE=all");
    return env;
  }
  // Whether the file came whole from nginx at an address of this host.
  CurlResult Download(const std::string& address, const std::vector<std::string>& env) {
    const std::string copy = lab_.folder() + "/copy";
    WriteFile(copy, "");
    const CurlResult result =
        RunCurl(lab_.server(), {.url = UrlOf("https", "server.test", "/file"),
                                .output = copy,
                                .ca = nginx_.certificate(),
                                .extra = {"--resolve", "server.test:443:" + address},
                                .env = env,
                                .deadline = kPatience});
    if (result.status != 0) throw std::runtime_error("curl: " + result.error);
    EXPECT_EQ(FileSha256(copy), sum_);
    EXPECT_EQ(result.remote_ip, address);
    return result;
  }
  uint64_t CarriedByLo() const { return lab_.server().Counters("lo").rx_bytes; }

  Lab lab_{LabOptions{}};
  Nginx nginx_{lab_, lab_.server()};
  std::string sum_;
};

TEST_F(CaptureAll, LoopbackAndOwnAddressesGoThroughTheEngine) {
  nginx_.Start(All());
  size_t connections = 0;
  for (const std::string& address :
       {std::string("127.0.0.1"), std::string("::1"), std::string("127.0.0.2"),
        lab_.Address(lab_.server(), 2, Family::kV4), lab_.Address(lab_.server(), 1, Family::kV6)}) {
    SCOPED_TRACE(address);
    const uint64_t before = CarriedByLo();
    Download(address, All());
    EXPECT_LT(CarriedByLo() - before, kSize / 100);
    const auto all = ConnectionsOf(lab_.server());
    ASSERT_EQ(all.size(), connections += 2);
    for (size_t end = 1; end <= 2; ++end) {
      const ConnectionStatus& connection = all[all.size() - end];
      EXPECT_EQ(connection.mode, "tls-auth");
      EXPECT_EQ(connection.key, "present");
      EXPECT_EQ(connection.subflows.size(), 1u);
    }
  }
}

TEST_F(CaptureAll, WhereNobodyCapturedListensTheKernelAnswers) {
  nginx_.Start();
  const uint64_t before = CarriedByLo();
  Download("127.0.0.1", All());
  EXPECT_GT(CarriedByLo() - before, kSize);
  const CurlResult refused = RunCurl(lab_.server(), {.url = "http://127.0.0.1:81/", .env = All()});
  EXPECT_EQ(refused.status, kConnectionRefused) << refused.error;
  EXPECT_TRUE(ConnectionsOf(lab_.server()).empty());
}

TEST_F(CaptureAll, WithoutItThisHostIsTheKernels) {
  nginx_.Start(Product::Environment());
  const uint64_t before = CarriedByLo();
  Download("127.0.0.1", Product::Environment());
  EXPECT_GT(CarriedByLo() - before, kSize);
  // nginx has it by its captured listener, relayed from the kernel's socket.
  for (const ConnectionStatus& connection : ConnectionsOf(lab_.server()))
    EXPECT_EQ(connection.mode, "tcp");
}

// Who closes its listener and connects there is refused, as by TCP.
TEST_F(CaptureAll, AClosedListenerRefusesAtOnce) {
  const std::string program =
      "import socket\n"
      "server = socket.create_server(('', 8000))\n"
      "socket.create_connection(('127.0.0.1', 8000)).close()\n"
      "server.accept()[0].close()\n"
      "server.close()\n"
      "try: socket.create_connection(('127.0.0.1', 8000))\n"
      "except ConnectionRefusedError: print('refused')\n";
  for (const std::vector<std::string>& env : {All(), Product::Environment()}) {
    const auto python = lab_.server().Start({.argv = {"python3", "-c", program}, .env = env});
    EXPECT_EQ(python->Wait(), 0) << python->err();
    EXPECT_EQ(python->out(), "refused\n");
  }
}

// A listener on loopback alone is no door for packets of the wire.
TEST_F(CaptureAll, ListenersOnLoopbackAreNotSteered) {
  const auto server = lab_.server().Start(
      {.argv = {"python3", "-m", "http.server", "-b", "127.0.0.1", "-d", nginx_.www(), "8000"},
       .env = All()});
  const auto answers = [&] {
    return RunCurl(lab_.server(), {.url = "http://127.0.0.1:8000/file", .env = All()}).downloaded ==
           kSize;
  };
  ASSERT_TRUE(Eventually(answers));
  EXPECT_EQ(ConnectionsOf(lab_.server()).back().local.substr(0, 10), "127.0.0.1:");
  EXPECT_EQ(lab_.server().Run("nft list ruleset").find("8000"), std::string::npos);
}

}  // namespace
}  // namespace mptcptls::lab
