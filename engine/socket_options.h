// Socket options of captured sockets that a unix socket does not have (IPPROTO_TCP, IPPROTO_IP,
// IPPROTO_IPV6). Their values live in the kernel TCP socket that was replaced, so that ranges,
// defaults and errors are the kernel's; what the engine's rights would allow and the program's
// would not is refused.
#ifndef MPTCPTLS_ENGINE_SOCKET_OPTIONS_H_
#define MPTCPTLS_ENGINE_SOCKET_OPTIONS_H_

#include <cstdint>
#include <vector>

#include "engine/control.h"
#include "stack/mptcp/connection.h"

namespace mptcptls {

// What a listener's socket hands on to those that it accepts.
struct SavedOption {
  int level = 0;
  int name = 0;
  std::vector<uint8_t> value;
  bool operator==(const SavedOption&) const = default;
};
std::vector<SavedOption> ReadOptions(int kernel_socket);
void WriteOptions(int kernel_socket, const std::vector<SavedOption>& options);

// SO_LINGER with zero seconds: close() resets.
bool ResetsOnClose(int kernel_socket);
bool ResetsOnClose(const std::vector<SavedOption>& options);

// What these options ask of a connection.
StreamOptions ToStreamOptions(int kernel_socket);
StreamOptions ToStreamOptions(const std::vector<SavedOption>& options);
int SynRetries(int kernel_socket);  // TCP_SYNCNT
// TCP_DEFER_ACCEPT, as the kernel rounds it; zero: none.
Duration DeferredAccept(const std::vector<SavedOption>& options);

control::OptionReply GetSocketOption(int kernel_socket, const control::OptionRequest& request);
control::OptionReply SetSocketOption(int kernel_socket, const control::OptionRequest& request);
control::OptionReply NumberReply(int number);

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_SOCKET_OPTIONS_H_
