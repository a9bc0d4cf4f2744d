// What `mptcptls check` says of variables, configuration and engine.
#include "engine/command_circumstances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/command_program.h"
#include "tests/unit/engine/command_fake_engine.h"

namespace mptcptls::command {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

class Folder {
 public:
  Folder() { EXPECT_NE(mkdtemp(path_), nullptr); }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string file = std::string(path_) + "/" + name;
    std::ofstream(file) << text;
    chmod(file.c_str(), 0755);
    return file;
  }

 private:
  char path_[32] = "/tmp/mptcptls-check-XXXXXX";
};

constexpr char kSome[] = "/bin/true";  // an engine that can be started

constexpr char kConfiguration[] = R"(bypass = ["10.0.0.0/8", 53]
[[rule]]
program = "wg*"
bypass = true
[[rule]]
program = "curl"
to = "[2001:db8::/32]:443"
auth = "tls"
scheduler = "ecf"
[[rule]]
listen = 443
bypass = false
)";

TEST(Circumstances, RulesThatAreForTheProgram) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    const std::string file = folder.Write("config.toml", kConfiguration);
    const Circumstances found = Examine(
        {"curl", {"MPTCPTLS_CONFIG=" + file, "MPTCPTLS_BYPASS=:22,nonsense,fd00::/8"}, kSome, 0});
    EXPECT_TRUE(found.capture);
    EXPECT_THAT(
        found.lines,
        ElementsAre(Pair("kernel's",
                         "loopback, link-local and this host's own addresses, :22, "
                         "fd00::/8, 10.0.0.0/8, :53"),
                    Pair("rules", file + ":5: program curl, to [2001:db8::/32]:443: auth tls, "
                                         "scheduler ecf"),
                    Pair("", file + ":10: listen 443: does not stay with the kernel"),
                    Pair("engine", "none runs: the program will start one"),
                    Pair("wrong", HasSubstr("MPTCPTLS_BYPASS: nonsense is ignored"))));
    EXPECT_THAT(Examine({"ssh", {"MPTCPTLS_CONFIG=" + file}, kSome, 0}).lines,
                Contains(Pair("rules", HasSubstr(":10: listen 443"))));
    EXPECT_THAT(Examine({"wg-quick", {"MPTCPTLS_CONFIG=" + file}, kSome, 0}).lines,
                Contains(Pair("rules", file + ":2: program wg*: stays with the kernel")));
  });
}

TEST(Circumstances, WithoutAnEngineThatCouldStartNothingIsCaptured) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    const std::string good = "MPTCPTLS_CONFIG=" + folder.Write("good.toml", "");
    const std::string bad = folder.Write("bad.toml", "idle_timeout = 5\nbypas = []\n");
    Circumstances found = Examine({"curl", {good}, kSome, 1000});
    EXPECT_FALSE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("engine", HasSubstr("only root can start one"))));
    found = Examine({"curl", {good}, "/no/such/engine", 0});
    EXPECT_FALSE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("engine", HasSubstr("/no/such/engine: No such file"))));
    found = Examine({"curl", {"MPTCPTLS_CONFIG=" + bad}, kSome, 0});
    EXPECT_FALSE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("wrong", HasSubstr(bad + ":2:9: unknown key"))));
    found = Examine({"curl", {"MPTCPTLS_CONFIG=etc/x.toml"}, kSome, 0});
    EXPECT_FALSE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("wrong", HasSubstr("etc/x.toml is no absolute path"))));
    found = Examine({"curl", {good, "MPTCPTLS_LOG=/no/such/folder/log"}, kSome, 0});
    EXPECT_TRUE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("wrong", HasSubstr("cannot be written: No such file"))));
  });
}

Circumstances WithEngine(const std::string& json, uint32_t version,
                         const std::vector<std::string>& variables) {
  const FakeEngine engine([&](int connection) {
    if (TakeRequest(connection).verb != control::Verb::kStatus) _exit(1);
    SendReply(connection, version == control::kVersion ? 0 : control::kErrorVersion, "", json,
              version);
    AwaitEnd(connection);
  });
  return Examine({"curl", variables, "/no/such/engine", 1000});
}

TEST(Circumstances, TheEngineThatRunsHasItsConfiguration) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Folder folder;
    const std::string file = folder.Write("its.toml", "bypass = [\"192.0.2.0/24\"]\n");
    const std::string json =
        R"({"engine": {"pid": 77, "version": "9.8", "config": ")" + file + "\"}}";
    Circumstances found = WithEngine(json, control::kVersion, {"MPTCPTLS_CONFIG=/some/other.toml"});
    EXPECT_TRUE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("engine", "runs (pid 77, version 9.8)")));
    EXPECT_THAT(found.lines, Contains(Pair("kernel's", HasSubstr(", 192.0.2.0/24"))));
    EXPECT_THAT(found.lines, Contains(Pair("wrong", HasSubstr("the one that runs has " + file))));
    found = WithEngine(json, control::kVersion, {});
    EXPECT_THAT(found.lines, Not(Contains(Pair("wrong", testing::_))));
  });
}

TEST(Circumstances, AnEngineOfAnotherVersionCapturesNothing) {
  RUN_IN_FRESH_NAMESPACE([] {
    const Circumstances found = WithEngine("", control::kVersion + 3, {});
    EXPECT_FALSE(found.capture);
    EXPECT_THAT(found.lines, Contains(Pair("engine", HasSubstr("of another version"))));
  });
}

TEST(ProcessName, IsWhatTheKernelWillCallIt) {
  const Folder folder;
  const std::string script = folder.Write("a-script-with-a-long-name", "#!/bin/sh\n");
  EXPECT_EQ(ProcessName(script, "/usr/bin/dash"), "a-script-with-a");
  const std::string by_env = folder.Write("script", "#!/usr/bin/env python3\n");
  EXPECT_EQ(ProcessName(by_env, "/usr/bin/python3"), "python3");
  EXPECT_EQ(ProcessName(folder.Write("bare", "echo\n"), "/bin/sh"), "sh");
  EXPECT_EQ(ProcessName("/bin/true", "/bin/true"), "true");
}

}  // namespace
}  // namespace mptcptls::command
