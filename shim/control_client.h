// The shim's end of the control protocol (engine/control.h). Every wait is bounded by two seconds;
// every descriptor is close-on-exec and closed before the hook returns.
#ifndef MPTCPTLS_SHIM_CONTROL_CLIENT_H_
#define MPTCPTLS_SHIM_CONTROL_CLIENT_H_

#include <stddef.h>
#include <sys/socket.h>

#include "engine/control.h"

namespace mptcptls::shim {

inline constexpr int kControlWaitMs = 2000;

enum class WhenAbsent { kGiveUp, kStart };  // what to do without an engine

// A connected socket to a trusted engine (its uid is root's or ours), -1 without one.
int OpenEngine(WhenAbsent when_absent);

// Sends one message; `descriptor` (-1: none) and, if asked for, our credentials ride on it.
bool SendMessage(int socket, const void* message, size_t size, int descriptor, bool credentials);
// Reads exactly `size` bytes within kControlWaitMs.
bool ReceiveExactly(int socket, void* out, size_t size);

// Reads a reply of `size` bytes that begins with a control::Header. False, and said in the log,
// when it is none, or of another version.
bool ReceiveReply(int socket, void* reply, size_t size);

// One request, one Reply. False when there is no engine or no proper answer.
bool Ask(const void* request, size_t size, int descriptor, control::Reply* reply,
         WhenAbsent when_absent = WhenAbsent::kGiveUp);

// How the connect() of `id` ended: an errno, 0 when it succeeded (or goes on), -1 when nobody
// knows.
int AskResult(uint64_t id);

// kGetOption or kSetOption on the captured `fd`. 0 or an errno; `length` as for getsockopt().
int AskOption(control::Verb verb, int fd, int level, int name, void* value, socklen_t* length);

// kSetOption without waiting for the answer: for what may take effect a moment later. Whatever is
// asked next is asked after it. False when it could not be said.
bool TellOption(int fd, int level, int name, const void* value, socklen_t length);

// Fills comm of this process, as /proc/PID/comm has it.
void ProgramName(char (&name)[32]);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_CONTROL_CLIENT_H_
