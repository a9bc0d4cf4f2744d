// Who decides about a connection's scheduler: the program's MPTCPTLS_SCHEDULER, else the first rule
// of the configuration that says something, else its default.
#ifndef MPTCPTLS_ENGINE_SCHEDULER_CHOICE_H_
#define MPTCPTLS_ENGINE_SCHEDULER_CHOICE_H_

#include <optional>
#include <string_view>

#include "engine/config.h"
#include "engine/control.h"
#include "stack/mptcp/scheduler.h"

namespace mptcptls {

// `asked` is what a request said: any byte. nullopt: the host's default.
std::optional<SchedulerKind> ChooseScheduler(const Config& config, const Endpoint& endpoint,
                                             bool listen, std::string_view program,
                                             control::Scheduler asked);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_SCHEDULER_CHOICE_H_
