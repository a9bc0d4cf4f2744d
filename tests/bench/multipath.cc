#include "tests/bench/multipath.h"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "tests/bench/contender.h"
#include "tests/bench/format.h"
#include "tests/bench/multipath_field.h"
#include "tests/bench/spread.h"
#include "tests/bench/work_queue.h"

namespace mptcptls::bench {
namespace {

constexpr double kLikeGoal = 0.97, kUnlikeGoal = 0.93;

std::vector<MultipathRow> MakeRows(const MultipathOptions& options) {
  std::vector<MultipathRow> rows;
  for (const auto& rate : options.rate_mbit) {
    for (const auto& rtt : options.rtt_ms) {
      for (const double loss : options.loss_percent) {
        MultipathRow row;
        row.wires[0] = {.rtt_ms = rtt.first, .loss_percent = loss, .rate_mbit = rate.first};
        row.wires[1] = {.rtt_ms = rtt.second, .loss_percent = loss, .rate_mbit = rate.second};
        rows.push_back(row);
      }
    }
  }
  return rows;
}

// All have the same time: where losses decide, a short transfer is mostly its slow start.
double Measure(Field* field, Carrier carrier, const std::array<Wire, 2>& wires, double seconds,
               uint64_t seed) {
  field->Set(wires, seed);
  const Task task{.seconds = seconds, .link = carrier == Carrier::kSecondAlone ? 2 : 1};
  const Contender contender = carrier == Carrier::kOurs     ? Contender::kOurs
                              : carrier == Carrier::kKernel ? Contender::kMptcp
                                                            : Contender::kTcp;
  return Run(contender, field->lab(), task).transfer.GbitPerSecond() * 1e3;
}

std::string Describe(const MultipathRow& row) {
  return Format("%8s Mbit/s  %7s ms  %3g %%", Rates(row.wires).c_str(),
                RoundTrips(row.wires).c_str(), row.wires[0].loss_percent);
}

}  // namespace

double MultipathRow::Median(Carrier carrier) const {
  return SpreadOf(mbit[static_cast<size_t>(carrier)]).median;
}

bool MultipathRow::Alike() const {
  return wires[0].rate_mbit == wires[1].rate_mbit && wires[0].rtt_ms == wires[1].rtt_ms &&
         wires[0].loss_percent == 0;
}

double MultipathRow::Goal() const { return Alike() ? kLikeGoal : kUnlikeGoal; }

MultipathResults MeasureMultipath(const MultipathOptions& options) {
  MultipathResults results{.options = options, .rows = MakeRows(options)};
  std::vector<double> mbit;
  for (int round = 0; round < options.rounds; ++round) {
    for (const MultipathRow& row : results.rows) {
      mbit.push_back(row.wires[0].LikelyMbit() + row.wires[1].LikelyMbit());
    }
  }
  std::vector<std::unique_ptr<Field>> fields;
  const size_t labs = std::min(static_cast<size_t>(options.jobs), mbit.size());
  for (size_t i = 0; i < labs; ++i) fields.push_back(std::make_unique<Field>());
  WorkQueue queue(mbit);
  queue.Run(labs, [&](size_t worker) {
    while (const auto task = queue.Next()) {
      MultipathRow& row = results.rows[*task % results.rows.size()];
      std::array<double, kCarriers.size()> measured{};
      std::vector<std::string> failures;
      for (size_t i = 0; i < kCarriers.size(); ++i) {
        try {
          measured[i] = Measure(fields[worker].get(), kCarriers[i], row.wires, options.seconds,
                                options.seed + 2 * *task);
        } catch (const std::exception& error) {
          const std::string text = error.what();
          failures.push_back(text.substr(0, text.find('\n')));
        }
        fields[worker]->Settle();
      }
      queue.Done(*task, [&] {
        for (size_t i = 0; i < kCarriers.size(); ++i) row.mbit[i].push_back(measured[i]);
        row.failures.insert(row.failures.end(), failures.begin(), failures.end());
        return Describe(row) + Format("  alone %6.2f %6.2f, kernel %6.2f, ours %6.2f", measured[0],
                                      measured[1], measured[2], measured[3]);
      });
    }
  });
  results.minutes = queue.Minutes();
  return results;
}

}  // namespace mptcptls::bench
