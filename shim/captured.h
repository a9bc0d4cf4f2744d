// What a descriptor of the program is: asked of the descriptor itself, never of a table
// (ARCHITECTURE.md 4).
#ifndef MPTCPTLS_SHIM_CAPTURED_H_
#define MPTCPTLS_SHIM_CAPTURED_H_

#include <stdint.h>
#include <sys/socket.h>

#include "engine/control.h"

namespace mptcptls::shim {

// A captured socket. For an accepted one the role is kResponder, and the addresses are its own.
// Keeps errno.
bool Captured(int fd, control::Name* name);

// A TCP or MPTCP socket of the kernel that has neither been connected nor listens. `domain` is
// AF_INET or AF_INET6. Keeps errno.
bool FreshTcp(int fd, int* domain);

// A TCP or MPTCP socket of the kernel that listens already. Keeps errno.
bool ListeningTcp(int fd, int* domain);

// The few things that TCP knows of a socket and a unix socket does not. They are kept on the unix
// socket, in SO_MAX_PACING_RATE, which does nothing there, so that every fork and holder sees them.
struct Notes {
  uint32_t send_buffer = 0;  // SO_SNDBUF as the program shall read it; 0: not known
  bool reported = false;     // connect() or SO_ERROR told the program how its connect() ended
  bool up = false;           // was seen connected
  bool no_delay = false;     // TCP_NODELAY
  bool cork = false;         // TCP_CORK
  bool mptcp = false;        // the program asked for IPPROTO_MPTCP
  bool quick_ack = false;    // TCP_QUICKACK of 1 was the last that the engine was told
  bool more = false;         // MSG_MORE was used: what it held may wait in the engine
};
Notes ReadNotes(int fd);
void WriteNotes(int fd, const Notes& notes);

// Where an initiator's connect() stands.
enum class Progress { kPending, kUp, kFailed };
// `id` of the connection. Asks the engine only where the descriptor cannot tell. Keeps errno.
Progress ConnectProgress(int fd, uint64_t id);

// Whether TCP's socket would be closed (TCP_CLOSE): both directions have ended and the peer knows,
// or the connection was reset, or never came up. Keeps errno.
bool Over(int fd, const control::Name& name);

// Keeps errno while it lives.
class ErrnoKeeper {
 public:
  ErrnoKeeper();
  ~ErrnoKeeper();
  ErrnoKeeper(const ErrnoKeeper&) = delete;
  ErrnoKeeper& operator=(const ErrnoKeeper&) = delete;

 private:
  int saved_;
};

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_CAPTURED_H_
