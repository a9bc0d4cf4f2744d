// A process that cleans up after its owner, even if that is killed.
#ifndef MPTCPTLS_TESTS_NETNS_WATCHDOG_H_
#define MPTCPTLS_TESTS_NETNS_WATCHDOG_H_

#include <functional>

namespace mptcptls::lab {

// Forks a process in a session of its own, no child of ours, that runs `clean_up` when the returned
// descriptor is closed by everybody, which the owner's death does too.
int StartWatchdog(const std::function<void()>& clean_up);

// Dismisses it: what it would do has been done. Closes the descriptor.
void StopWatchdog(int descriptor);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_WATCHDOG_H_
