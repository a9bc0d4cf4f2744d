// What settings_main.cc set, as the shim and the programs that it starts see it.
#include "shim/settings.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace mptcptls::shim {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

TEST(Settings, AsTheProcessBegan) {
  EXPECT_TRUE(Enabled());
  EXPECT_TRUE(Required());
  EXPECT_STREQ(Setting("MPTCPTLS_BYPASS"), ":53, 203.0.113.0/24");
  EXPECT_EQ(Setting("MPTCPTLS_BYPAS"), nullptr);
  EXPECT_EQ(Setting("MPTCPTLS_NOTHING"), nullptr);
  bool given = false;
  EXPECT_EQ(AuthSetting(&given), control::Auth::kKeys);
  EXPECT_TRUE(given);
  setenv("MPTCPTLS_AUTH", "tcp", 1);
  EXPECT_EQ(AuthSetting(&given), control::Auth::kKeys);
  EXPECT_EQ(SchedulerSetting(), control::Scheduler::kEcf);
}

TEST(Settings, AllAreKept) {
  int count = 0;
  while (KeptVariable(count) != nullptr) ++count;
  EXPECT_EQ(count, 5);
  EXPECT_EQ(KeptVariable(-1), nullptr);
  EXPECT_EQ(KeptVariable(1000), nullptr);
}

// The output of env(1), executed by `execute` in a child.
std::string EnvironmentAfter(const std::function<void()>& execute) {
  int out[2];
  if (pipe(out) != 0) return "pipe";
  const pid_t child = fork();
  if (child == 0) {
    dup2(out[1], 1);
    close(out[0]);
    close(out[1]);
    execute();
    _exit(127);
  }
  close(out[1]);
  std::string text;
  char bytes[4096];
  for (ssize_t n; (n = read(out[0], bytes, sizeof bytes)) > 0;)
    text.append(bytes, static_cast<size_t>(n));
  close(out[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return text;
}

constexpr char kEnv[] = "/usr/bin/env";
char env_name[] = "env";
char* const kArguments[] = {env_name, nullptr};
char one[] = "ONE=1";
char own_require[] = "MPTCPTLS_REQUIRE=0";
char own_preload[] = "LD_PRELOAD=";
char* const kBare[] = {one, nullptr};
char* const kEmpty[] = {nullptr};
char* const kOwn[] = {own_preload, own_require, nullptr};

void Spawn(decltype(posix_spawn) function, const char* file, char* const environment[]) {
  pid_t child = 0;
  int status = 0;
  if (function(&child, file, nullptr, nullptr, kArguments, environment) == 0)
    waitpid(child, &status, 0);
  _exit(status);
}

// What a process says that begins with these variables, and asks twice.
std::string SaidWith(std::vector<std::string> variables) {
  return EnvironmentAfter([&] {
    char self[] = "self", tell[] = "--tell-twice", log[] = "MPTCPTLS_LOG=stderr";
    char* const arguments[] = {self, tell, nullptr};
    std::vector<char*> environment = {log};
    for (std::string& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    dup2(1, 2);
    execve("/proc/self/exe", arguments, environment.data());
  });
}

// The names of the stack's schedulers, in the order of control::Scheduler.
TEST(Settings, EverySchedulerHasItsName) {
  int number = 0;
  for (const char* name :
       {"lowest-rtt", "blest", "ecf", "round-robin", "redundant", "latency", "fastest", ""}) {
    const std::string variable = std::string("MPTCPTLS_SCHEDULER=") + name;
    const std::string text = SaidWith({variable});
    if (++number <= 6) {
      EXPECT_EQ(text, std::to_string(number) + "\n" + std::to_string(number) + "\n");
    } else {
      // Ignored, and said once.
      EXPECT_THAT(text, EndsWith(" is meant\n0\n0\n"));
      EXPECT_THAT(text, HasSubstr(": " + variable +
                                  " is ignored: one of lowest-rtt, blest, ecf, "
                                  "round-robin, redundant, latency is meant\n"));
    }
  }
}

TEST(Settings, EachMistakeIsToldInOneLineOnce) {
  const std::string text =
      SaidWith({"MPTCPTLS_AUTH=TLS", "MPTCPTLS_REQUIRE=yes", "MPTCPTLS_CAPTURE=everything",
                "MPTCPTLS_BYPASS=10.0.0.0/8,10.0.0.0/33 :53,:x", "MPTCPTLS_FOO=1"});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5 + 2) << text;
  for (const char* line :
       {": MPTCPTLS_AUTH=TLS is ignored: one of auto, tls, keys, tcp is meant\n",
        ": MPTCPTLS_REQUIRE=yes is ignored: one of 0, 1 is meant\n",
        ": MPTCPTLS_CAPTURE=everything is ignored: one of remote, all is meant\n",
        ": MPTCPTLS_BYPASS: 10.0.0.0/33, :x is ignored: addresses, ",
        ": MPTCPTLS_FOO is ignored: there is no such variable; there are "
        "MPTCPTLS_AUTH, MPTCPTLS_BYPASS, "}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Settings, WhatIsTooLongIsToldAndTheOthersAreKept) {
  const std::string text =
      SaidWith({"MPTCPTLS_BYPASS=" + std::string(9000, '1'), "MPTCPTLS_SCHEDULER=ecf"});
  EXPECT_THAT(text, HasSubstr(": MPTCPTLS_BYPASS is ignored: LD_PRELOAD and MPTCPTLS_* have room"));
  EXPECT_THAT(text, EndsWith("\n3\n3\n"));
}

TEST(Settings, SilentWhereNothingIsWrong) {
  EXPECT_EQ(SaidWith({"MPTCPTLS_AUTH=tls", "MPTCPTLS_REQUIRE=0", "MPTCPTLS_CAPTURE=remote",
                      "MPTCPTLS_BYPASS= ,fd00::/8,", "MPTCPTLS_CONFIG=", "MPTCPTLS_KEYLOG=1"}),
            "3\n3\n");
}

TEST(Preload, AnEntryIsFoundByTheNameOfItsFile) {
  const auto found = [](const char* list, const char* library) {
    size_t length = 0;
    const char* const entry = FindPreload(list, library, &length);
    return entry == nullptr ? "none" : std::string(entry, length);
  };
  EXPECT_EQ(found("/a/libx.so:/b/libours.so:/c/liby.so", "/lib/libours.so"), "/b/libours.so");
  EXPECT_EQ(found("libours.so", "/lib/libours.so"), "libours.so");
  EXPECT_EQ(found("/a/libx.so /b/libours.so", "libours.so"), "/b/libours.so");
  EXPECT_EQ(found("::/b/libours.so::", "libours.so"), "/b/libours.so");
  EXPECT_EQ(found("/b/libours.so.1:/libours.so/x:notlibours.so", "/lib/libours.so"), "none");
  EXPECT_EQ(found("", "/lib/libours.so"), "none");
}

TEST(Exec, EveryCallCompletesTheEnvironment) {
  const std::pair<const char*, std::function<void()>> kCalls[] = {
      {"execve", [] { execve(kEnv, kArguments, kBare); }},
      {"execvpe", [] { execvpe(env_name, kArguments, kBare); }},
      {"execle", [] { execle(kEnv, env_name, nullptr, kBare); }},
      {"execveat", [] { execveat(-1, kEnv, kArguments, kBare, 0); }},
      {"fexecve", [] { fexecve(open(kEnv, O_RDONLY | O_CLOEXEC), kArguments, kBare); }},
      {"posix_spawn", [] { Spawn(posix_spawn, kEnv, kBare); }},
      {"posix_spawnp", [] { Spawn(posix_spawnp, "env", kBare); }},
      {"system",
       [] {
         clearenv();
         putenv(one);
         _exit(system("env"));
       }},
      {"popen",
       [] {
         clearenv();
         putenv(one);
         FILE* const stream = popen("cat; env", "w");
         _exit(pclose(stream));
       }},
      {"execv",
       [] {
         clearenv();
         putenv(one);
         execv(kEnv, kArguments);
       }},
      {"execvp",
       [] {
         clearenv();
         setenv("PATH", "/usr/bin", 1);
         putenv(one);
         execvp(env_name, kArguments);
       }},
      {"execl",
       [] {
         clearenv();
         putenv(one);
         execl(kEnv, env_name, nullptr);
       }},
      {"execlp",
       [] {
         clearenv();
         putenv(one);
         execlp(kEnv, env_name, nullptr);
       }},
  };
  for (const auto& [name, call] : kCalls) {
    SCOPED_TRACE(name);
    const std::string text = EnvironmentAfter(call);
    EXPECT_THAT(text, HasSubstr("ONE=1\n"));
    EXPECT_THAT(text, HasSubstr("MPTCPTLS_REQUIRE=1\n"));
    EXPECT_THAT(text, HasSubstr("MPTCPTLS_BYPASS=:53, 203.0.113.0/24\n"));
  }
}

TEST(Exec, AnEmptyAndANullEnvironment) {
  EXPECT_THAT(EnvironmentAfter([] { execve(kEnv, kArguments, kEmpty); }),
              HasSubstr("MPTCPTLS_AUTH=keys\n"));
  char* const* const none = nullptr;
  EXPECT_THAT(EnvironmentAfter([none] { execve(kEnv, kArguments, none); }),
              HasSubstr("MPTCPTLS_AUTH=keys\n"));
}

TEST(Exec, WhatTheProgramSetsStays) {
  const std::string text = EnvironmentAfter([] { execve(kEnv, kArguments, kOwn); });
  EXPECT_THAT(text, HasSubstr("LD_PRELOAD=\n"));
  EXPECT_THAT(text, HasSubstr("MPTCPTLS_REQUIRE=0\n"));
  EXPECT_THAT(text, Not(HasSubstr("MPTCPTLS_REQUIRE=1")));
}

TEST(Exec, ShellsKeepQuotesAndStatus) {
  EXPECT_EQ(EnvironmentAfter([] {
              clearenv();
              setenv("MPTCPTLS_BYPASS", "mine", 1);
              const int status = system("echo \"$MPTCPTLS_BYPASS $MPTCPTLS_AUTH $0\"; exit 7");
              _exit(WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : 1);
            }),
            "mine keys sh\n");
  EXPECT_NE(system(nullptr), 0) << "there is a shell";
  // Nothing is put before a command where nothing is missing.
  EXPECT_EQ(EnvironmentAfter([] { _exit(system("cat /proc/$$/cmdline | tr '\\0' ' '")); }),
            "sh -c cat /proc/$$/cmdline | tr '\\0' ' ' ");
}

TEST(Exec, ArgumentsArriveInOrder) {
  EXPECT_EQ(EnvironmentAfter([] { execl("/bin/echo", "echo", "1", "2", "3", nullptr); }),
            "1 2 3\n");
  char* environment[] = {one, nullptr};
  EXPECT_EQ(EnvironmentAfter([&] { execle("/bin/echo", "echo", "a", "b", nullptr, environment); }),
            "a b\n");
}

}  // namespace
}  // namespace mptcptls::shim
