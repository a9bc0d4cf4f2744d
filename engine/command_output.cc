#include "engine/command_output.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "engine/command_error.h"

namespace mptcptls::command {

size_t TerminalColumns() {
  winsize size = {};
  return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int Print(const std::string& text) {
  const bool ended = !text.empty() && text.back() == '\n';
  if (fwrite(text.data(), 1, text.size(), stdout) == text.size() && (ended || puts("") >= 0) &&
      fflush(stdout) == 0)
    return kSuccess;
  return Fail(absl::ErrnoToStatus(errno, "cannot write to standard output"));
}

}  // namespace mptcptls::command
