#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>

namespace mptcptls::shim {

void* NextSymbol(const char* name) {
  const int saved = errno;
  void* const found = dlsym(RTLD_NEXT, name);
  errno = saved;
  return found;
}

}  // namespace mptcptls::shim
