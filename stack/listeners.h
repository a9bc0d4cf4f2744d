// Who listens where: exact address first, then the wildcard of the family, then a dual-stack IPv6
// wildcard. Listeners that share an endpoint (SO_REUSEPORT) take turns.
#ifndef MPTCPTLS_STACK_LISTENERS_H_
#define MPTCPTLS_STACK_LISTENERS_H_

#include <map>
#include <vector>

#include "stack/host.h"
#include "stack/types.h"

namespace mptcptls {

struct Listener {
  ListenerId id = 0;
  Endpoint endpoint;
  ListenOptions options;
  ListenerObserver* observer = nullptr;
};

class Listeners {
 public:
  ListenerId Add(const Endpoint& endpoint, const ListenOptions& options,
                 ListenerObserver* observer);
  void Remove(ListenerId id);
  // Null when there is none. Valid until the next Add or Remove.
  const Listener* Get(ListenerId id) const;
  // The listener whose turn it is for a connection to `local`.
  const Listener* Next(const Endpoint& local);
  bool Any(const Endpoint& local) const { return FindShared(local) != nullptr; }
  bool PortInUse(uint16_t port) const;

 private:
  struct Shared {
    std::vector<ListenerId> ids;
    size_t next = 0;
  };
  const Shared* FindShared(const Endpoint& local) const;

  ListenerId last_id_ = 0;
  std::map<ListenerId, Listener> listeners_;
  std::map<Endpoint, Shared> by_endpoint_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_LISTENERS_H_
