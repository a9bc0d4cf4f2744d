// The loaded copies of one kind of TLS library: the one that a caller of a hook is bound to need
// not be visible to the program (python's _ssl is loaded RTLD_LOCAL), and there may be several. No
// lock: a hook may be called in a forked child.
#ifndef MPTCPTLS_SHIM_LIBRARY_FINDER_H_
#define MPTCPTLS_SHIM_LIBRARY_FINDER_H_

#include <sched.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>

#include "shim/captured.h"

namespace mptcptls::shim {

// `symbol` as the object of `caller` (a return address) is bound to it: in its own dependencies,
// else after our hook of that name, else in any loaded object whose path contains `file_name`.
// nullptr when there is none.
void* FindBehind(const void* caller, const char* symbol, const char* file_name);

// Keeps the object of `symbol` loaded for good, as its functions are remembered. Its handle, and
// where it is loaded; nullptr when that cannot be told.
void* PinObject(const void* symbol, const void** base);

// Constant-initialised, never destroyed. `Library` is a plain struct of function pointers.
template <typename Library>
class LibraryFinder {
 public:
  using Filler = void (*)(void* handle, Library* library);

  // `fill` looks up the functions in the object of a handle.
  constexpr LibraryFinder(const char* symbol, const char* file_name, Filler fill)
      : symbol_(symbol), file_name_(file_name), fill_(fill) {}

  // Of the object that `caller` (a return address) belongs to; nullptr when it has none. Keeps
  // errno.
  const Library* Of(const void* caller) {
    std::atomic<uint64_t>& site = SiteOf(caller);
    const uint64_t word = site.load(std::memory_order_acquire);
    if (word != 0 && word >> 3 == reinterpret_cast<uintptr_t>(caller)) return &libraries_[word & 7];
    const ErrnoKeeper keeper;
    void* const symbol = FindBehind(caller, symbol_, file_name_);
    const void* base = nullptr;
    void* const handle = symbol == nullptr ? nullptr : PinObject(symbol, &base);
    const int library = handle == nullptr ? -1 : FindOrFill(base, handle);
    if (library < 0) return nullptr;
    site.store(SiteWord(caller, library), std::memory_order_release);
    return &libraries_[library];
  }

 private:
  static constexpr int kMaxLibraries = 8;
  static constexpr int kCallSites = 1024;

  // The library of a return address; one word each, so that a reader never sees half an entry:
  // the upper bits are the address, the lower three the library.
  static uint64_t SiteWord(const void* caller, int library) {
    return reinterpret_cast<uintptr_t>(caller) << 3 | static_cast<uint64_t>(library);
  }
  std::atomic<uint64_t>& SiteOf(const void* caller) {
    const uint64_t address = reinterpret_cast<uintptr_t>(caller);
    return call_sites_[(address ^ address >> 10) % kCallSites];
  }

  int FindOrFill(const void* base, void* handle) {
    for (int i = 0; i < kMaxLibraries; ++i) {
      const void* known = bases_[i].load(std::memory_order_acquire);
      if (known == base) return i;
      if (known != nullptr) continue;
      pid_t expected = 0;
      const pid_t own = getpid();
      if (!building_.compare_exchange_strong(expected, own) &&
          (expected == own || !building_.compare_exchange_strong(expected, own))) {
        sched_yield();
        i = -1;  // somebody fills one: look again
        continue;
      }
      if (bases_[i].load() == nullptr) {
        fill_(handle, &libraries_[i]);
        bases_[i].store(base, std::memory_order_release);
      }
      building_.store(0);
      i = -1;
    }
    return -1;
  }

  const char* symbol_;
  const char* file_name_;
  Filler fill_;
  // Entries are written once, under their index, before they are published.
  Library libraries_[kMaxLibraries] = {};
  std::atomic<const void*> bases_[kMaxLibraries] = {};  // where the library is loaded
  // The process whose thread fills an entry, 0: none. A fork in that moment has no such thread.
  std::atomic<pid_t> building_{0};
  std::atomic<uint64_t> call_sites_[kCallSites] = {};
};

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_LIBRARY_FINDER_H_
