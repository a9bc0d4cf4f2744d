#include "stack/mptcp/capability_cache.h"

#include <algorithm>

namespace mptcptls {
namespace {

const char* Name(Capability c) {
  switch (c) {
    case Capability::kTlsAuth:
      return "tls-auth";
    case Capability::kKeys:
      return "keys";
    case Capability::kTcp:
      return "tcp";
    case Capability::kClear:
      return "clear";
  }
  return "";
}

}  // namespace

std::optional<Capability> CapabilityCache::Find(Time now, const IpAddress& local,
                                                const Endpoint& remote) {
  const auto it = entries_.find({local, remote});
  if (it == entries_.end()) return std::nullopt;
  if (it->second.expires <= now) {
    entries_.erase(it);
    return std::nullopt;
  }
  return it->second.capability;
}

void CapabilityCache::Store(Time now, const IpAddress& local, const Endpoint& remote,
                            Capability capability) {
  if (entries_.size() >= kMaxEntries && !entries_.contains({local, remote})) MakeRoom(now);
  Entry& entry = entries_[{local, remote}];
  const bool confirms = entry.confirms && capability == Capability::kTlsAuth;
  entry = {capability, now + lifetime_, confirms};
}

void CapabilityCache::NoteConfirms(const IpAddress& local, const Endpoint& remote) {
  const auto it = entries_.find({local, remote});
  if (it != entries_.end() && it->second.capability == Capability::kTlsAuth) {
    it->second.confirms = true;
  }
}

bool CapabilityCache::Confirms(Time now, const IpAddress& local, const Endpoint& remote) {
  return Find(now, local, remote) && entries_.at({local, remote}).confirms;
}

size_t CapabilityCache::Forget(const std::optional<Endpoint>& remote) {
  return std::erase_if(entries_, [&](const auto& item) {
    const Endpoint& known = item.first.second;
    return !remote ||
           (known.address == remote->address && (remote->port == 0 || known.port == remote->port));
  });
}

// Expired entries go first, else the one that expires next.
void CapabilityCache::MakeRoom(Time now) {
  std::erase_if(entries_, [now](const auto& item) { return item.second.expires <= now; });
  if (entries_.size() < kMaxEntries) return;
  entries_.erase(std::min_element(
      entries_.begin(), entries_.end(),
      [](const auto& a, const auto& b) { return a.second.expires < b.second.expires; }));
}

std::vector<Host::CacheEntry> CapabilityCache::Entries(Time now) const {
  std::vector<Host::CacheEntry> out;
  for (const auto& [key, entry] : entries_)
    if (entry.expires > now)
      out.push_back(
          {key.first, key.second, Name(entry.capability), entry.expires - now, entry.confirms});
  return out;
}

}  // namespace mptcptls
