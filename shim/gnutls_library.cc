#include "shim/gnutls_library.h"

#include <dlfcn.h>

#include "shim/library_finder.h"

namespace mptcptls::shim {
namespace {

// Older ones say nothing of a handshake that is not complete to who asks for a channel binding that
// they do not know (gnutls.cc).
constexpr char kOldest[] = "3.7.2";

void Fill(void* handle, GnutlsLibrary* library) {
  library->complete = true;
#define MPTCPTLS_FIND(name)                                                        \
  library->name = reinterpret_cast<decltype(library->name)>(dlsym(handle, #name)); \
  if (library->name == nullptr) library->complete = false;
  MPTCPTLS_GNUTLS_FUNCTIONS(MPTCPTLS_FIND)
#undef MPTCPTLS_FIND
  if (library->complete && library->gnutls_check_version(kOldest) == nullptr)
    library->complete = false;
}

constinit LibraryFinder<GnutlsLibrary> finder("gnutls_handshake", "/libgnutls.so", &Fill);

}  // namespace

const GnutlsLibrary* GnutlsLibraryOf(const void* caller) { return finder.Of(caller); }

}  // namespace mptcptls::shim
