#include "shim/tls_library.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

constexpr int kMaxLibraries = 8;
constexpr int kCallSites = 1024;

// Entries are written once, under their index, before they are published.
TlsLibrary libraries[kMaxLibraries];
std::atomic<const void*> library_bases[kMaxLibraries];  // where the library is loaded
// The process whose thread fills an entry, 0: none. A fork in that moment has no such thread.
std::atomic<pid_t> building{0};

// The library of a return address; one word each, so that a reader never sees half an entry:
// the upper bits are the address, the lower three the library.
std::atomic<uint64_t> call_sites[kCallSites];

uint64_t SiteWord(const void* caller, int library) {
  return reinterpret_cast<uintptr_t>(caller) << 3 | static_cast<uint64_t>(library);
}

std::atomic<uint64_t>& SiteOf(const void* caller) {
  const uint64_t address = reinterpret_cast<uintptr_t>(caller);
  return call_sites[(address ^ address >> 10) % kCallSites];
}

// Keeps the object loaded for good, as its functions are remembered.
void* Pin(const void* symbol, const void** base) {
  Dl_info info;
  link_map* map = nullptr;
  if (dladdr1(symbol, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0) return nullptr;
  *base = info.dli_fbase;
  return dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

int FindInObject(dl_phdr_info* object, size_t, void* found) {
  if (strstr(object->dlpi_name, "/libssl.so") == nullptr) return 0;
  void* const handle = dlopen(object->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == nullptr) return 0;
  *static_cast<void**>(found) = dlsym(handle, "SSL_new");
  dlclose(handle);
  return 1;
}

// SSL_new as the caller's object is bound to it: in its own dependencies, else after us.
void* FindSslNew(const void* caller) {
  Dl_info info;
  link_map* map = nullptr;
  void* found = nullptr;
  if (dladdr1(caller, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) != 0 &&
      map->l_name[0] != 0) {
    if (void* const object = dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD)) {
      found = dlsym(object, "SSL_new");
      dlclose(object);
    }
  }
  const void* const ours = reinterpret_cast<const void*>(&::SSL_new);
  if (found == nullptr || found == ours) found = NextSymbol("SSL_new");
  // A tail call hides the caller behind its own one, which may know of no TLS library.
  if (found == nullptr) dl_iterate_phdr(&FindInObject, &found);
  return found;
}

void Fill(void* handle, TlsLibrary* library) {
  memset(library, 0, sizeof *library);
  library->complete = true;
#define MPTCPTLS_FIND(name)                                                        \
  library->name = reinterpret_cast<decltype(library->name)>(dlsym(handle, #name)); \
  if (library->name == nullptr) library->complete = false;
  MPTCPTLS_TLS_FUNCTIONS(MPTCPTLS_FIND)
#undef MPTCPTLS_FIND
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

int FindOrFill(const void* base, void* handle) {
  for (int i = 0; i < kMaxLibraries; ++i) {
    const void* known = library_bases[i].load(std::memory_order_acquire);
    if (known == base) return i;
    if (known != nullptr) continue;
    pid_t expected = 0;
    const pid_t own = getpid();
    if (!building.compare_exchange_strong(expected, own) &&
        (expected == own || !building.compare_exchange_strong(expected, own))) {
      sched_yield();
      i = -1;  // somebody fills one: look again
      continue;
    }
    if (library_bases[i].load() == nullptr) {
      Fill(handle, &libraries[i]);
      library_bases[i].store(base, std::memory_order_release);
    }
    building.store(0);
    i = -1;
  }
  return -1;
}

}  // namespace

const TlsLibrary* TlsLibraryOf(const void* caller) {
  std::atomic<uint64_t>& site = SiteOf(caller);
  const uint64_t word = site.load(std::memory_order_acquire);
  if (word != 0 && word >> 3 == reinterpret_cast<uintptr_t>(caller)) return &libraries[word & 7];
  const ErrnoKeeper keeper;
  void* const ssl_new = FindSslNew(caller);
  const void* base = nullptr;
  void* const handle = ssl_new == nullptr ? nullptr : Pin(ssl_new, &base);
  const int library = handle == nullptr ? -1 : FindOrFill(base, handle);
  if (library < 0) return nullptr;
  site.store(SiteWord(caller, library), std::memory_order_release);
  return &libraries[library];
}

}  // namespace mptcptls::shim
