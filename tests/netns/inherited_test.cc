// Listeners that a preloaded program is started with by one that is not: systemd's socket
// activation. What came before the program waits there is the kernel's, what comes after is ours.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"
#include "tests/netns/tls_paths.h"

namespace mptcptls::lab {
namespace {

using testing::Contains;
using testing::HasSubstr;

// RFC 8684's keys are offered at once at the one, none of them at the other.
int PortOf(bool tls) { return tls ? 443 : 8080; }
constexpr char kPrograms[] = NETNS_DIRECTORY "/programs/";

struct Row {
  const char* how;
  bool tls;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.how << (row.tls ? "_tls" : ""); }

class Inheriting : public testing::Test {
 protected:
  std::string Server() const { return lab_.Address(lab_.server(), 1, Family::kV4); }

  // Each program that is started serves two clients.
  void Activate(const char* how, bool tls, const std::vector<std::string>& more_env = {}) {
    std::vector<std::string> argv = {
        "python3", kPrograms + std::string("activate.py"),  std::to_string(PortOf(tls)),
        "python3", kPrograms + std::string("activated.py"), how,
        "2"};
    if (tls) argv.insert(argv.end(), {nginx_.certificate(), nginx_.key()});
    std::vector<std::string> env = {"ACTIVATED_PRELOAD=" + Product::Library(),
                                    "MPTCPTLS_LOG=" + lab_.folder() + "/shim.log"};
    env.insert(env.end(), more_env.begin(), more_env.end());
    activator_ = lab_.server().Start({.argv = argv, .env = env});
    ASSERT_TRUE(Eventually([&] { return activator_->out() == "ready\n"; })) << activator_->err();
  }
  // Fetches from the next program as its client `number`, and checks each byte.
  void Fetch(int number, bool tls) {
    const std::string copy = lab_.folder() + "/copy";
    const CurlResult result =
        RunCurl(lab_.client(), {.url = UrlOf(tls ? "https" : "http", Server(), "/", PortOf(tls)),
                                .output = copy,
                                .ca = nginx_.certificate(),
                                .extra = {"--http1.0"},
                                .env = Product::Environment()});
    ASSERT_EQ(result.status, 0) << result.error << activator_->err() << Log();
    const std::string body = ReadFile(copy);
    EXPECT_EQ(body.size(), 300000u);
    EXPECT_EQ(std::ranges::count(body, static_cast<char>(number)), 300000);
  }
  std::string NewestMode() {
    const auto connections = ConnectionsOf(lab_.client());
    return connections.empty() ? "none" : connections.back().mode;
  }
  bool Ended(int programs) {
    return Eventually([&] {
      const std::string out = activator_->out();
      size_t count = 0;
      for (size_t at = 0; (at = out.find("ended 0\n", at)) != std::string::npos; ++at) ++count;
      return count == static_cast<size_t>(programs);
    });
  }
  std::string Log() const { return ReadFile(lab_.folder() + "/shim.log"); }

  Lab lab_{LabOptions{}};
  Nginx nginx_{lab_, lab_.server()};  // for its certificate
  std::unique_ptr<Child> activator_;
};

class Inherited : public Inheriting, public testing::WithParamInterface<Row> {};

INSTANTIATE_TEST_SUITE_P(Ways, Inherited,
                         testing::Values(Row{"accept", false}, Row{"select", false},
                                         Row{"epoll", true}, Row{"listen", false}),
                         [](const auto& test) {
                           return std::string(test.param.how) + (test.param.tls ? "_tls" : "");
                         });

TEST_P(Inherited, ListenerIsCaptured) {
  const Row& row = GetParam();
  Activate(row.how, row.tls);
  // The second program is given the listener that the first one had.
  for (const int program : {1, 2}) {
    Fetch(0, row.tls);
    EXPECT_EQ(NewestMode(), "tcp") << "it came before the program";
    lab_.client().Run(Product::Command() + " cache clear");  // it learned that this is plain TCP
    Fetch(1, row.tls);
    EXPECT_EQ(NewestMode(), row.tls ? "tls-auth" : "keys") << Log();
    ASSERT_TRUE(Ended(program)) << activator_->out() << activator_->err();
  }
  EXPECT_THAT(activator_->out(),
              HasSubstr("served 1 ::ffff:" + lab_.Address(lab_.client(), 1, Family::kV4)));
}

// Reads all there is, says so, and closes when it is told to.
constexpr char kHolder[] = R"(
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
while connection.recv(65536): pass
print("read", flush=True)
sys.stdin.read()
)";

bool Outlives(const EngineStatus& status) {
  return testing::Matches(Contains(HasSubstr("outlive their listener: 1")))(status.installed);
}

// What the first program left to be done for a client is no reason to refuse the next one.
TEST_F(Inheriting, ConnectionsThatOutliveTheirListenerKeepNobodyOut) {
  Activate("listen", false);
  Fetch(0, false);
  const std::string pipe = lab_.folder() + "/hold";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int hold = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  const auto holder = lab_.client().Start(
      {.argv = {"python3", "-c", kHolder, Server(), std::to_string(PortOf(false))},
       .stdin_file = pipe});
  EXPECT_TRUE(Eventually([&] { return holder->out() == "read\n"; })) << holder->err();
  ASSERT_TRUE(Ended(1)) << activator_->out() << activator_->err();
  const auto before = Product::Status(lab_.server());
  ASSERT_TRUE(before.has_value());
  EXPECT_TRUE(Outlives(*before)) << before->json;  // it closed its listener, and was waited for
  Fetch(0, false);
  EXPECT_EQ(NewestMode(), "tcp");
  close(hold);
  EXPECT_TRUE(Eventually([&] {
    const auto after = Product::Status(lab_.server());
    return !after || !Outlives(*after);
  }));
}

// Closes its listener and keeps its one client, to whom it says each line again.
constexpr char kLeaver[] = R"(
import socket, sys
listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("ready", flush=True)
lines = listener.accept()[0].makefile("rw")
listener.close()
print("closed", flush=True)
for line in lines: print(line, end="", file=lines, flush=True)
)";
constexpr char kTalker[] = R"(
import socket, sys
lines = socket.create_connection((sys.argv[1], int(sys.argv[2]))).makefile("rw")
for line in sys.stdin:
  print(line, end="", file=lines, flush=True)
  print(lines.readline(), end="", flush=True)
)";

// While nobody else listens there the port stays the engine's: what the connection joins later
// comes to it. Then it is another's, who is not preloaded.
TEST_F(Inheriting, APortGoesToWhoListensThereNext) {
  const std::string port = std::to_string(PortOf(false));
  const auto leaver = lab_.server().Start(
      {.argv = {"python3", "-c", kLeaver, port}, .env = Product::Environment()});
  ASSERT_TRUE(Eventually([&] { return leaver->out() == "ready\n"; })) << leaver->err();
  const std::string pipe = lab_.folder() + "/hold";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int hold = open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  const auto talker = lab_.client().Start(
      {.argv = {"python3", "-u", "-c", kTalker, Server(), port}, .stdin_file = pipe});
  const auto says = [&](const char* line, const char* all) {
    EXPECT_EQ(write(hold, line, strlen(line)), static_cast<ssize_t>(strlen(line)));
    EXPECT_TRUE(Eventually([&] { return talker->out() == all; })) << talker->out() << talker->err();
  };
  says("one\n", "one\n");
  EXPECT_TRUE(Eventually([&] { return leaver->out() == "ready\nclosed\n"; }));
  const auto before = Product::Status(lab_.server());
  ASSERT_TRUE(before.has_value());
  EXPECT_THAT(before->installed, Contains(HasSubstr("listener 0.0.0.0:" + port)));
  EXPECT_FALSE(Outlives(*before));
  const auto next =
      lab_.server().Start({.argv = {"python3", "-m", "http.server", port, "-d", lab_.folder()}});
  const CurlOptions fetch{.url = UrlOf("http", Server(), "/", PortOf(false)),
                          .output = lab_.folder() + "/copy"};
  EXPECT_TRUE(Eventually([&] { return RunCurl(lab_.client(), fetch).status == 0; })) << next->err();
  says("two\n", "one\ntwo\n");
  const auto after = Product::Status(lab_.server());
  ASSERT_TRUE(after.has_value());
  EXPECT_TRUE(Outlives(*after)) << after->json;
  close(hold);
}

// MPTCPTLS_REQUIRE is for connect() and listen(): who was given a listener asked for nothing.
TEST_P(Inherited, ListenerStaysTheKernelsWithoutAnEngine) {
  const Row& row = GetParam();
  std::vector<std::string> env = {"MPTCPTLS_ENGINE=/no/such/engine"};
  if (row.how != std::string("listen")) env.emplace_back("MPTCPTLS_REQUIRE=1");
  Activate(row.how, row.tls, env);
  for (const int number : {0, 1}) {
    Fetch(number, row.tls);
    EXPECT_EQ(NewestMode(), "tcp");
  }
  EXPECT_TRUE(Ended(1)) << activator_->out() << activator_->err();
  EXPECT_THAT(Log(), HasSubstr("there is no engine to start"));
  EXPECT_EQ(Product::EnginePid(lab_.server()), 0);
}

}  // namespace
}  // namespace mptcptls::lab
