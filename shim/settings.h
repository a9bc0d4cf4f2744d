// What the user said in the environment (MPTCPTLS_*), as it was when the process began: programs
// clear and overwrite theirs (nginx), and those that they start shall keep it.
#ifndef MPTCPTLS_SHIM_SETTINGS_H_
#define MPTCPTLS_SHIM_SETTINGS_H_

#include <stddef.h>

#include "engine/control.h"

namespace mptcptls::shim {

// nullptr when unset. Names as in the environment: "MPTCPTLS_REQUIRE".
const char* Setting(const char* name);

// "NAME=value" of LD_PRELOAD and every MPTCPTLS_* variable; nullptr past the end.
const char* KeptVariable(int index);

// Our entry of LD_PRELOAD, as it was when the process began; nullptr when we came another way.
const char* OwnPreload();
// The entry of LD_PRELOAD's value `list` that names a file called as `library` is, and its length;
// nullptr when there is none.
const char* FindPreload(const char* list, const char* library, size_t* length);

bool Required();  // MPTCPTLS_REQUIRE=1: ENETDOWN rather than kernel TCP

// MPTCPTLS_CAPTURE=all: connections within this host too.
bool CaptureLocal();

// MPTCPTLS_AUTH = auto | tls | keys | tcp; `given` tells whether it was set to one of these.
control::Auth AuthSetting(bool* given);

// MPTCPTLS_SCHEDULER = lowest-rtt | blest | ecf | round-robin | redundant | latency. Anything else
// is ignored.
control::Scheduler SchedulerSetting();

// Logs what is wrong with the variables (engine/variables.h): a line each, once per process, when
// the first of its sockets is worth a decision.
void TellWrongSettings();

// False in set-user-id programs, where nothing is hooked.
bool Enabled();

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_SETTINGS_H_
