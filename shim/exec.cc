// execve() and its family, posix_spawn(), system() and popen(): the preload and our settings go on
// into what a program starts, also when it made a new environment (nginx's binary upgrade). What it
// set itself stays: an LD_PRELOAD gets our entry at its end, and an empty one turns us off. May run
// after vfork(): no allocation but in system() and popen().
#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

constexpr char kPreload[] = "LD_PRELOAD=";
constexpr size_t kPreloadLength = sizeof kPreload - 1;

size_t Count(char* const* list) {
  size_t count = 0;
  while (list != nullptr && list[count] != nullptr) ++count;
  return count;
}

bool Has(char* const* environment, const char* variable) {
  const size_t length = static_cast<size_t>(strchr(variable, '=') - variable) + 1;
  for (; environment != nullptr && *environment != nullptr; ++environment)
    if (strncmp(*environment, variable, length) == 0) return true;
  return false;
}

// The LD_PRELOAD that the program made and that lacks us; nullptr when there is nothing to add to.
const char* OthersPreload(char* const* environment) {
  if (OwnPreload() == nullptr || environment == nullptr) return nullptr;
  const char* preload = nullptr;  // of several the loader takes the last
  for (; *environment != nullptr; ++environment)
    if (strncmp(*environment, kPreload, kPreloadLength) == 0) preload = *environment;
  size_t length = 0;
  if (preload == nullptr || preload[kPreloadLength] == 0 ||
      FindPreload(preload + kPreloadLength, OwnPreload(), &length) != nullptr)
    return nullptr;
  return preload;
}

// How many bytes Complete() needs; 0: nothing is missing.
size_t Room(char* const* environment) {
  size_t missing = 0;
  if (!Enabled()) return 0;
  for (int i = 0; const char* variable = KeptVariable(i); ++i)
    if (!Has(environment, variable)) ++missing;
  const char* const preload = OthersPreload(environment);
  if (missing == 0 && preload == nullptr) return 0;
  return (Count(environment) + missing + 1) * sizeof(char*) +
         (preload == nullptr ? 0 : strlen(preload) + strlen(OwnPreload()) + sizeof ":");
}

// The environment with what it lacks, in `room`.
char** Complete(char* const* environment, void* room) {
  auto** const out = static_cast<char**>(room);
  const char* const preload = OthersPreload(environment);
  size_t used = Count(environment);
  if (used > 0) memcpy(out, environment, used * sizeof *out);
  const size_t before = used;
  for (int i = 0; const char* variable = KeptVariable(i); ++i)
    if (!Has(environment, variable)) out[used++] = const_cast<char*>(variable);
  out[used] = nullptr;
  if (preload == nullptr) return out;
  auto* const text = reinterpret_cast<char*>(out + used + 1);
  stpcpy(stpcpy(stpcpy(text, preload), ":"), OwnPreload());
  for (size_t i = 0; i < before; ++i)
    if (out[i] == preload) out[i] = text;
  return out;
}

// ---- What libc starts by itself: a shell, with the program's environment

// Text that is only measured where there is no memory for it.
class Text {
 public:
  explicit Text(char* out) : out_(out) {}
  void Add(const char* piece, size_t size) {
    if (out_ != nullptr) memcpy(out_ + length_, piece, size);
    length_ += size;
  }
  // In single quotes, for a shell.
  void AddQuoted(const char* piece) {
    Add("'", 1);
    for (; *piece != 0; ++piece) {
      if (*piece == '\'')
        Add("'\\''", 4);
      else
        Add(piece, 1);
    }
    Add("'", 1);
  }
  size_t length() const { return length_; }

 private:
  char* out_;
  size_t length_ = 0;
};

// "export NAME='value' ...; COMMAND", with its end. Returns its length.
size_t PutExports(char* const* environment, const char* command, char* out) {
  Text text(out);
  text.Add("export", 6);
  for (char* const* v = environment; *v != nullptr; ++v) {
    const size_t name = static_cast<size_t>(strchr(*v, '=') - *v) + 1;
    text.Add(" ", 1);
    text.Add(*v, name);
    text.AddQuoted(*v + name);
  }
  text.Add("; ", 2);
  text.Add(command, strlen(command) + 1);
  return text.length();
}

// `command` with our variables before it, to be freed; nullptr when the environment has them all.
char* WithExports(const char* command) {
  const size_t room = Room(environ);
  if (command == nullptr || room == 0) return nullptr;
  char** const complete = Complete(environ, alloca(room));
  // What is new is at the end, and what was replaced where it was.
  size_t kept = 0;
  for (size_t i = 0; complete[i] != nullptr; ++i)
    if (i >= Count(environ) || complete[i] != environ[i]) complete[kept++] = complete[i];
  complete[kept] = nullptr;
  auto* const text = static_cast<char*>(malloc(PutExports(complete, command, nullptr)));
  if (text != nullptr) PutExports(complete, command, text);
  return text;
}

}  // namespace
}  // namespace mptcptls::shim

using namespace mptcptls::shim;

// An environment with ours, on the caller's stack.
#define WITH_OURS(environment)                              \
  (Room(environment) == 0 ? const_cast<char**>(environment) \
                          : Complete(environment, alloca(Room(environment))))

// The arguments of an execl() as a vector on the caller's stack; `last` is left at what follows the
// null pointer. NOLINTBEGIN(bugprone-macro-parentheses): they are names, not expressions
#define COLLECT_ARGUMENTS(argv, first, last)                                                   \
  size_t argv##_count = 0;                                                                     \
  va_list argv##_counter;                                                                      \
  va_start(argv##_counter, first);                                                             \
  for (const char* a = first; a != nullptr; a = va_arg(argv##_counter, char*)) ++argv##_count; \
  va_end(argv##_counter);                                                                      \
  char** const argv = static_cast<char**>(alloca((argv##_count + 1) * sizeof(char*)));         \
  argv[0] = const_cast<char*>(first);                                                          \
  va_start(last, first);                                                                       \
  for (size_t i = 1; i <= argv##_count; ++i) argv[i] = va_arg(last, char*)
// NOLINTEND(bugprone-macro-parentheses)

MPTCPTLS_HOOK int execve(const char* path, char* const argv[], char* const envp[]) noexcept {
  return real::execve()(path, argv, WITH_OURS(envp));
}

MPTCPTLS_HOOK int execv(const char* path, char* const argv[]) noexcept {
  return real::execve()(path, argv, WITH_OURS(environ));
}

MPTCPTLS_HOOK int execvpe(const char* file, char* const argv[], char* const envp[]) noexcept {
  return real::execvpe()(file, argv, WITH_OURS(envp));
}

MPTCPTLS_HOOK int execvp(const char* file, char* const argv[]) noexcept {
  return real::execvpe()(file, argv, WITH_OURS(environ));
}

MPTCPTLS_HOOK int fexecve(int fd, char* const argv[], char* const envp[]) noexcept {
  return real::fexecve()(fd, argv, WITH_OURS(envp));
}

MPTCPTLS_HOOK int execveat(int folder, const char* path, char* const argv[], char* const envp[],
                           int flags) noexcept {
  return real::execveat()(folder, path, argv, WITH_OURS(envp), flags);
}

// NOLINTBEGIN(clang-analyzer-valist.Uninitialized): it does not see the va_start() in the macro
MPTCPTLS_HOOK int execl(const char* path, const char* first, ...) noexcept {
  va_list rest;
  COLLECT_ARGUMENTS(argv, first, rest);
  va_end(rest);
  return real::execve()(path, argv, WITH_OURS(environ));
}

MPTCPTLS_HOOK int execlp(const char* file, const char* first, ...) noexcept {
  va_list rest;
  COLLECT_ARGUMENTS(argv, first, rest);
  va_end(rest);
  return real::execvpe()(file, argv, WITH_OURS(environ));
}

MPTCPTLS_HOOK int execle(const char* path, const char* first, ...) noexcept {
  va_list rest;
  COLLECT_ARGUMENTS(argv, first, rest);
  char** const envp = va_arg(rest, char**);
  va_end(rest);
  return real::execve()(path, argv, WITH_OURS(envp));
}
// NOLINTEND(clang-analyzer-valist.Uninitialized)

MPTCPTLS_HOOK int posix_spawn(pid_t* pid, const char* path,
                              const posix_spawn_file_actions_t* actions,
                              const posix_spawnattr_t* attributes, char* const argv[],
                              char* const envp[]) {
  return real::posix_spawn()(pid, path, actions, attributes, argv, WITH_OURS(envp));
}

MPTCPTLS_HOOK int posix_spawnp(pid_t* pid, const char* file,
                               const posix_spawn_file_actions_t* actions,
                               const posix_spawnattr_t* attributes, char* const argv[],
                               char* const envp[]) {
  return real::posix_spawnp()(pid, file, actions, attributes, argv, WITH_OURS(envp));
}

MPTCPTLS_HOOK int system(const char* command) {
  char* const text = WithExports(command);
  const int result = real::system()(text == nullptr ? command : text);
  const int error = errno;
  free(text);
  errno = error;
  return result;
}

MPTCPTLS_HOOK FILE* popen(const char* command, const char* type) {
  char* const text = WithExports(command);
  FILE* const stream = real::popen()(text == nullptr ? command : text, type);
  const int error = errno;
  free(text);
  errno = error;
  return stream;
}
