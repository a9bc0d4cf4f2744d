#include "engine/command_check.h"

#include <absl/status/status.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/command_circumstances.h"
#include "engine/command_descriptor.h"
#include "engine/command_error.h"
#include "engine/command_preload.h"
#include "engine/command_program.h"
#include "engine/command_run.h"
#include "engine/command_text.h"

namespace mptcptls::command {
namespace {

// In the file name of a library: what it is called, and whether the library hooks it.
struct TlsName {
  const char* file;
  const char* name;
  bool hooked;
};
constexpr TlsName kTlsNames[] = {{"libssl.so", "OpenSSL", true},
                                 {"libgnutls.so", "GnuTLS", true},
                                 {"libssl3.so", "NSS", false},
                                 {"libmbedtls.so", "Mbed TLS", false},
                                 {"libwolfssl.so", "wolfSSL", false}};

// The first word of each line, or what is behind its arrow, without folders.
std::vector<absl::string_view> FilesOf(absl::string_view listing) {
  std::vector<absl::string_view> files;
  for (const absl::string_view line : absl::StrSplit(listing, '\n')) {
    for (absl::string_view word : absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty())) {
      word = word.substr(word.rfind('/') + 1);
      files.push_back(word);
      break;
    }
  }
  return files;
}

constexpr char kKeyLogAdvice[] =
    "; where it writes key logs, `mptcptls run --keylog` takes its keys from there";

void Say(const std::string& label, const std::string& text) {
  printf("%-9s %s\n", label.c_str(), text.c_str());
}

std::vector<std::string> Variables() {
  std::vector<std::string> variables;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) variables.emplace_back(*e);
  return variables;
}

// As the library finds it (shim/engine_start.cc).
std::string EngineBeside(const std::string& library) {
  const char* const given = getenv("MPTCPTLS_ENGINE");
  if (given != nullptr) return given;
  return absl::StrCat(library.substr(0, library.rfind('/') + 1), "../bin/mptcptlsd");
}

// Of what runs in the end; why not, where the library will not load.
absl::Status Describe(const CheckOptions& options) {
  const char* const search = getenv("PATH");
  const auto path = FindProgram(options.program, search);
  if (!path.ok()) return path.status();
  const auto file = FollowScripts(*path, search);
  if (!file.ok()) return file.status();
  const std::string script = *file == *path ? "" : absl::StrCat(" (runs ", Printable(*file), ")");
  Say("program", Printable(*path) + script);
  RunOptions run;
  run.library = options.library;
  run.program = {options.program};
  const auto preload = CheckRun(run);
  if (!preload.ok()) return preload.status();
  const auto listing = LoaderListing(*file, *preload);
  if (!listing.ok()) return listing.status();
  const char* const before = getenv("LD_PRELOAD");
  const std::string after = before == nullptr || *before == 0 || *preload == before
                                ? ""
                                : absl::StrCat(" after LD_PRELOAD's own (", Printable(before), ")");
  const std::string library = options.library.empty() ? DefaultLibrary() : options.library;
  const Circumstances found =
      Examine({ProcessName(*path, *file), Variables(), EngineBeside(library), geteuid()});
  Say("library", absl::StrCat("will be loaded", after,
                              found.capture ? ": its TCP connections and listeners are captured"
                                            : ", and captures nothing: see below"));
  Say("TLS keys", KeySource(*listing, HasOwnTls(*file)));
  for (const auto& [label, text] : found.lines) Say(label, text);
  if (found.capture) return absl::OkStatus();
  return absl::FailedPreconditionError("nothing would be captured, for the reasons above");
}

}  // namespace

std::string KeySource(absl::string_view listing, bool own) {
  std::vector<std::string> hooked, others;
  for (const absl::string_view file : FilesOf(listing)) {
    for (const TlsName& tls : kTlsNames) {
      if (!absl::StartsWith(file, tls.file)) continue;
      (tls.hooked ? hooked : others).push_back(absl::StrCat(tls.name, " (", file, ")"));
    }
  }
  if (own) others.emplace_back("a TLS library in its own file");
  if (!hooked.empty()) {
    std::string text = absl::StrCat("from ", absl::StrJoin(hooked, " and "));
    if (!others.empty())
      absl::StrAppend(&text, ", not from ", absl::StrJoin(others, " or "), kKeyLogAdvice);
    return text;
  }
  if (!others.empty())
    return absl::StrCat("not from ", absl::StrJoin(others, " or "), kKeyLogAdvice);
  return "no TLS library is linked: from OpenSSL or GnuTLS, where it loads one of them later, and "
         "of the programs that it starts";
}

bool HasOwnTls(const std::string& file) {
  const Descriptor descriptor(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info;
  if (!descriptor.valid() || fstat(descriptor.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      info.st_size == 0)
    return false;
  const auto size = static_cast<size_t>(info.st_size);
  void* const bytes = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  if (bytes == MAP_FAILED) return false;
  static constexpr char kLabel[] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
  const bool found = memmem(bytes, size, kLabel, sizeof kLabel - 1) != nullptr;
  munmap(bytes, size);
  return found;
}

int Check(const CheckOptions& options) {
  const absl::Status status = Describe(options);
  if (status.ok()) return kSuccess;
  if (absl::IsNotFound(status)) return Fail(status, kNoSuchProgram);
  return Fail(status, absl::IsPermissionDenied(status) ? kCannotExecute : kFailure);
}

}  // namespace mptcptls::command
