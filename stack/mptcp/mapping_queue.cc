#include "stack/mptcp/mapping_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace mptcptls {

MappingQueue::Added MappingQueue::Add(ReceivedMapping mapping, Seq next) {
  const Seq end = mapping.ssn + mapping.length;
  if (end <= next) return Added::kOld;
  // Nearly always the mapping belongs at the end, or is the last one once more.
  auto at = mappings_.end();
  while (at != mappings_.begin() && std::prev(at)->ssn > mapping.ssn) --at;
  if (at != mappings_.begin()) {
    const ReceivedMapping& before = *std::prev(at);
    if (before.ssn == mapping.ssn && before.length == mapping.length && before.dsn == mapping.dsn)
      return Added::kKnown;
    if (before.ssn + before.length > mapping.ssn) return Added::kContradiction;
  }
  if (at != mappings_.end() && at->ssn < end) return Added::kContradiction;
  if (mappings_.size() >= kMaxMappings) return Added::kFull;
  mappings_.insert(at, std::move(mapping));
  return Added::kNew;
}

ReceivedMapping* MappingQueue::Find(Seq ssn) {
  while (!mappings_.empty() && mappings_.front().ssn + mappings_.front().length <= ssn)
    mappings_.pop_front();
  if (mappings_.empty() || mappings_.front().ssn > ssn) return nullptr;
  return &mappings_.front();
}

// Bytes come in the order of the subflow, so that no other has any.
ReceivedMapping* MappingQueue::Held() {
  const auto held = std::ranges::find_if(mappings_, [](const auto& m) { return !m.held.empty(); });
  return held == mappings_.end() ? nullptr : &*held;
}

}  // namespace mptcptls
