#include "engine/command_preload.h"

#include <absl/status/statusor.h>
#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "engine/command_descriptor.h"
#include "engine/command_elf.h"
#include "engine/command_text.h"
#include "engine/control_connection.h"

namespace mptcptls::command {
namespace {

constexpr std::chrono::seconds kListingWait{10};
constexpr size_t kMaxListing = 1u << 20;
constexpr char kVariable[] = "LD_PRELOAD=";

absl::Status WillNotLoad(const std::string& file, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(Printable(file), " ", why));
}

// The conditions under which the kernel sets AT_SECURE (security/commoncap.c), upon which ld.so
// ignores preloads.
absl::Status RefuseRaisedRights(const std::string& file) {
  struct stat info;
  struct statvfs mount;
  if (stat(file.c_str(), &info) != 0 || statvfs(file.c_str(), &mount) != 0)
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", file));
  // On such a mount, or under no_new_privs, the bits and capabilities have no effect.
  if ((mount.f_flag & ST_NOSUID) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
    return absl::OkStatus();
  const bool set_group = (info.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (((info.st_mode & S_ISUID) != 0 && info.st_uid != getuid()) ||
      (set_group && info.st_gid != getgid()))
    return WillNotLoad(
        file,
        "is set-user-id or set-group-id: the loader ignores preloads in it; start it "
        "as the user it becomes, or use a copy without that bit");
  if (getuid() != 0 && getxattr(file.c_str(), "security.capability", nullptr, 0) > 0)
    return WillNotLoad(
        file,
        "has file capabilities: the loader ignores preloads in it; start it as root, "
        "or use a copy without them");
  return absl::OkStatus();
}

std::vector<std::string> EnvironmentWith(const std::string& preload) {
  std::vector<std::string> variables;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e)
    if (!absl::StartsWith(*e, kVariable)) variables.emplace_back(*e);
  variables.push_back(kVariable + preload);
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Starts `loader --list file`, stdout and stderr to `output`. An errno, 0 when it runs.
int StartListing(const std::string& loader, const std::string& file, const std::string& preload,
                 int output, pid_t* pid) {
  std::vector<std::string> arguments = {loader, "--list", file};
  std::vector<std::string> environment = EnvironmentWith(preload);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  const int error = posix_spawn(pid, loader.c_str(), &actions, nullptr, Pointers(arguments).data(),
                                Pointers(environment).data());
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Until end of file or the deadline.
std::string ReadAll(int fd, Clock::time_point deadline) {
  std::string text;
  std::array<char, 4096> piece;
  while (text.size() < kMaxListing) {
    pollfd ready{fd, POLLIN, 0};
    const int events = poll(&ready, 1, MillisecondsUntil(deadline));
    if (events < 0 && errno == EINTR) continue;
    if (events <= 0) break;
    const ssize_t n = read(fd, piece.data(), piece.size());
    if (n <= 0) break;
    text.append(piece.data(), static_cast<size_t>(n));
  }
  return text;
}

absl::StatusOr<std::string> List(const std::string& loader, const std::string& file,
                                 const std::string& preload) {
  std::array<int, 2> ends;
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  pid_t pid = 0;
  const int error = StartListing(loader, file, preload, writer.get(), &pid);
  if (error != 0)
    return absl::FailedPreconditionError(absl::StrCat(
        Printable(file), " needs the dynamic loader ", Printable(loader),
        ", which does not start (", strerror(error), "): install the C library it was built for"));
  writer.Close();
  std::string listing = ReadAll(reader.get(), Clock::now() + kListingWait);
  // It has said all it will say, or takes too long; not yet waited for, so the number is its own.
  kill(pid, SIGKILL);
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return listing;
}

// What the loader said about it: the line that names the library, else its first line.
std::string LoadersWords(absl::string_view listing, absl::string_view library) {
  absl::string_view words;
  for (const absl::string_view line : absl::StrSplit(listing, '\n', absl::SkipWhitespace()))
    if (words.empty() || absl::StrContains(line, library)) words = line;
  return words.empty() ? "nothing" : Printable(absl::StripAsciiWhitespace(words));
}

}  // namespace

std::string AppendPreload(const char* before, const std::string& library) {
  const absl::string_view old = before == nullptr ? "" : before;
  for (const absl::string_view entry : absl::StrSplit(old, absl::ByAnyChar(": ")))
    if (entry == library) return std::string(old);
  return absl::StrCat(old, old.empty() ? "" : ":", library);
}

bool ListingHas(absl::string_view listing, absl::string_view library) {
  const std::string loaded = absl::StrCat(library, " (0x");
  for (absl::string_view line : absl::StrSplit(listing, '\n')) {
    line = absl::StripLeadingAsciiWhitespace(line);
    const size_t arrow = line.find(" => ");
    if (arrow != absl::string_view::npos) line.remove_prefix(arrow + 4);
    if (absl::StartsWith(line, loaded)) return true;
  }
  return false;
}

absl::StatusOr<std::string> LoaderListing(const std::string& file, const std::string& preload) {
  const auto program = ReadElf(file);
  if (!program.ok()) return program.status();
  if (program->interpreter.empty()) return std::string();
  return List(program->interpreter, file, preload);
}

absl::Status VerifyPreload(const std::string& file, const std::string& library,
                           const std::string& preload) {
  if (library.find_first_of(": \t\n") != std::string::npos)
    return absl::InvalidArgumentError(
        absl::StrCat("the library's path ", Printable(library), " has a space or a colon, which ",
                     "LD_PRELOAD cannot express: install it elsewhere, or use a symbolic link"));
  const auto ours = ReadElf(library);
  if (!ours.ok())
    return absl::FailedPreconditionError(
        absl::StrCat(Printable(ours.status().message()), ": install libmptcptls.so beside this ",
                     "command (../lib), or name it with --library"));
  const auto program = ReadElf(file);
  if (!program.ok()) return program.status();
  if (!program->SamePlatform(*ours))
    return WillNotLoad(file, absl::StrCat("is built for ", PlatformName(*program),
                                          ", the library for ", PlatformName(*ours),
                                          ": build the library for that, name it with --library"));
  if (program->interpreter.empty())
    return WillNotLoad(file,
                       "is statically linked: a preload cannot reach it; use a dynamically linked "
                       "build of it");
  const absl::Status rights = RefuseRaisedRights(file);
  if (!rights.ok()) return rights;
  const auto listing = List(program->interpreter, file, preload);
  if (!listing.ok()) return listing.status();
  if (ListingHas(*listing, library)) return absl::OkStatus();
  return WillNotLoad(
      file, absl::StrCat("does not load the library; its loader ", Printable(program->interpreter),
                         " says: ", LoadersWords(*listing, library),
                         "; correct that, or name another build with --library"));
}

}  // namespace mptcptls::command
