#include "shim/settings.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <atomic>

#include "engine/variables.h"
#include "shim/log.h"

namespace mptcptls::shim {
namespace {

constexpr int kMaxVariables = 16;
constexpr size_t kTextSize = 8192;
constexpr char kPreload[] = "LD_PRELOAD=";
constexpr char kPreloadBetween[] = ": ";  // ld.so(8)
constexpr size_t kNameSize = 64;

// Copies, since programs write their title over the environment (nginx).
struct Saved {
  char text[kTextSize];
  const char* variables[kMaxVariables + 1];
  char left_out[kNameSize];  // one that found no room; empty: none
  char own[PATH_MAX];        // our entry of LD_PRELOAD; empty: none
};
Saved saved;
enum State { kUnsaved, kSaving, kSaved };
std::atomic<int> state{kUnsaved};

void Copy(char** environment) {
  size_t used = 0;
  int count = 0;
  for (char** e = environment; e != nullptr && *e != nullptr; ++e) {
    if (strncmp(*e, kPreload, sizeof kPreload - 1) != 0 &&
        strncmp(*e, variables::kPrefix, sizeof variables::kPrefix - 1) != 0)
      continue;
    const size_t size = strlen(*e) + 1;
    if (count == kMaxVariables || size > kTextSize - used) {
      variables::Line(saved.left_out, kNameSize).Add(*e, strcspn(*e, "="));
      continue;
    }
    memcpy(saved.text + used, *e, size);
    saved.variables[count++] = saved.text + used;
    used += size;
  }
}

// The entry of LD_PRELOAD whose file is called as ours is.
void FindOwnEntry() {
  Dl_info self;
  if (dladdr(reinterpret_cast<const void*>(&Required), &self) == 0) return;
  const char* const list = Setting("LD_PRELOAD");
  if (list == nullptr) return;
  size_t length = 0;
  const char* const entry = FindPreload(list, self.dli_fname, &length);
  if (entry != nullptr && length < sizeof saved.own) memcpy(saved.own, entry, length);
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

__attribute__((constructor)) void SaveEarly() {
  Save();
  FindOwnEntry();
}

const char* FileOf(const char* path, size_t* length) {
  const char* const slash = static_cast<const char*>(memrchr(path, '/', *length));
  const char* const file = slash == nullptr ? path : slash + 1;
  *length -= static_cast<size_t>(file - path);
  return file;
}

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

const char* OwnPreload() { return saved.own[0] == 0 ? nullptr : saved.own; }

const char* FindPreload(const char* list, const char* library, size_t* length) {
  size_t wanted = strlen(library);
  const char* const name = FileOf(library, &wanted);
  for (;; list += *length) {
    list += strspn(list, kPreloadBetween);
    *length = strcspn(list, kPreloadBetween);
    if (*length == 0) return nullptr;
    size_t have = *length;
    const char* const file = FileOf(list, &have);
    if (have == wanted && memcmp(file, name, wanted) == 0) return list;
  }
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
  const char* const value = Setting("MPTCPTLS_AUTH");
  const int number = value == nullptr ? -1 : variables::WordNumber(variables::kAuths, value);
  *given = number >= 0;
  return *given ? static_cast<control::Auth>(number) : control::Auth::kAuto;
}

control::Scheduler SchedulerSetting() {
  const char* const value = Setting("MPTCPTLS_SCHEDULER");
  const int number = value == nullptr ? -1 : variables::WordNumber(variables::kSchedulers, value);
  return static_cast<control::Scheduler>(number + 1);
}

void TellWrongSettings() {
  static std::atomic<bool> told{false};
  if (told.exchange(true)) return;
  char text[400];
  for (int i = 0; const char* variable = KeptVariable(i); ++i) {
    variables::Line why(text, sizeof text);
    variables::Explain(variable, &why);
    if (!why.empty()) Log("%s", text);
  }
  if (saved.left_out[0] != 0)
    Log("%s is ignored: LD_PRELOAD and MPTCPTLS_* have room for %d variables and %zu bytes",
        saved.left_out, kMaxVariables, kTextSize);
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
