// Path MTUs that connections of this host learned, as the kernel's route exceptions: the next
// connection does not meet the same black hole again. Bounded, each with its expiry.
#ifndef MPTCPTLS_STACK_PATH_MTU_CACHE_H_
#define MPTCPTLS_STACK_PATH_MTU_CACHE_H_

#include <cstddef>
#include <map>
#include <optional>
#include <utility>

#include "stack/tcp/path_mtu.h"
#include "stack/types.h"

namespace mptcptls {

class PathMtuCache {
 public:
  static constexpr size_t kMaxEntries = 4096;

  // `local` stands for the uplink: each has paths of its own.
  std::optional<KnownMtu> Find(Time now, const IpAddress& local, const IpAddress& remote);
  // A `known` that says nothing (mtu 0) takes back what was said before.
  void Store(Time now, const IpAddress& local, const IpAddress& remote, const KnownMtu& known);
  size_t size() const { return entries_.size(); }

 private:
  void MakeRoom(Time now);

  std::map<std::pair<IpAddress, IpAddress>, KnownMtu> entries_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_PATH_MTU_CACHE_H_
