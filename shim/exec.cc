// execve() and its family, posix_spawn(): the preload and our settings go on into what a program
// starts, also when it made a new environment (nginx's binary upgrade). An environment that has an
// LD_PRELOAD of its own, even an empty one, is left alone. May run after vfork(): no allocation.
#include <alloca.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

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

// How many variables of ours are missing.
size_t Missing(char* const* environment) {
  size_t missing = 0;
  if (!Enabled()) return 0;
  for (int i = 0; const char* variable = KeptVariable(i); ++i)
    if (!Has(environment, variable)) ++missing;
  return missing;
}

// `out` has room for Count + Missing + 1.
char** Complete(char* const* environment, char** out) {
  size_t used = Count(environment);
  if (used > 0) memcpy(out, environment, used * sizeof *out);
  for (int i = 0; const char* variable = KeptVariable(i); ++i)
    if (!Has(environment, variable)) out[used++] = const_cast<char*>(variable);
  out[used] = nullptr;
  return out;
}

}  // namespace
}  // namespace mptcptls::shim

using namespace mptcptls::shim;

// An environment with ours, on the caller's stack.
#define WITH_OURS(environment)           \
  (Missing(environment) == 0             \
       ? const_cast<char**>(environment) \
       : Complete(environment,           \
                  static_cast<char**>(   \
                      alloca((Count(environment) + Missing(environment) + 1) * sizeof(char*)))))

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
