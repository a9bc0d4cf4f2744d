// Virtual time: events in order of (time, order of scheduling). Nothing here knows the real clock.
#ifndef MPTCPTLS_TESTS_SIM_EVENT_QUEUE_H_
#define MPTCPTLS_TESTS_SIM_EVENT_QUEUE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "stack/types.h"

namespace mptcptls::sim {

class EventQueue {
 public:
  Time now() const { return now_; }
  Time Next() const { return heap_.empty() ? kNever : heap_.front().time; }
  bool empty() const { return heap_.empty(); }

  // A time in the past means now.
  void At(Time time, std::function<void()> run);
  void After(Duration delay, std::function<void()> run) { At(now_ + delay, std::move(run)); }
  // Moves the clock to the earliest event and runs it. The queue must not be empty.
  void RunNext();
  // Moves the clock forward over an empty stretch: no event may lie before `time`.
  void AdvanceTo(Time time);

 private:
  struct Event {
    Time time;
    uint64_t order;
    std::function<void()> run;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.order > b.order;
  }

  Time now_{};
  uint64_t order_ = 0;
  std::vector<Event> heap_;
};

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_EVENT_QUEUE_H_
