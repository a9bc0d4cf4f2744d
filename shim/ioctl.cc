// ioctl(): what is on its way, which a unix socket counts otherwise; and what the kernel answers on
// sockets of the internet alone.
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "shim/captured.h"
#include "shim/control_client.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

// tcp(7): the bytes that the peer has not acknowledged, or that have not been sent. 0 once the
// connection is over.
int BytesOnTheirWay(int fd, const control::Name& name, unsigned long request, int* out) {
  if (name.role == control::Role::kListener) {
    errno = EINVAL;
    return -1;
  }
  int bytes = 0;
  socklen_t length = sizeof bytes;
  const int error = AskOption(control::Verb::kGetOption, fd, control::kLevelIoctl,
                              static_cast<int>(request), &bytes, &length);
  *out = error == 0 && length == sizeof bytes ? bytes : 0;
  return 0;
}

// SIOCGIFADDR and its like (netdevice(7)).
bool OfInterfaces(unsigned long request) { return request >= SIOCGIFNAME && request <= SIOCSIFMAP; }

int AskInternetSocket(unsigned long request, void* argument) {
  const int fd = real::socket()(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  const int result = real::ioctl()(fd, request, argument);
  const ErrnoKeeper keeper;
  close(fd);
  return result;
}

}  // namespace
}  // namespace mptcptls::shim

MPTCPTLS_HOOK int ioctl(int fd, unsigned long request, ...) noexcept {
  using namespace mptcptls::shim;
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  mptcptls::control::Name name;
  const bool counts = request == SIOCOUTQ || request == SIOCOUTQNSD;
  if (counts && argument != nullptr && Enabled() && Captured(fd, &name))
    return BytesOnTheirWay(fd, name, request, static_cast<int*>(argument));
  const int saved = errno;
  const int result = real::ioctl()(fd, request, argument);
  const bool refused = result < 0 && (errno == ENOTTY || errno == EINVAL);
  if (!refused || !OfInterfaces(request) || !Enabled() || !Captured(fd, &name)) return result;
  errno = saved;
  return AskInternetSocket(request, argument);
}
