#include "shim/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim/settings.h"

namespace mptcptls::shim {

void Log(const char* format, ...) {
  const char* const target = Setting("MPTCPTLS_LOG");
  if (target == nullptr || *target == 0) return;
  const int saved = errno;
  char line[512];
  int length = snprintf(line, sizeof line, "mptcptls[%d]: ", static_cast<int>(getpid()));
  va_list arguments;
  va_start(arguments, format);
  length += vsnprintf(line + length, sizeof line - static_cast<size_t>(length), format, arguments);
  va_end(arguments);
  if (length > static_cast<int>(sizeof line) - 2) length = sizeof line - 2;
  line[length++] = '\n';
  const bool to_stderr = strcmp(target, "stderr") == 0;
  const int fd = to_stderr
                     ? STDERR_FILENO
                     : open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) {
    // Nothing can be done about a log that cannot be written.
    [[maybe_unused]] const ssize_t written = write(fd, line, static_cast<size_t>(length));
    if (!to_stderr) close(fd);
  }
  errno = saved;
}

}  // namespace mptcptls::shim
