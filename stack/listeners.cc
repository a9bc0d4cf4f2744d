#include "stack/listeners.h"

#include <algorithm>

namespace mptcptls {

ListenerId Listeners::Add(const Endpoint& endpoint, const ListenOptions& options,
                          ListenerObserver* observer) {
  const ListenerId id = ++last_id_;
  listeners_[id] = {id, endpoint, options, observer};
  by_endpoint_[endpoint].ids.push_back(id);
  return id;
}

void Listeners::Remove(ListenerId id) {
  const auto it = listeners_.find(id);
  if (it == listeners_.end()) return;
  const auto shared = by_endpoint_.find(it->second.endpoint);
  std::erase(shared->second.ids, id);
  if (shared->second.ids.empty()) by_endpoint_.erase(shared);
  listeners_.erase(it);
}

const Listener* Listeners::Get(ListenerId id) const {
  const auto it = listeners_.find(id);
  return it == listeners_.end() ? nullptr : &it->second;
}

const Listeners::Shared* Listeners::FindShared(const Endpoint& local) const {
  auto it = by_endpoint_.find(local);
  if (it != by_endpoint_.end()) return &it->second;
  Endpoint any;
  any.address.family = local.address.family;
  any.port = local.port;
  it = by_endpoint_.find(any);
  if (it != by_endpoint_.end()) return &it->second;
  if (local.address.family == Family::kV6) return nullptr;
  any.address.family = Family::kV6;
  it = by_endpoint_.find(any);
  if (it == by_endpoint_.end() || listeners_.at(it->second.ids.front()).options.v6only) {
    return nullptr;
  }
  return &it->second;
}

const Listener* Listeners::Next(const Endpoint& local) {
  auto* shared = const_cast<Shared*>(FindShared(local));
  if (shared == nullptr) return nullptr;
  return Get(shared->ids[shared->next++ % shared->ids.size()]);
}

bool Listeners::PortInUse(uint16_t port) const {
  return std::ranges::any_of(by_endpoint_,
                             [port](const auto& item) { return item.first.port == port; });
}

}  // namespace mptcptls
