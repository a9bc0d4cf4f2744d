// What settings_main.cc set, as the shim and the programs that it starts see it.
#include "shim/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>

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

void Spawn(char* const environment[]) {
  pid_t child = 0;
  int status = 0;
  if (posix_spawn(&child, kEnv, nullptr, nullptr, kArguments, environment) == 0)
    waitpid(child, &status, 0);
  _exit(status);
}

// The names of the stack's schedulers, in the order of control::Scheduler.
TEST(Settings, EverySchedulerHasItsName) {
  int number = 0;
  for (const char* name :
       {"lowest-rtt", "blest", "ecf", "round-robin", "redundant", "latency", "fastest", ""}) {
    const std::string variable = std::string("MPTCPTLS_SCHEDULER=") + name;
    const std::string text = EnvironmentAfter([&] {
      char self[] = "self", say[] = "--say-scheduler-twice", log[] = "MPTCPTLS_LOG=stderr";
      char* const arguments[] = {self, say, nullptr};
      std::string copy = variable;
      char* const environment[] = {copy.data(), log, nullptr};
      dup2(1, 2);
      execve("/proc/self/exe", arguments, environment);
    });
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

TEST(Exec, EveryCallCompletesTheEnvironment) {
  const std::pair<const char*, std::function<void()>> kCalls[] = {
      {"execve", [] { execve(kEnv, kArguments, kBare); }},
      {"execvpe", [] { execvpe(env_name, kArguments, kBare); }},
      {"execle", [] { execle(kEnv, env_name, nullptr, kBare); }},
      {"execveat", [] { execveat(-1, kEnv, kArguments, kBare, 0); }},
      {"posix_spawn", [] { Spawn(kBare); }},
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

TEST(Exec, ArgumentsArriveInOrder) {
  EXPECT_EQ(EnvironmentAfter([] { execl("/bin/echo", "echo", "1", "2", "3", nullptr); }),
            "1 2 3\n");
  char* environment[] = {one, nullptr};
  EXPECT_EQ(EnvironmentAfter([&] { execle("/bin/echo", "echo", "a", "b", nullptr, environment); }),
            "a b\n");
}

}  // namespace
}  // namespace mptcptls::shim
