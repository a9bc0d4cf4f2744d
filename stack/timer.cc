#include "stack/timer.h"

namespace mptcptls {

bool TimerQueue::Before(const Timer* a, const Timer* b) {
  if (a->deadline_ != b->deadline_) return a->deadline_ < b->deadline_;
  return a->order_ < b->order_;
}

Time TimerQueue::Next() const { return heap_.empty() ? kNever : heap_.front()->deadline_; }

void TimerQueue::Advance(Time now) {
  // Timers armed while this runs wait for the next call, so that one that re-arms itself at `now`
  // cannot spin.
  const uint64_t limit = order_;
  while (!heap_.empty() && heap_.front()->deadline_ <= now && heap_.front()->order_ < limit) {
    Timer* timer = heap_.front();
    Remove(timer);
    timer->fire_(now);
  }
}

void TimerQueue::Insert(Timer* timer) {
  timer->order_ = order_++;
  heap_.push_back(timer);
  timer->index_ = heap_.size() - 1;
  SiftUp(timer->index_);
}

void TimerQueue::Remove(Timer* timer) {
  const size_t hole = timer->index_;
  timer->index_ = Timer::kIdle;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == timer) return;
  Place(hole, last);
  SiftUp(hole);
  SiftDown(last->index_);
}

void TimerQueue::Place(size_t index, Timer* timer) {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerQueue::SiftUp(size_t index) {
  Timer* timer = heap_[index];
  while (index > 0) {
    const size_t parent = (index - 1) / 2;
    if (!Before(timer, heap_[parent])) break;
    Place(index, heap_[parent]);
    index = parent;
  }
  Place(index, timer);
}

void TimerQueue::SiftDown(size_t index) {
  Timer* timer = heap_[index];
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && Before(heap_[child + 1], heap_[child])) ++child;
    if (!Before(heap_[child], timer)) break;
    Place(index, heap_[child]);
    index = child;
  }
  Place(index, timer);
}

void Timer::Set(Time deadline) {
  if (armed() && deadline_ == deadline) return;
  Cancel();
  deadline_ = deadline;
  if (deadline != kNever) queue_->Insert(this);
}

void Timer::Cancel() {
  if (armed()) queue_->Remove(this);
}

}  // namespace mptcptls
