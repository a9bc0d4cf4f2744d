#include "tests/sim/trace.h"

#include <cstdio>
#include <cstring>
#include <vector>

#include "tests/sim/packet.h"

namespace mptcptls::sim {
namespace {

std::string Stamp(Time time) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%12.6f ",
                static_cast<double>(time.time_since_epoch().count()) / 1e9);
  return buffer;
}

ByteSpan BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

const char* TraceEventName(TraceEvent event) {
  static constexpr const char* kNames[] = {"sent",     "delivered", "LOST",    "QUEUE FULL",
                                           "OVERSIZE", "DOWN",      "NO ROUTE"};
  return kNames[static_cast<size_t>(event)];
}

void Trace::HashWord(uint64_t word) {
  hash_ = (hash_ ^ word) * 0x100000001b3;
  hash_ ^= hash_ >> 29;  // FNV alone never carries a high bit down
}

void Trace::Hash(ByteSpan bytes) {
  size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    HashWord(word);
  }
  for (; i < bytes.size(); ++i) HashWord(bytes[i]);
  HashWord(bytes.size());
}

void Trace::Record(Time time, const std::string& link, TraceEvent event, ByteSpan packet) {
  ++records_;
  HashWord(static_cast<uint64_t>(time.time_since_epoch().count()));
  HashWord(static_cast<uint64_t>(event));
  Hash(BytesOf(link));
  Hash(packet);
  if (!sink_) return;
  std::vector<uint8_t> copy(packet.begin(), packet.end());
  auto view = TcpView::Of(copy);
  char name[64];
  std::snprintf(name, sizeof name, "%-16s %-9s ", link.c_str(), TraceEventName(event));
  sink_(Stamp(time) + name +
        (view ? view->ToString() : "not TCP, " + std::to_string(packet.size()) + " bytes"));
}

void Trace::Note(Time time, const std::string& text) {
  ++records_;
  HashWord(static_cast<uint64_t>(time.time_since_epoch().count()));
  Hash(BytesOf(text));
  if (sink_) sink_(Stamp(time) + "# " + text);
}

}  // namespace mptcptls::sim
