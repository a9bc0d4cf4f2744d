#include "tests/bench/work_queue.h"

#include <cstdio>
#include <thread>
#include <utility>

#include "tests/bench/format.h"

namespace mptcptls::bench {
namespace {

// As much as two cores forward at a time without being what is measured.
constexpr double kMostMbit = 200;

}  // namespace

WorkQueue::WorkQueue(std::vector<double> mbit) : mbit_(std::move(mbit)) {}

void WorkQueue::Run(size_t workers, const std::function<void(size_t worker)>& work) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < workers; ++i) {
    threads.emplace_back([this, &work, i] {
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!failed_) failed_ = std::current_exception();
        room_.notify_all();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (failed_) std::rethrow_exception(failed_);
}

std::optional<size_t> WorkQueue::Next() {
  std::unique_lock lock(mutex_);
  room_.wait(lock,
             [this] { return Over() || busy_mbit_ < 1 || busy_mbit_ + mbit_[next_] <= kMostMbit; });
  if (Over()) return std::nullopt;
  busy_mbit_ += mbit_[next_];
  return next_++;
}

void WorkQueue::Done(size_t task, const std::function<std::string()>& record) {
  const std::lock_guard lock(mutex_);
  const std::string text = record();
  ++done_;
  busy_mbit_ -= mbit_[task];
  room_.notify_all();
  fprintf(stderr, "  %3zu of %zu  %s; %s left\n", done_, mbit_.size(), text.c_str(),
          Left().c_str());
}

double WorkQueue::Minutes() const {
  return std::chrono::duration<double, std::ratio<60>>(std::chrono::steady_clock::now() - start_)
      .count();
}

std::string WorkQueue::Left() const {
  const double left =
      Minutes() * static_cast<double>(mbit_.size() - done_) / static_cast<double>(done_);
  return left < 1 ? Format("%.0f s", left * 60) : Format("%.0f min", left);
}

}  // namespace mptcptls::bench
