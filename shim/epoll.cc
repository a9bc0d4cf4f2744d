#include "shim/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/real.h"
#include "shim/settings.h"

namespace mptcptls::shim {
namespace {

constexpr int kMaxSets = 4;  // epoll sets of one fresh socket
constexpr int kBlockSize = 1024;
constexpr int kMaxBlocks = 1024;  // descriptors up to 2^20

struct Registration {
  int set;
  epoll_event event;
};

struct Tracked {
  bool fresh;
  uint8_t count;
  Registration registrations[kMaxSets];
};

std::atomic<Tracked*> blocks[kMaxBlocks];

// nullptr when there is no place and none is to be `made`. A descriptor's entry is used by whoever
// uses that descriptor, so it needs no lock.
Tracked* EntryOf(int fd, bool made) {
  if (fd < 0 || fd >= kBlockSize * kMaxBlocks) return nullptr;
  std::atomic<Tracked*>& place = blocks[fd / kBlockSize];
  Tracked* block = place.load(std::memory_order_acquire);
  if (block == nullptr && made) {
    void* const memory = mmap(nullptr, sizeof(Tracked) * kBlockSize, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    if (place.compare_exchange_strong(block, static_cast<Tracked*>(memory)))
      block = static_cast<Tracked*>(memory);
    else
      munmap(memory, sizeof(Tracked) * kBlockSize);
  }
  return block == nullptr ? nullptr : &block[fd % kBlockSize];
}

void Remember(int set, int operation, int fd, const epoll_event* event) {
  Tracked* const tracked = EntryOf(fd, false);
  if (tracked == nullptr || !tracked->fresh) return;
  int i = 0;
  while (i < tracked->count && tracked->registrations[i].set != set) ++i;
  if (operation == EPOLL_CTL_DEL) {
    if (i < tracked->count) tracked->registrations[i] = tracked->registrations[--tracked->count];
    return;
  }
  if (event == nullptr || i == kMaxSets) return;
  tracked->registrations[i] = {set, *event};
  if (i == tracked->count) ++tracked->count;
}

}  // namespace

void TrackFresh(int fd) {
  const ErrnoKeeper keeper;
  if (Tracked* const tracked = EntryOf(fd, true)) {
    tracked->count = 0;
    tracked->fresh = true;
  }
}

bool ReplaceDescriptor(int source, int fd, bool final) {
  const int descriptor_flags = fcntl(fd, F_GETFD);
  if (descriptor_flags < 0) return false;
  Tracked* const tracked = EntryOf(fd, false);
  const int count = tracked != nullptr && tracked->fresh ? tracked->count : 0;
  bool registered[kMaxSets] = {};
  for (int i = 0; i < count; ++i)
    registered[i] =
        real::epoll_ctl()(tracked->registrations[i].set, EPOLL_CTL_DEL, fd, nullptr) == 0;
  int result;
  do {
    result = dup3(source, fd, (descriptor_flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
  } while (result < 0 && (errno == EINTR || errno == EBUSY));
  {
    const ErrnoKeeper keeper;
    for (int i = 0; i < count; ++i)
      if (registered[i])
        real::epoll_ctl()(tracked->registrations[i].set, EPOLL_CTL_ADD, fd,
                          &tracked->registrations[i].event);
  }
  if (result >= 0 && final && tracked != nullptr) tracked->fresh = false;
  return result >= 0;
}

}  // namespace mptcptls::shim

MPTCPTLS_HOOK int epoll_ctl(int set, int operation, int fd, epoll_event* event) noexcept {
  using namespace mptcptls::shim;
  const int result = real::epoll_ctl()(set, operation, fd, event);
  if (result == 0 && Enabled()) Remember(set, operation, fd, event);
  return result;
}
