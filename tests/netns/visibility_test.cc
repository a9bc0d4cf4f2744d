// What an engine shows, to whom; when it comes and goes; and what it does not touch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <tins/tins.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/local_stranger.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Visibility : public testing::Test {
 protected:
  explicit Visibility(const LabOptions& options = {})
      : lab_(options),
        nginx_(lab_, lab_.server()),
        sum_(WriteRandomFile(nginx_.www() + "/file", 8 * kMiB)) {}

  std::string Server() const { return lab_.Address(lab_.server(), 1, Family::kV4); }
  CurlOptions Options(const std::string& copy = "/copy") const {
    return {.url = UrlOf("https", Server(), "/file"),
            .output = lab_.folder() + copy,
            .ca = nginx_.certificate(),
            .env = Product::Environment()};
  }
  bool Fetches(const CurlOptions& options) {
    const CurlResult result = RunCurl(lab_.client(), options);
    EXPECT_EQ(result.status, 0) << result.error;
    return FileSha256(options.output) == sum_;
  }
  // A download that takes some seconds, and runs when this returns.
  std::unique_ptr<Child> StartSlowDownload() {
    for (const int link : {1, 2}) lab_.Shape(link, 10);
    auto curl = StartCurl(lab_.client(), Options("/slow"));
    EXPECT_TRUE(Eventually([&] { return lab_.client().Counters("l1").rx_bytes > kMiB / 2; }))
        << curl->err();
    return curl;
  }
  std::unique_ptr<Child> Command(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {Product::Command()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return lab_.client().Start({.argv = argv});
  }

  Lab lab_;
  Nginx nginx_;
  std::string sum_;
};

// ---- Coming and going

TEST_F(Visibility, IdleEngineLeavesAndTheNextProgramStartsAnother) {
  nginx_.Start(Product::Environment());
  const auto before = lab_.client().Snapshot();
  WriteFile(lab_.folder() + "/engine.toml", "idle_timeout = 1\n");
  CurlOptions options = Options();
  options.env.push_back("MPTCPTLS_CONFIG=" + lab_.folder() + "/engine.toml");
  // The server ends first: the client has no TIME_WAIT to sit out.
  options.extra = {"-H", "Connection: close"};
  EXPECT_TRUE(Fetches(options));
  const auto status = Product::Status(lab_.client());
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(json::parse(status->json).at("engine").at("idle_timeout_s"), 1.0);
  EXPECT_TRUE(AwaitExit(status->pid, kPatience));
  EXPECT_EQ(Difference(before, lab_.client().Snapshot()), "");
  EXPECT_THAT(AbstractNames(lab_.client(), "mptcptls/"), IsEmpty());
  EXPECT_TRUE(Fetches(options));
  const pid_t next = Product::EnginePid(lab_.client());
  EXPECT_GT(next, 0);
  EXPECT_NE(next, status->pid);
}

TEST_F(Visibility, SecondEngineSaysThatOneRuns) {
  const auto first = lab_.client().Start({.argv = {Product::Engine()}});
  ASSERT_TRUE(Eventually([&] { return first->err().find("serving") != std::string::npos; }))
      << first->err();
  const auto before = lab_.client().Snapshot();
  const auto second = lab_.client().Start({.argv = {Product::Engine()}});
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_THAT(second->err(), AllOf(HasSubstr("runs in this network namespace already"),
                                   HasSubstr("mptcptls down")));
  EXPECT_EQ(Difference(before, lab_.client().Snapshot()), "");
  first->Signal(SIGTERM);
  EXPECT_EQ(first->Wait(), 0) << first->err();
}

TEST_F(Visibility, DownResetsWhatIsOpen) {
  nginx_.Start(Product::Environment());
  const auto curl = StartSlowDownload();
  Product::Down(lab_.client());
  const CurlResult result = FinishCurl(*curl, kPatience);
  EXPECT_EQ(result.status, 56) << result.error;  // CURLE_RECV_ERROR
  EXPECT_THAT(result.error, HasSubstr("Connection reset by peer"));
}

// ---- What users see

// The product where every user can read it.
class Users : public Visibility {
 protected:
  Users() {
    namespace fs = std::filesystem;
    const std::string root = lab_.folder() + "/product";
    for (const std::string& file : {Product::Library(), Product::Command()}) {
      const std::string to = root + "/" + fs::path(file).parent_path().filename().string();
      fs::create_directories(to);
      fs::copy_file(file, to + "/" + fs::path(file).filename().string());
    }
    library_ = root + "/lib/libmptcptls.so";
    command_ = root + "/bin/mptcptls";
    nginx_.Start(Product::Environment());
  }
  std::unique_ptr<Child> StartAsNobody(const std::vector<std::string>& command,
                                       const std::vector<std::string>& env = {}) {
    const std::string id = std::to_string(kNobody);
    std::vector<std::string> argv = {"setpriv", "--reuid", id, "--regid", id, "--clear-groups"};
    argv.insert(argv.end(), command.begin(), command.end());
    return lab_.client().Start({.argv = argv, .env = env});
  }
  // The users whose connections this status shows, in order.
  static std::vector<int> UsersIn(const std::string& status) {
    std::vector<int> users;
    const json all = json::parse(status);
    for (const json& connection : all.at("connections")) users.push_back(connection.at("uid"));
    std::ranges::sort(users);
    return users;
  }
  std::string library_, command_;
};

TEST_F(Users, SeeTheirOwnConnectionsAndRootAll) {
  const auto roots = StartSlowDownload();
  const auto nobodys = StartAsNobody(
      {"curl", "-q", "-sS", "--cacert", nginx_.certificate(), "-o", "/dev/null", Options().url},
      {"LD_PRELOAD=" + library_, "MPTCPTLS_REQUIRE=1"});
  const int nobody = static_cast<int>(kNobody);
  EXPECT_TRUE(Eventually([&] {
    return UsersIn(Product::Status(lab_.client())->json) == std::vector<int>{0, nobody};
  })) << nobodys->err();
  const auto status = StartAsNobody({command_, "status", "--json"});
  EXPECT_EQ(status->Wait(), 0) << status->err();
  EXPECT_EQ(UsersIn(status->out()), std::vector<int>{nobody});
  const auto text = StartAsNobody({command_, "status"});
  EXPECT_EQ(text->Wait(), 0) << text->err();
  EXPECT_THAT(text->out(), HasSubstr("curl"));
  EXPECT_TRUE(nobodys->Running() && roots->Running()) << "their downloads were too short";
}

TEST_F(Users, MayNeitherDumpNorEndIt) {
  EXPECT_TRUE(Fetches(Options()));
  const pid_t engine = Product::EnginePid(lab_.client());
  const std::string file = "/tmp/mptcptls-not-allowed-" + std::to_string(getpid());
  const auto dump = StartAsNobody({command_, "dump", "-w", file});
  EXPECT_EQ(dump->Wait(), 1);
  EXPECT_THAT(dump->err(), HasSubstr("only root may see all packets"));
  EXPECT_FALSE(std::filesystem::exists(file));
  const auto down = StartAsNobody({command_, "down"});
  EXPECT_EQ(down->Wait(), 1);
  EXPECT_THAT(down->err(), HasSubstr("only root"));
  EXPECT_EQ(Product::EnginePid(lab_.client()), engine);
}

// ---- The dump

TEST_F(Visibility, DumpIsReadByOthers) {
  nginx_.Start(Product::Environment());
  EXPECT_TRUE(Fetches(Options()));
  const std::string file = lab_.folder() + "/dump.pcapng";
  const auto dump = Command({"dump", "-w", file});
  ASSERT_TRUE(Eventually([&] { return !ReadFile(file).empty(); })) << dump->err();
  EXPECT_TRUE(Fetches(Options()));
  dump->Signal(SIGINT);
  EXPECT_EQ(dump->Wait(), 0) << dump->err();
  const std::string read = "tshark -n -r " + file + " -o tcp.check_checksum:TRUE ";
  EXPECT_EQ(lab_.client().Run(read + "-Y '_ws.malformed || tcp.checksum.status == Bad' 2>&1 | "
                                     "grep -v 'Running as user' || true"),
            "");
  const std::string fields = " -T fields -e ip.src -e tcp.options.mptcp.subtype 2>/dev/null";
  const std::string syns = lab_.client().Run(read + "-Y 'tcp.flags.syn == 1'" + fields);
  // MP_CAPABLE (0) and MP_JOIN (1), from here and from the server.
  for (const int link : {1, 2}) {
    const std::string subtype = std::to_string(link - 1);
    for (const Host* host : {&lab_.client(), &lab_.server()})
      EXPECT_THAT(syns, HasSubstr(lab_.Address(*host, link, Family::kV4) + "\t" + subtype));
  }
  EXPECT_THAT(lab_.client().Run(read + "-Y 'tcp.options.mptcp.subtype == 2'" + fields),
              Not(IsEmpty()));
  EXPECT_THAT(lab_.client().Run("capinfos -T -c " + file), HasSubstr(file));
}

// ---- The host

class Forwarding : public Visibility {
 protected:
  Forwarding() : Visibility({.middle = Middle::kBridge, .stranger = true}) {}
};

// Both hosts send and receive by nftables' "fwd"; neither becomes a router by it.
TEST_F(Forwarding, HostsPassNothingOnThatIsNotTheEngines) {
  nginx_.Start(Product::Environment());
  EXPECT_TRUE(Fetches(Options()));
  const std::string stranger = lab_.Address(lab_.stranger(), 1, Family::kV4);
  const std::string target = lab_.Address(lab_.client(), 2, Family::kV4);
  const auto status = Product::Status(lab_.client());
  ASSERT_TRUE(status.has_value() && !status->connections.empty());
  const std::string& used = status->connections.back().local;
  const auto port = static_cast<uint16_t>(std::stoi(used.substr(used.rfind(':') + 1)));
  // The server is the stranger's gateway, if it likes.
  lab_.stranger().Run("ip route add 10.9.2.0/24 via " + Server());
  Capture in(lab_.server(), "l1", lab_.folder() + "/in.pcap", "tcp and src host " + stranger);
  Capture out(lab_.server(), "l2", lab_.folder() + "/out.pcap", "tcp and host " + stranger);
  Capture far(lab_.client(), "l2", lab_.folder() + "/far.pcap", "tcp and host " + stranger);
  constexpr uint16_t kOther = 4444;
  size_t sent = 0;
  {
    const Host::Scope scope(lab_.stranger());
    Tins::PacketSender sender;
    for (const uint16_t source : {uint16_t{443}, port, kOther}) {
      for (const uint16_t destination : {uint16_t{443}, port, kOther}) {
        Tins::TCP tcp(destination, source);
        tcp.flags(Tins::TCP::SYN);
        Tins::IP packet = Tins::IP(target, stranger) / tcp;
        sender.send(packet);
        ++sent;
      }
    }
  }
  in.Stop();
  out.Stop();
  far.Stop();
  EXPECT_EQ(ReadTrace(in.file()).size(), sent) << "they did come to the server";
  EXPECT_THAT(ReadTrace(out.file()), IsEmpty());
  EXPECT_THAT(ReadTrace(far.file()), IsEmpty());
  for (const Host* host : {&lab_.client(), &lab_.server()}) {
    EXPECT_EQ(host->Run("sysctl -n net.ipv4.ip_forward net.ipv6.conf.all.forwarding"), "0\n0\n");
  }
}

}  // namespace
}  // namespace mptcptls::lab
