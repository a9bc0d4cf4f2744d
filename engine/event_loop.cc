#include "engine/event_loop.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace mptcptls {

std::unique_ptr<EventLoop> EventLoop::Create(std::string* error) {
  const int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    *error = std::string("epoll_create1: ") + std::strerror(errno);
    return nullptr;
  }
  return std::unique_ptr<EventLoop>(new EventLoop(fd));
}

EventLoop::~EventLoop() { close(epoll_fd_); }

void EventLoop::Refresh() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  now_ = Time(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
}

bool EventLoop::Add(int fd, uint32_t events, EventHandler* handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = handler;
  return epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void EventLoop::Remove(int fd, const EventHandler* handler) {
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
  // What the present batch still holds for it is void.
  for (int i = batch_next_; i < batch_size_; ++i) {
    epoll_event& event = batch_[static_cast<size_t>(i)];
    if (event.data.ptr == handler) event.data.ptr = nullptr;
  }
}

int EventLoop::Wait(Time deadline) {
  timespec timeout{};
  const timespec* limit = nullptr;
  if (deadline != kNever) {
    const Duration left = std::max(deadline - now_, Duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    timeout.tv_sec = seconds.count();
    timeout.tv_nsec = (left - seconds).count();
    limit = &timeout;
  }
  return epoll_pwait2(epoll_fd_, batch_.data(), static_cast<int>(batch_.size()), limit, nullptr);
}

void EventLoop::Run(LoopClient* client) {
  while (!stopped_) {
    Refresh();
    batch_size_ = Wait(std::min(timers_.Next(), client->NextDeadline()));
    Refresh();
    for (batch_next_ = 0; batch_next_ < batch_size_;) {
      const epoll_event event = batch_[static_cast<size_t>(batch_next_++)];
      if (event.data.ptr != nullptr)
        static_cast<EventHandler*>(event.data.ptr)->OnEvents(event.events);
    }
    timers_.Advance(now_);
    client->Advance(now_);
    client->OnBatchDone(now_);
  }
  stopped_ = false;
}

}  // namespace mptcptls
