#include "engine/command_program.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "engine/command_descriptor.h"
#include "engine/command_text.h"

namespace mptcptls::command {
namespace {

constexpr int kMaxScripts = 5;     // the kernel's limit, then ELOOP
constexpr size_t kLineSize = 256;  // BINPRM_BUF_SIZE: the kernel reads no more of a line
constexpr char kUsualPath[] = "/bin:/usr/bin";  // execvp()'s without $PATH
constexpr char kShell[] = "/bin/sh";

absl::Status NoSuchProgram(const std::string& name) {
  return absl::NotFoundError(
      absl::StrCat(Printable(name), ": no such program: install it, or give its path"));
}

absl::Status NotExecutable(const std::string& path) {
  return absl::PermissionDeniedError(
      absl::StrCat(Printable(path), " cannot be executed: it is a folder or you lack the right"));
}

// 0 or why `path` is not something to execute.
int WhyNotExecutable(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return errno;
  if (!S_ISREG(info.st_mode)) return EACCES;
  return faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// The program that env(1) starts, where its arguments are plain; empty otherwise.
std::string EnvsProgram(absl::string_view arguments) {
  const bool split = absl::ConsumePrefix(&arguments, "-S");
  if (!split && absl::StrContains(arguments, ' ')) return "";  // one argument for the kernel
  for (const absl::string_view word : absl::StrSplit(arguments, ' ', absl::SkipEmpty())) {
    if (absl::StartsWith(word, "-")) return "";
    if (!absl::StrContains(word, '=')) return std::string(word);
  }
  return "";
}

absl::StatusOr<std::string> HeadOf(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!file.valid())
    return absl::FailedPreconditionError(absl::StrCat(
        Printable(path), " cannot be read, so it cannot be told whether the library will load: ",
        "make it readable, or set LD_PRELOAD yourself"));
  std::string head(kLineSize, '\0');
  const ssize_t size = pread(file.get(), head.data(), head.size(), 0);
  head.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return head;
}

// The interpreter that the first line names; `path` itself when it is an ELF file.
absl::StatusOr<std::string> Interpreter(const std::string& path, const char* search) {
  const auto read = HeadOf(path);
  if (!read.ok()) return read.status();
  const std::string& head = *read;
  if (absl::StartsWith(head, ELFMAG)) return path;
  if (!absl::StartsWith(head, "#!")) return std::string(kShell);
  const absl::string_view line = absl::string_view(head).substr(2, head.find('\n') - 2);
  const absl::string_view words = absl::StripAsciiWhitespace(line);
  const size_t end = words.find_first_of(" \t");
  const std::string interpreter(words.substr(0, end));
  const absl::string_view arguments =
      end == absl::string_view::npos ? "" : absl::StripAsciiWhitespace(words.substr(end));
  if (interpreter == "/usr/bin/env" || interpreter == "/bin/env") {
    const std::string program = EnvsProgram(arguments);
    if (!program.empty()) return FindProgram(program, search);
  }
  return interpreter;
}

}  // namespace

absl::StatusOr<std::string> FindProgram(const std::string& name, const char* search) {
  if (name.empty()) return NoSuchProgram("''");
  if (absl::StrContains(name, '/')) {
    const int error = WhyNotExecutable(name);
    if (error == 0) return name;
    return error == EACCES ? NotExecutable(name) : NoSuchProgram(name);
  }
  std::string refused;
  for (const absl::string_view folder : absl::StrSplit(search ? search : kUsualPath, ':')) {
    const std::string path = absl::StrCat(folder.empty() ? "." : folder, "/", name);
    const int error = WhyNotExecutable(path);
    if (error == 0) return path;
    if (error == EACCES) refused = path;
  }
  return refused.empty() ? NoSuchProgram(name) : NotExecutable(refused);
}

std::string ProcessName(const std::string& path, const std::string& file) {
  constexpr size_t kMost = 15;  // TASK_COMM_LEN, less its end
  const std::string head = HeadOf(path).value_or("");
  const std::string line = head.substr(0, head.find('\n'));
  // A file without such a line is executed by a shell that execvp() starts.
  const bool own = absl::StartsWith(head, ELFMAG) ||
                   (absl::StartsWith(line, "#!") && !absl::StrContains(line, "/env "));
  const std::string& last = own ? path : file;
  return last.substr(last.rfind('/') + 1).substr(0, kMost);
}

absl::StatusOr<std::string> FollowScripts(const std::string& path, const char* search) {
  std::string current = path;
  for (int scripts = 0; scripts <= kMaxScripts; ++scripts) {
    auto next = Interpreter(current, search);
    if (!next.ok() || *next == current) return next;
    const int error = WhyNotExecutable(*next);
    if (error != 0)
      return absl::FailedPreconditionError(
          absl::StrCat(Printable(current), " is a script for ", Printable(*next), ", which ",
                       error == EACCES ? "cannot be executed" : "does not exist",
                       ": correct its first line, or install that"));
    current = *std::move(next);
  }
  return absl::FailedPreconditionError(absl::StrCat(
      Printable(path), " is a script for a script for a script: name its interpreter, ",
      "`mptcptls run -- INTERPRETER ", Printable(path), "`"));
}

}  // namespace mptcptls::command
