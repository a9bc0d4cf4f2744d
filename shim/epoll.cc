#include "shim/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/inherited.h"
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
  std::atomic<bool> busy;  // see Entry
  bool fresh;
  uint8_t count;
  Registration registrations[kMaxSets];
};

std::atomic<Tracked*> blocks[kMaxBlocks];

// nullptr when there is no place and none is to be `made`.
Tracked* PlaceOf(int fd, bool made) {
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

// A descriptor's entry, while it is ours: threads may register one socket at the same time. Never
// waited for for long, as its owner can be a thread that a fork left behind, or below us in a
// signal handler; then the registration is not tracked.
class Entry {
 public:
  Entry(int fd, bool made) : tracked_(PlaceOf(fd, made)) {
    for (int tries = 0; tracked_ != nullptr && tracked_->busy.exchange(true); ++tries) {
      if (tries == kMaxTries) tracked_ = nullptr;
      sched_yield();
    }
  }
  ~Entry() {
    if (tracked_ != nullptr) tracked_->busy.store(false);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  explicit operator bool() const { return tracked_ != nullptr; }
  Tracked* operator->() const { return tracked_; }

 private:
  static constexpr int kMaxTries = 100;
  Tracked* tracked_;
};

bool IsTracked(int fd) {
  const Entry tracked(fd, false);
  return tracked && tracked->fresh;
}

void Remember(int set, int operation, int fd, const epoll_event* event) {
  const ErrnoKeeper keeper;
  int domain = 0;
  if (operation == EPOLL_CTL_ADD && !IsTracked(fd) &&
      ((real::SocketIsHidden() && FreshTcp(fd, &domain)) || ListeningTcp(fd, &domain)))
    TrackFresh(fd);
  const Entry tracked(fd, false);
  if (!tracked || !tracked->fresh) return;
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

// Copies what is registered; returns how many.
int Recall(int fd, Registration (&registrations)[kMaxSets]) {
  const Entry tracked(fd, false);
  if (!tracked || !tracked->fresh) return 0;
  memcpy(registrations, tracked->registrations, sizeof registrations);
  return tracked->count;
}

}  // namespace

void TrackFresh(int fd) {
  const ErrnoKeeper keeper;
  for (int tries = 0; tries < 2; ++tries) {
    if (const Entry tracked(fd, true); tracked) {
      tracked->count = 0;
      tracked->fresh = true;
      return;
    }
    // Left behind by a fork: nobody else can use a number that socket() just gave.
    if (Tracked* const place = PlaceOf(fd, false)) place->busy.store(false);
  }
}

bool ReplaceDescriptor(int source, int fd, bool final) {
  const int descriptor_flags = fcntl(fd, F_GETFD);
  if (descriptor_flags < 0) return false;
  Registration registrations[kMaxSets];
  const int count = Recall(fd, registrations);
  bool registered[kMaxSets] = {};
  for (int i = 0; i < count; ++i)
    registered[i] = real::epoll_ctl()(registrations[i].set, EPOLL_CTL_DEL, fd, nullptr) == 0;
  int result;
  do {
    result = dup3(source, fd, (descriptor_flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
  } while (result < 0 && (errno == EINTR || errno == EBUSY));
  const ErrnoKeeper keeper;
  for (int i = 0; i < count; ++i)
    if (registered[i])
      real::epoll_ctl()(registrations[i].set, EPOLL_CTL_ADD, fd, &registrations[i].event);
  if (result < 0) return false;
  // What O_ASYNC tells names the number under which it was asked for.
  if (const int flags = fcntl(fd, F_GETFL); flags >= 0 && (flags & O_ASYNC) != 0) {
    fcntl(fd, F_SETFL, flags & ~O_ASYNC);
    fcntl(fd, F_SETFL, flags);
  }
  if (const Entry tracked(fd, false); tracked && final) tracked->fresh = false;
  return true;
}

}  // namespace mptcptls::shim

MPTCPTLS_HOOK int epoll_ctl(int set, int operation, int fd, epoll_event* event) noexcept {
  using namespace mptcptls::shim;
  if (operation == EPOLL_CTL_ADD && Enabled()) AdoptInherited(fd);
  const int result = real::epoll_ctl()(set, operation, fd, event);
  if (result == 0 && Enabled()) Remember(set, operation, fd, event);
  return result;
}
