// A local user who speaks to the engine's and the programs' abstract sockets as he likes.
#ifndef MPTCPTLS_TESTS_NETNS_LOCAL_STRANGER_H_
#define MPTCPTLS_TESTS_NETNS_LOCAL_STRANGER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/control.h"
#include "engine/descriptor.h"
#include "tests/netns/host.h"

namespace mptcptls::lab {

inline constexpr uid_t kNobody = 65534;

// Runs `body` in a thread of its own that is in the host's namespace and acts as this user. What it
// makes (sockets, names, listening) is that user's as far as the kernel can tell.
void As(const Host& host, uid_t uid, const std::function<void()>& body);

// A unix stream socket, invalid on failure (errno). `name` is abstract, without the leading NUL.
Descriptor UnixSocket();
bool BindTo(int socket, const std::string& name);
bool ConnectTo(int socket, const std::string& name);
std::string EngineName();
std::string NameOf(const control::Name& name);

bool SendAll(int socket, const std::string& bytes, int descriptor = -1);
// Up to the end of the stream; what came is returned.
std::string ReadToEnd(int socket);

// Abstract names in use on the host that begin with this, sorted, each once.
std::vector<std::string> AbstractNames(const Host& host, const std::string& prefix);

// Holds the engine's name on a host as this user, and answers each request with `answer`, until it
// is destroyed.
class FalseEngine {
 public:
  FalseEngine(const Host& host, uid_t uid, std::string answer);
  ~FalseEngine();
  FalseEngine(const FalseEngine&) = delete;
  FalseEngine& operator=(const FalseEngine&) = delete;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_LOCAL_STRANGER_H_
