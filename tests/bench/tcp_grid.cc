#include "tests/bench/tcp_grid.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "tests/bench/format.h"
#include "tests/bench/spread.h"

namespace mptcptls::bench {
namespace {

using Clock = std::chrono::steady_clock;

// As much as two cores forward at a time without being what is measured.
constexpr double kMostMbit = 200;

// A wire and a tool, once: the rows that share its measurement of the kernel.
struct Task {
  std::vector<TcpRow*> rows;
  uint64_t seed = 0;
};

double MedianMbit(const std::vector<Speed>& speeds) {
  std::vector<double> values;
  for (const Speed& speed : speeds) values.push_back(speed.mbit);
  return SpreadOf(values).median;
}

std::vector<TcpRow> MakeRows(const TcpOptions& options) {
  std::vector<TcpRow> rows;
  for (const double rtt : options.rtt_ms) {
    for (const double loss : options.loss_percent) {
      for (const double reorder : options.reorder_ms) {
        for (const double rate : options.rate_mbit) {
          const Wire wire{
              .rtt_ms = rtt, .loss_percent = loss, .reorder_ms = reorder, .rate_mbit = rate};
          for (const Tool tool : options.tools) {
            for (const Ours direction : options.directions) {
              rows.push_back(
                  {.wire = wire, .tool = tool, .direction = direction, .kernel = {}, .ours = {}});
            }
          }
        }
      }
    }
  }
  return rows;
}

// Each wire and tool, in the order of the table.
std::vector<Task> MakeTasks(const TcpOptions& options, std::vector<TcpRow>* rows) {
  std::vector<Task> tasks;
  for (size_t i = 0; i < rows->size(); i += options.directions.size()) {
    Task task;
    for (size_t k = 0; k < options.directions.size(); ++k) task.rows.push_back(&(*rows)[i + k]);
    tasks.push_back(task);
  }
  return tasks;
}

// All of them in each round; the dice of a cell fall differently in each.
std::vector<Task> Rounds(const std::vector<Task>& tasks, int rounds, uint64_t* seed) {
  std::vector<Task> all;
  for (int round = 0; round < rounds; ++round) {
    for (Task task : tasks) {
      task.seed = std::exchange(*seed, *seed + 2);
      all.push_back(task);
    }
  }
  return all;
}

bool BelowGoal(const Task& task) {
  return std::ranges::any_of(task.rows,
                             [](const TcpRow* row) { return row->Ratio().value_or(1) < kGoal; });
}

std::string Describe(const Speed& speed) {
  return speed.failure.empty() ? Format("%6.2f", speed.mbit) : "failed (" + speed.failure + ")";
}

// Hands out the tasks to several workers and tells how far they are.
class Work {
 public:
  explicit Work(std::vector<Task> tasks) : tasks_(std::move(tasks)), start_(Clock::now()) {}

  // Waits until the machine has room for it; nullptr when there is none left.
  const Task* Next() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] {
      return Over() || busy_mbit_ < 1 || busy_mbit_ + MbitOf(tasks_[next_]) <= kMostMbit;
    });
    if (Over()) return nullptr;
    busy_mbit_ += MbitOf(tasks_[next_]);
    return &tasks_[next_++];
  }

  void Done(const Task& task, const Speed& kernel, const std::vector<Speed>& ours) {
    const std::lock_guard lock(mutex_);
    std::string text = "kernel " + Describe(kernel);
    for (size_t i = 0; i < ours.size(); ++i) {
      TcpRow& row = *task.rows[i];
      row.kernel.push_back(kernel);
      row.ours.push_back(ours[i]);
      text += ", " + NameOf(row.direction) + " " + Describe(ours[i]);
    }
    ++done_;
    busy_mbit_ -= MbitOf(task);
    room_.notify_all();
    const TcpRow& row = *task.rows.front();
    fprintf(stderr, "  %3zu of %zu  %s  %-6s  %s; %s left\n", done_, tasks_.size(),
            row.wire.ToString().c_str(), NameOf(row.tool).c_str(), text.c_str(), Left().c_str());
  }

  void Fail(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!failed_) failed_ = std::move(why);
    room_.notify_all();
  }

  double Minutes() const {
    return std::chrono::duration<double, std::ratio<60>>(Clock::now() - start_).count();
  }
  void RethrowFailure() const {
    if (failed_) std::rethrow_exception(failed_);
  }

 private:
  std::string Left() const {
    const double left =
        Minutes() * static_cast<double>(tasks_.size() - done_) / static_cast<double>(done_);
    return left < 1 ? Format("%.0f s", left * 60) : Format("%.0f min", left);
  }

  bool Over() const { return failed_ != nullptr || next_ == tasks_.size(); }
  static double MbitOf(const Task& task) { return task.rows.front()->wire.LikelyMbit(); }

  std::mutex mutex_;
  std::condition_variable room_;
  std::vector<Task> tasks_;
  size_t next_ = 0, done_ = 0;
  double busy_mbit_ = 0;  // of the tasks that are being done
  Clock::time_point start_;
  std::exception_ptr failed_;
};

void RunTasks(Duel* duel, const TcpOptions& options, Work* work) {
  const std::chrono::seconds length(options.seconds);
  try {
    while (const Task* task = work->Next()) {
      const TcpRow& first = *task->rows.front();
      const Speed kernel = duel->Run(first.tool, Ours::kNowhere, first.wire, length, task->seed);
      std::vector<Speed> ours;
      for (const TcpRow* row : task->rows) {
        ours.push_back(duel->Run(row->tool, row->direction, row->wire, length, task->seed));
      }
      work->Done(*task, kernel, ours);
    }
  } catch (...) {
    work->Fail(std::current_exception());
  }
}

}  // namespace

double TcpRow::KernelMbit() const { return MedianMbit(kernel); }
double TcpRow::OursMbit() const { return MedianMbit(ours); }

std::optional<double> TcpRow::Ratio() const {
  std::vector<double> ratios;
  for (size_t i = 0; i < kernel.size(); ++i) {
    if (!ours[i].failure.empty()) return 0;
    if (kernel[i].failure.empty()) ratios.push_back(ours[i].mbit / kernel[i].mbit);
  }
  if (ratios.empty()) return std::nullopt;
  return SpreadOf(ratios).median;
}

TcpResults MeasureTcp(const TcpOptions& options) {
  TcpResults results{.options = options, .rows = MakeRows(options)};
  std::vector<Task> tasks = MakeTasks(options, &results.rows);
  std::vector<std::unique_ptr<Duel>> duels;
  const size_t labs = std::min(static_cast<size_t>(options.jobs), tasks.size());
  for (size_t i = 0; i < labs; ++i) duels.push_back(std::make_unique<Duel>());
  uint64_t seed = options.seed;
  const auto run = [&](int rounds) {
    Work work(Rounds(tasks, rounds, &seed));
    std::vector<std::thread> workers;
    for (const auto& duel : duels) {
      workers.emplace_back([&work, &options, &duel] { RunTasks(duel.get(), options, &work); });
    }
    for (std::thread& worker : workers) worker.join();
    work.RethrowFailure();
    results.minutes += work.Minutes();
  };
  run(options.rounds);
  std::erase_if(tasks, [](const Task& task) { return !BelowGoal(task); });
  if (!tasks.empty() && options.settle > 0) run(options.settle);
  return results;
}

}  // namespace mptcptls::bench
