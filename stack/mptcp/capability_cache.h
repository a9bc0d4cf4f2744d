// What a destination was seen to understand (PROTOCOL.md 1, "Capability cache"), so that auth =
// auto offers what will be answered. Bounded, with a lifetime, keyed by (address of the uplink,
// remote address and port); visible and clearable.
#ifndef MPTCPTLS_STACK_MPTCP_CAPABILITY_CACHE_H_
#define MPTCPTLS_STACK_MPTCP_CAPABILITY_CACHE_H_

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "stack/host.h"
#include "stack/types.h"

namespace mptcptls {

enum class Capability : uint8_t { kTlsAuth, kKeys, kTcp, kClear };

class CapabilityCache {
 public:
  static constexpr size_t kMaxEntries = 4096;
  explicit CapabilityCache(Duration lifetime) : lifetime_(lifetime) {}

  std::optional<Capability> Find(Time now, const IpAddress& local, const Endpoint& remote);
  void Store(Time now, const IpAddress& local, const Endpoint& remote, Capability capability);
  // The destination, known as tls-auth, said NEW_KEY (PROTOCOL.md 8).
  void NoteConfirms(const IpAddress& local, const Endpoint& remote);
  bool Confirms(Time now, const IpAddress& local, const Endpoint& remote);
  // A destination (port 0: all of its ports), or everything; returns how many there were.
  size_t Forget(const std::optional<Endpoint>& remote);
  std::vector<Host::CacheEntry> Entries(Time now) const;

 private:
  struct Entry {
    Capability capability;
    Time expires;
    bool confirms = false;
  };
  void MakeRoom(Time now);

  Duration lifetime_;
  std::map<std::pair<IpAddress, Endpoint>, Entry> entries_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_MPTCP_CAPABILITY_CACHE_H_
