// What a relay asks of its AF_UNIX stream socket.
#ifndef MPTCPTLS_ENGINE_UNIX_SOCKET_H_
#define MPTCPTLS_ENGINE_UNIX_SOCKET_H_

#include <sys/socket.h>

#include <cstddef>
#include <optional>

#include "engine/control.h"
#include "engine/descriptor.h"

namespace mptcptls {

size_t QueuedBytes(int socket);
bool SetFlag(int socket, int option, bool on);  // SOL_SOCKET
// The first bytes in the queue, left there, with the sender's credentials (SO_PASSCRED must be on).
ssize_t PeekWithCredentials(int socket, void* out, size_t size, std::optional<ucred>* credentials);
// recvmsg(), MSG_DONTWAIT, which also takes a mark of MSG_MORE (control.h) off the bytes: `marked`
// is their number, 0 without a mark. What has a mark ends what is read at once.
ssize_t ReceiveMarked(int socket, msghdr* message, int flags, size_t* marked);
// Reads and forgets up to `size` bytes in as few calls as possible; how many went.
size_t Discard(int socket, size_t size);
// The pending error, taken away.
int TakeSocketError(int socket);

// A non-blocking socket bound to `name`, invalid on failure (errno).
Descriptor BoundSocket(const control::Name& name);
// Who connected it, as the kernel knows.
std::optional<ucred> PeerCredentials(int socket);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_UNIX_SOCKET_H_
