#include "engine/scheduler_choice.h"

namespace mptcptls {

std::optional<SchedulerKind> ChooseScheduler(const Config& config, const Endpoint& endpoint,
                                             bool listen, std::string_view program,
                                             control::Scheduler asked) {
  switch (asked) {
    case control::Scheduler::kLowestRtt:
      return SchedulerKind::kLowestRtt;
    case control::Scheduler::kBlest:
      return SchedulerKind::kBlest;
    case control::Scheduler::kEcf:
      return SchedulerKind::kEcf;
    case control::Scheduler::kRoundRobin:
      return SchedulerKind::kRoundRobin;
    case control::Scheduler::kRedundant:
      return SchedulerKind::kRedundant;
    case control::Scheduler::kLatency:
      return SchedulerKind::kLatency;
    case control::Scheduler::kNotGiven:
      break;
  }
  return config.SchedulerFor(endpoint, listen, program);
}

}  // namespace mptcptls
