#include "shim/library_finder.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "shim/real.h"

namespace mptcptls::shim {
namespace {

struct Search {
  const char* symbol;
  const char* file_name;
  void* found;
};

int FindInObject(dl_phdr_info* object, size_t, void* argument) {
  auto* const search = static_cast<Search*>(argument);
  if (strstr(object->dlpi_name, search->file_name) == nullptr) return 0;
  void* const handle = dlopen(object->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return 0;
  search->found = dlsym(handle, search->symbol);
  dlclose(handle);
  return 1;
}

// By object, as a name that another preload has too is that one's everywhere, and so in our own
// address of it.
bool IsOurs(const void* symbol) {
  Dl_info ours, theirs;
  return dladdr(reinterpret_cast<const void*>(&FindInObject), &ours) != 0 &&
         dladdr(symbol, &theirs) != 0 && ours.dli_fbase == theirs.dli_fbase;
}

}  // namespace

void* PinObject(const void* symbol, const void** base) {
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(symbol, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0) return nullptr;
  *base = info.dli_fbase;
  return dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

void* FindBehind(const void* caller, const char* symbol, const char* file_name) {
  Dl_info info;
  link_map* map = nullptr;
  void* found = nullptr;
  if (dladdr1(caller, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 &&
      map->l_name[0] != 0) {
    if (void* const object = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD)) {
      found = dlsym(object, symbol);
      dlclose(object);
    }
  }
  if (found == nullptr || IsOurs(found)) found = NextSymbol(symbol);
  if (found != nullptr) return found;
  // A tail call hides the caller behind its own one, which may know of no TLS library.
  Search search{symbol, file_name, nullptr};
  dl_iterate_phdr(&FindInObject, &search);
  return search.found;
}

}  // namespace mptcptls::shim
