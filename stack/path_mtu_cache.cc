#include "stack/path_mtu_cache.h"

#include <algorithm>

namespace mptcptls {

std::optional<KnownMtu> PathMtuCache::Find(Time now, const IpAddress& local,
                                           const IpAddress& remote) {
  const auto it = entries_.find({local, remote});
  if (it == entries_.end()) return std::nullopt;
  if (it->second.expires <= now) {
    entries_.erase(it);
    return std::nullopt;
  }
  return it->second;
}

void PathMtuCache::Store(Time now, const IpAddress& local, const IpAddress& remote,
                         const KnownMtu& known) {
  if (known.mtu == 0) {
    entries_.erase({local, remote});
    return;
  }
  if (entries_.size() >= kMaxEntries && !entries_.contains({local, remote})) MakeRoom(now);
  entries_[{local, remote}] = known;
}

// Expired entries go first, else the one that expires next.
void PathMtuCache::MakeRoom(Time now) {
  std::erase_if(entries_, [now](const auto& item) { return item.second.expires <= now; });
  if (entries_.size() < kMaxEntries) return;
  entries_.erase(std::ranges::min_element(
      entries_, [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; }));
}

}  // namespace mptcptls
