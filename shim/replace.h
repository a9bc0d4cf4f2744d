// The unix socket that takes a TCP socket's place.
#ifndef MPTCPTLS_SHIM_REPLACE_H_
#define MPTCPTLS_SHIM_REPLACE_H_

#include <stdint.h>

namespace mptcptls::shim {

// What a stranger may not shrink: below it, the byte that the engine leaves unread takes away
// POLLOUT for good (FACTS.md, "A reset must never look like a clean end").
inline constexpr int kSocketBuffer = 1 << 20;

// While a connect() is pending: a quarter of it (doubled by the kernel) is between one and two of
// the largest buffers that a unix socket makes of a write (48,832 bytes). So when the engine drains
// the request but for its last byte, POLLOUT comes back with one buffer and gives one edge; with
// more of them a program on another processor can see several.
inline constexpr int kPendingBuffer = 190'000;

// Gives `unix_socket` the flags, time-outs and numbers of the kernel's TCP socket `tcp`.
void CopyProperties(int tcp, int unix_socket);

// What is known of them on the way back, to a fresh TCP socket.
void RestoreProperties(int unix_socket, int tcp);

// The part of it that an accepted TCP socket has from its listener: time-outs, SO_LINGER,
// SO_KEEPALIVE and other options of SOL_SOCKET that a unix socket has too.
void CopyOptions(int from, int to);

// A number nobody else has: names and identities.
bool RandomId(uint64_t* id);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_REPLACE_H_
