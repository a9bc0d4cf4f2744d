#include "shim/gnutls_library.h"

#include <dlfcn.h>

#include "shim/library_finder.h"

namespace mptcptls::shim {
namespace {

void Fill(void* handle, GnutlsLibrary* library) {
  library->complete = true;
#define MPTCPTLS_FIND(name)                                                        \
  library->name = reinterpret_cast<decltype(library->name)>(dlsym(handle, #name)); \
  if (library->name == nullptr) library->complete = false;
  MPTCPTLS_GNUTLS_FUNCTIONS(MPTCPTLS_FIND)
#undef MPTCPTLS_FIND
  library->free = static_cast<gnutls_free_function*>(dlsym(handle, "gnutls_free"));
  if (library->free == nullptr) library->complete = false;
}

constinit LibraryFinder<GnutlsLibrary> finder("gnutls_handshake", "/libgnutls.so", &Fill);

}  // namespace

const GnutlsLibrary* GnutlsLibraryOf(const void* caller) {
  return finder.Of(caller, reinterpret_cast<const void*>(&::gnutls_handshake));
}

}  // namespace mptcptls::shim
