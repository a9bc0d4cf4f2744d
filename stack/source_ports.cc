#include "stack/source_ports.h"

#include <algorithm>

namespace mptcptls {
namespace {

constexpr size_t kLook = 64;
constexpr uint32_t kMostLeftOut = 3;  // those that were left out are found in the next round

}  // namespace

std::optional<uint16_t> SourcePorts::Next(uint32_t destination, std::span<const uint16_t> ports,
                                          uint32_t random, Taken taken) {
  if (ports.empty()) return std::nullopt;
  Cursor& cursor = cursors_[destination % kCursors];
  // RFC 6056 3.3.1: begin anywhere.
  if (!cursor.used) cursor = {true, random % ports.size()};
  const size_t begin = cursor.next + random % (kMostLeftOut + 1);
  for (size_t i = 0; i < std::min(kLook, ports.size()); ++i) {
    const size_t index = (begin + i) % ports.size();
    if (taken(ports[index])) continue;
    cursor.next = index + 1;
    return ports[index];
  }
  return std::nullopt;
}

void SourcePorts::Continue(uint32_t destination, size_t index) {
  cursors_[destination % kCursors] = {true, index};
}

std::optional<uint16_t> SourcePorts::Any(std::span<const uint16_t> ports, Taken taken) {
  const auto found = std::ranges::find_if_not(ports, taken);
  return found == ports.end() ? std::nullopt : std::optional(*found);
}

}  // namespace mptcptls
