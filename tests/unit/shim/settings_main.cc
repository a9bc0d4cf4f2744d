// The shim reads its settings when the process begins, so the suite begins twice: the second time
// in a network namespace of its own (abstract names are per namespace, and nothing leaves it) and
// with the settings that the tests expect.
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "shim/settings.h"

namespace {

bool EnterNamespace() {
  if (unshare(CLONE_NEWNET) == 0) return true;
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << uid << ' ' << uid << " 1";
  std::ofstream("/proc/self/gid_map") << gid << ' ' << gid << " 1";
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (getenv("MPTCPTLS_REQUIRE") == nullptr) {
    setenv("MPTCPTLS_REQUIRE", "1", 1);
    setenv("MPTCPTLS_AUTH", "keys", 1);
    setenv("MPTCPTLS_SCHEDULER", "ecf", 1);
    setenv("MPTCPTLS_BYPASS", ":53, 203.0.113.0/24", 1);
    setenv("MPTCPTLS_ENGINE", "/nonexistent/mptcptlsd", 1);
    if (!EnterNamespace()) {
      perror("no network namespace (root, or unprivileged user namespaces, needed)");
      return 1;
    }
    execve("/proc/self/exe", argv, environ);
    perror("/proc/self/exe");
    return 1;
  }
  // For the tests of variables that are wrong from the beginning, and of a program that clears its
  // environment.
  const std::string_view what = argc >= 2 ? argv[1] : "";
  if (what == "--tell-twice") {
    for (int i = 0; i < 2; ++i) {
      mptcptls::shim::TellWrongSettings();
      printf("%d\n", static_cast<int>(mptcptls::shim::SchedulerSetting()));
      fflush(stdout);
    }
    return 0;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
