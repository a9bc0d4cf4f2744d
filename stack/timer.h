// Timers of the stack: a binary heap ordered by (deadline, order of arming), so that a run is the
// same in every process. Owned by Host; whoever drives the stack asks Next() and calls Advance().
#ifndef MPTCPTLS_STACK_TIMER_H_
#define MPTCPTLS_STACK_TIMER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "stack/types.h"

namespace mptcptls {

class Timer;

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // The earliest deadline, kNever when no timer is armed.
  Time Next() const;
  // Fires every timer whose deadline is not after `now`, in order. A timer may arm or cancel any
  // other while it fires.
  void Advance(Time now);
  size_t armed() const { return heap_.size(); }

 private:
  friend class Timer;
  void Insert(Timer* timer);
  void Remove(Timer* timer);
  void Place(size_t index, Timer* timer);
  void SiftUp(size_t index);
  void SiftDown(size_t index);
  static bool Before(const Timer* a, const Timer* b);

  std::vector<Timer*> heap_;
  uint64_t order_ = 0;
};

// One timer; it leaves the queue when destroyed. `fire` is bound once, so arming never allocates.
class Timer {
 public:
  Timer(TimerQueue* queue, std::function<void(Time)> fire)
      : queue_(queue), fire_(std::move(fire)) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  void Set(Time deadline);
  void Cancel();
  bool armed() const { return index_ != kIdle; }
  Time deadline() const { return armed() ? deadline_ : kNever; }

 private:
  friend class TimerQueue;
  static constexpr size_t kIdle = static_cast<size_t>(-1);
  TimerQueue* queue_;
  std::function<void(Time)> fire_;
  Time deadline_ = kNever;
  uint64_t order_ = 0;
  size_t index_ = kIdle;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TIMER_H_
