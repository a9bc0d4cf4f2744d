#include "engine/relays.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

namespace mptcptls {
namespace {

uint64_t RandomId() {
  uint64_t id = 0;
  while (id == 0) {
    if (getrandom(&id, sizeof id, 0) != static_cast<ssize_t>(sizeof id)) id = 0;
  }
  return id;
}

}  // namespace

Relay* Relays::Make(Program program) {
  uint64_t id = RandomId();
  while (by_id_.contains(id)) id = RandomId();
  Entry& entry = by_id_[id];
  entry.relay = std::make_unique<Relay>(this, id, std::move(program));
  entry.began = loop_->now();
  entry.order = ++order_;
  return entry.relay.get();
}

Relay* Relays::Find(uint64_t id) const {
  const auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : it->second.relay.get();
}

std::vector<ConnectionRecord> Relays::Open() const {
  std::map<uint64_t, const Entry*> ordered;
  for (const auto& [id, entry] : by_id_) {
    if (entry.relay->connection() != nullptr) ordered[entry.order] = &entry;
  }
  std::vector<ConnectionRecord> records;
  for (const auto& [order, entry] : ordered) {
    const Relay& relay = *entry->relay;
    records.push_back(
        {relay.id(), relay.program(), relay.connection()->Info(loop_->now()), entry->began});
  }
  return records;
}

size_t Relays::Waiting(uint64_t listener) const {
  const auto it = waiting_.find(listener);
  return it == waiting_.end() ? 0 : it->second;
}

void Relays::CountWaiting(uint64_t listener, int change) {
  const size_t now = waiting_[listener] += static_cast<size_t>(change);
  if (now == 0) waiting_.erase(listener);
}

void Relays::MarkDirty(Relay* relay) {
  const auto it = by_id_.find(relay->id());
  if (it == by_id_.end() || it->second.dirty) return;
  it->second.dirty = true;
  dirty_.push_back(relay->id());
}

bool Relays::PumpDirty() {
  std::vector<uint64_t> ids;
  ids.swap(dirty_);
  for (const uint64_t id : ids) {
    const auto it = by_id_.find(id);
    if (it == by_id_.end()) continue;
    it->second.dirty = false;
    Relay* const relay = it->second.relay.get();
    if (relay->Pump()) MarkDirty(relay);
  }
  for (const uint64_t id : std::exchange(retired_, {})) {
    const auto it = by_id_.find(id);
    if (it == by_id_.end()) continue;
    for (const ClientRandom& random : it->second.randoms) {
      const auto known = by_random_.find(random);
      if (known == by_random_.end()) continue;
      std::erase_if(known->second, [id](const Carrier& carrier) { return carrier.id == id; });
      if (known->second.empty()) by_random_.erase(known);
    }
    const uint16_t port = it->second.relay->bound_port();
    by_id_.erase(it);
    if (port != 0) on_port_released_(port);
  }
  return !dirty_.empty();
}

void Relays::Retire(Relay* relay) {
  Entry& entry = by_id_.at(relay->id());
  if (std::exchange(entry.retired, true)) return;
  retired_.push_back(relay->id());
}

void Relays::Closed(const Relay& relay, const ConnectionInfo& info) {
  closed_.push_back({relay.id(), relay.program(), info, by_id_.at(relay.id()).began});
  if (closed_.size() > kMaxClosed) closed_.pop_front();
}

void Relays::RememberResult(uint64_t id, int error) {
  if (!results_.emplace(id, error).second) return;
  result_order_.push_back(id);
  if (result_order_.size() <= kMaxResults) return;
  results_.erase(result_order_.front());
  result_order_.pop_front();
}

int Relays::Result(uint64_t id) const {
  const auto it = results_.find(id);
  return it == results_.end() ? 0 : it->second;
}

void Relays::RememberRandom(const ClientRandom& random, uint64_t id, control::TlsEnd end) {
  std::vector<ClientRandom>& randoms = by_id_.at(id).randoms;
  if (std::ranges::find(randoms, random) != randoms.end()) return;
  randoms.push_back(random);
  by_random_[random].push_back({id, end});
}

bool Relays::MayBeOf(uint64_t id, const ClientRandom& random) const {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return false;
  const std::vector<ClientRandom>& randoms = it->second.randoms;
  return randoms.empty() || std::ranges::find(randoms, random) != randoms.end();
}

Relay* Relays::FindByRandom(const ClientRandom& random, uid_t uid, control::TlsEnd end) const {
  const auto it = by_random_.find(random);
  if (it == by_random_.end()) return nullptr;
  Relay* found = nullptr;
  for (const Carrier& carrier : it->second) {
    Relay* const relay = Find(carrier.id);
    if (relay == nullptr || relay->connection() == nullptr) continue;
    if (uid != 0 && relay->program().uid != uid) continue;
    if (end != control::TlsEnd::kUnknown && end != carrier.end) continue;
    if (found != nullptr) return nullptr;
    found = relay;
  }
  return found;
}

void Relays::AbortAll(Time now) {
  std::vector<uint64_t> ids;
  ids.reserve(by_id_.size());
  for (const auto& [id, entry] : by_id_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  for (const uint64_t id : ids) {
    Relay* const relay = Find(id);
    if (relay != nullptr && relay->connection() != nullptr) relay->connection()->Abort(now);
  }
}

}  // namespace mptcptls
