// What happened on the wires: a running hash over every packet with its time and link, so that two
// runs can be compared in one word, and on request a line per packet.
#ifndef MPTCPTLS_TESTS_SIM_TRACE_H_
#define MPTCPTLS_TESTS_SIM_TRACE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "stack/types.h"

namespace mptcptls::sim {

enum class TraceEvent : uint8_t {
  kSent,
  kDelivered,
  kLost,
  kQueueFull,
  kOversize,
  kDown,
  kNoRoute
};
const char* TraceEventName(TraceEvent event);

class Trace {
 public:
  using Sink = std::function<void(const std::string& line)>;

  void Record(Time time, const std::string& link, TraceEvent event, ByteSpan packet);
  // A remark of a program or scenario; in the hash as well.
  void Note(Time time, const std::string& text);
  uint64_t hash() const { return hash_; }
  uint64_t records() const { return records_; }
  bool verbose() const { return static_cast<bool>(sink_); }
  void set_sink(Sink sink) { sink_ = std::move(sink); }

 private:
  void Hash(ByteSpan bytes);
  void HashWord(uint64_t word);

  uint64_t hash_ = 0xcbf29ce484222325;  // FNV-1a's offset basis; taken eight bytes at a time
  uint64_t records_ = 0;
  Sink sink_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_TRACE_H_
