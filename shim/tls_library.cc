#include "shim/tls_library.h"

#include <dlfcn.h>
#include <string.h>

#include "shim/library_finder.h"

namespace mptcptls::shim {
namespace {

void Fill(void* handle, TlsLibrary* library) {
  memset(library, 0, sizeof *library);
  library->complete = true;
#define MPTCPTLS_FIND(name)                                                        \
  library->name = reinterpret_cast<decltype(library->name)>(dlsym(handle, #name)); \
  if (library->name == nullptr) library->complete = false;
  MPTCPTLS_TLS_FUNCTIONS(MPTCPTLS_FIND)
#undef MPTCPTLS_FIND
  library->SSL_get_state =
      reinterpret_cast<decltype(library->SSL_get_state)>(dlsym(handle, "SSL_get_state"));
  library->callback_index = library->state_index = -1;
  if (!library->complete) return;
  const auto index = [library] {
    return library->CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, nullptr, nullptr, nullptr,
                                            nullptr);
  };
  library->callback_index = index();
  library->state_index = index();
  // Index 0 is SSL_set_app_data()'s, and never handed out.
  library->complete = library->callback_index > 0 && library->state_index > 0;
}

constinit LibraryFinder<TlsLibrary> finder("SSL_new", "/libssl.so", &Fill);

}  // namespace

const TlsLibrary* TlsLibraryOf(const void* caller) { return finder.Of(caller); }

}  // namespace mptcptls::shim
