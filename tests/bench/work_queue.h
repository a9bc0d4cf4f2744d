// Measurements that several workers make at a time, as many as the machine carries, with their
// progress on stderr.
#ifndef MPTCPTLS_TESTS_BENCH_WORK_QUEUE_H_
#define MPTCPTLS_TESTS_BENCH_WORK_QUEUE_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace mptcptls::bench {

class WorkQueue {
 public:
  // What each task puts on the machine, in Mbit/s.
  explicit WorkQueue(std::vector<double> mbit);

  // `work(worker)` in so many threads: each takes tasks by Next() and hands them back by Done().
  // Rethrows the first exception that one ended by.
  void Run(size_t workers, const std::function<void(size_t worker)>& work);
  // Waits until the machine has room for it; nullopt when there is none left.
  std::optional<size_t> Next();
  // `record` keeps the results, one at a time, and returns what is printed of them.
  void Done(size_t task, const std::function<std::string()>& record);
  double Minutes() const;

 private:
  std::string Left() const;
  bool Over() const { return failed_ != nullptr || next_ == mbit_.size(); }

  std::mutex mutex_;
  std::condition_variable room_;
  std::vector<double> mbit_;
  size_t next_ = 0, done_ = 0;
  double busy_mbit_ = 0;  // of the tasks that are being done
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::exception_ptr failed_;
};

}  // namespace mptcptls::bench

#endif  // MPTCPTLS_TESTS_BENCH_WORK_QUEUE_H_
