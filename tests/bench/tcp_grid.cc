#include "tests/bench/tcp_grid.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "tests/bench/format.h"
#include "tests/bench/spread.h"
#include "tests/bench/work_queue.h"

namespace mptcptls::bench {
namespace {

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

// Keeps what a task measured; what is told of it.
std::string Keep(const Task& task, const Speed& kernel, const std::vector<Speed>& ours) {
  std::string text = "kernel " + Describe(kernel);
  for (size_t i = 0; i < ours.size(); ++i) {
    TcpRow& row = *task.rows[i];
    row.kernel.push_back(kernel);
    row.ours.push_back(ours[i]);
    text += ", " + NameOf(row.direction) + " " + Describe(ours[i]);
  }
  const TcpRow& row = *task.rows.front();
  return row.wire.ToString() + "  " + Format("%-6s", NameOf(row.tool).c_str()) + "  " + text;
}

void RunTasks(Duel* duel, const TcpOptions& options, const std::vector<Task>& tasks,
              WorkQueue* queue) {
  const std::chrono::seconds length(options.seconds);
  while (const auto index = queue->Next()) {
    const Task& task = tasks[*index];
    const TcpRow& first = *task.rows.front();
    const Speed kernel = duel->Run(first.tool, Ours::kNowhere, first.wire, length, task.seed);
    std::vector<Speed> ours;
    for (const TcpRow* row : task.rows) {
      ours.push_back(duel->Run(row->tool, row->direction, row->wire, length, task.seed));
    }
    queue->Done(*index, [&] { return Keep(task, kernel, ours); });
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
    const std::vector<Task> all = Rounds(tasks, rounds, &seed);
    std::vector<double> mbit;
    for (const Task& task : all) mbit.push_back(task.rows.front()->wire.LikelyMbit());
    WorkQueue queue(mbit);
    queue.Run(duels.size(), [&](size_t i) { RunTasks(duels[i].get(), options, all, &queue); });
    results.minutes += queue.Minutes();
  };
  run(options.rounds);
  std::erase_if(tasks, [](const Task& task) { return !BelowGoal(task); });
  if (!tasks.empty() && options.settle > 0) run(options.settle);
  return results;
}

}  // namespace mptcptls::bench
