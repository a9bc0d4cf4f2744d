// The engine's one loop: descriptors by epoll, timers by the stack's own TimerQueue, and what is
// due after each batch. One thread; everything the engine does happens in here.
#ifndef MPTCPTLS_ENGINE_EVENT_LOOP_H_
#define MPTCPTLS_ENGINE_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "stack/timer.h"
#include "stack/types.h"

namespace mptcptls {

class EventHandler {
 public:
  virtual ~EventHandler() = default;
  // EPOLLIN and so on. The handler may remove (and destroy) itself and any other.
  virtual void OnEvents(uint32_t events) = 0;
};

// For owners with several descriptors.
class EventCallback final : public EventHandler {
 public:
  explicit EventCallback(std::function<void()> call) : call_(std::move(call)) {}
  void OnEvents(uint32_t /*events*/) override { call_(); }

 private:
  std::function<void()> call_;
};

// Who else has deadlines, and what follows a batch of events.
class LoopClient {
 public:
  virtual ~LoopClient() = default;
  virtual Time NextDeadline() = 0;  // kNever: none; not after now(): do not wait
  virtual void Advance(Time now) = 0;
  virtual void OnBatchDone(Time now) = 0;
};

class EventLoop {
 public:
  static std::unique_ptr<EventLoop> Create(std::string* error);
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // CLOCK_MONOTONIC as it was when the present batch began.
  Time now() const { return now_; }
  TimerQueue* timers() { return &timers_; }

  // `fd` and `handler` stay the caller's; Remove() before either goes.
  bool Add(int fd, uint32_t events, EventHandler* handler);
  void Remove(int fd, const EventHandler* handler);

  void Run(LoopClient* client);  // until Stop(); may be called again
  void Stop() { stopped_ = true; }

 private:
  explicit EventLoop(int epoll_fd) : epoll_fd_(epoll_fd) { Refresh(); }
  void Refresh();
  int Wait(Time deadline);

  int epoll_fd_;
  Time now_{};
  bool stopped_ = false;
  TimerQueue timers_;
  std::array<epoll_event, 64> batch_{};
  int batch_size_ = 0;
  int batch_next_ = 0;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_EVENT_LOOP_H_
