#include "tests/sim/event_queue.h"

#include <algorithm>
#include <cassert>

namespace mptcptls::sim {

void EventQueue::At(Time time, std::function<void()> run) {
  heap_.push_back({std::max(time, now_), order_++, std::move(run)});
  std::push_heap(heap_.begin(), heap_.end(), Later);
}

void EventQueue::RunNext() {
  std::pop_heap(heap_.begin(), heap_.end(), Later);
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.time;
  event.run();
}

void EventQueue::AdvanceTo(Time time) {
  assert(time <= Next());
  now_ = std::max(now_, time);
}

}  // namespace mptcptls::sim
