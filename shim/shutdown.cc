// shutdown(), which TCP refuses when nothing is left to shut down.
#include <errno.h>
#include <sys/socket.h>

#include "shim/captured.h"
#include "shim/real.h"
#include "shim/settings.h"

MPTCPTLS_HOOK int shutdown(int fd, int how) noexcept {
  using namespace mptcptls::shim;
  mptcptls::control::Name name;
  const bool valid = how == SHUT_RD || how == SHUT_WR || how == SHUT_RDWR;
  if (valid && Enabled() && Captured(fd, &name) && Over(fd, name)) {
    errno = ENOTCONN;
    return -1;
  }
  return real::shutdown()(fd, how);
}
