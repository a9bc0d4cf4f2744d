#include "shim/settings.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <atomic>

#include "shim/log.h"

namespace mptcptls::shim {
namespace {

constexpr int kMaxVariables = 16;
constexpr size_t kTextSize = 8192;
constexpr char kPreload[] = "LD_PRELOAD=";
constexpr char kOurs[] = "MPTCPTLS_";

// Copies, since programs write their title over the environment (nginx).
struct Saved {
  char text[kTextSize];
  const char* variables[kMaxVariables + 1];
};
Saved saved;
enum State { kUnsaved, kSaving, kSaved };
std::atomic<int> state{kUnsaved};

void Copy(char** environment) {
  size_t used = 0;
  int count = 0;
  for (char** e = environment; e != nullptr && *e != nullptr; ++e) {
    if (strncmp(*e, kPreload, sizeof kPreload - 1) != 0 &&
        strncmp(*e, kOurs, sizeof kOurs - 1) != 0)
      continue;
    const size_t size = strlen(*e) + 1;
    if (count == kMaxVariables || size > kTextSize - used) break;
    memcpy(saved.text + used, *e, size);
    saved.variables[count++] = saved.text + used;
    used += size;
  }
}

// A hook that is called while another thread saves sees no settings; this happens only before
// main(), where there is one thread.
bool Save() {
  int expected = kUnsaved;
  if (state.load(std::memory_order_acquire) == kSaved) return true;
  if (!state.compare_exchange_strong(expected, kSaving)) return expected == kSaved;
  Copy(environ);
  state.store(kSaved, std::memory_order_release);
  return true;
}

__attribute__((constructor)) void SaveEarly() { Save(); }

}  // namespace

const char* KeptVariable(int index) {
  return Save() && index >= 0 && index < kMaxVariables ? saved.variables[index] : nullptr;
}

const char* Setting(const char* name) {
  const size_t length = strlen(name);
  for (int i = 0; const char* variable = KeptVariable(i); ++i)
    if (strncmp(variable, name, length) == 0 && variable[length] == '=')
      return variable + length + 1;
  return nullptr;
}

bool Required() {
  const char* const value = Setting("MPTCPTLS_REQUIRE");
  return value != nullptr && strcmp(value, "1") == 0;
}

bool CaptureLocal() {
  const char* const value = Setting("MPTCPTLS_CAPTURE");
  return value != nullptr && strcmp(value, "all") == 0;
}

control::Auth AuthSetting(bool* given) {
  static constexpr struct {
    const char* text;
    control::Auth auth;
  } kNames[] = {{"auto", control::Auth::kAuto},
                {"tls", control::Auth::kTls},
                {"keys", control::Auth::kKeys},
                {"tcp", control::Auth::kTcp}};
  const char* const value = Setting("MPTCPTLS_AUTH");
  *given = false;
  if (value == nullptr) return control::Auth::kAuto;
  for (const auto& name : kNames) {
    if (strcmp(value, name.text) != 0) continue;
    *given = true;
    return name.auth;
  }
  return control::Auth::kAuto;
}

control::Scheduler SchedulerSetting() {
  static constexpr struct {
    const char* text;
    control::Scheduler scheduler;
  } kNames[] = {{"lowest-rtt", control::Scheduler::kLowestRtt},
                {"blest", control::Scheduler::kBlest},
                {"ecf", control::Scheduler::kEcf},
                {"round-robin", control::Scheduler::kRoundRobin},
                {"redundant", control::Scheduler::kRedundant},
                {"latency", control::Scheduler::kLatency}};
  const char* const value = Setting("MPTCPTLS_SCHEDULER");
  if (value == nullptr) return control::Scheduler::kNotGiven;
  for (const auto& name : kNames) {
    if (strcmp(value, name.text) == 0) return name.scheduler;
  }
  static std::atomic<bool> told{false};
  if (!told.exchange(true)) {
    Log("MPTCPTLS_SCHEDULER=%.64s is ignored: one of lowest-rtt, blest, ecf, round-robin, "
        "redundant, "
        "latency is meant",
        value);
  }
  return control::Scheduler::kNotGiven;
}

bool Enabled() {
  static std::atomic<int> enabled{-1};
  int value = enabled.load(std::memory_order_relaxed);
  if (value < 0) {
    const int kept = errno;
    value = getauxval(AT_SECURE) == 0 ? 1 : 0;
    errno = kept;
    enabled.store(value, std::memory_order_relaxed);
  }
  return value == 1;
}

}  // namespace mptcptls::shim
