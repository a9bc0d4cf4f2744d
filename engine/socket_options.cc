#include "engine/socket_options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "stack/host.h"

namespace mptcptls {
namespace {

struct Known {
  int level;
  int name;
};

// Everything else is ENOPROTOOPT: TCP_REPAIR, TCP_ULP, TCP_MD5SIG, IP_TRANSPARENT ... would act
// with the engine's rights, or promise what the stack does not do (IP_MINTTL, TCP_INQ).
constexpr std::array kKnown = {
    Known{IPPROTO_TCP, TCP_MAXSEG},
    Known{IPPROTO_TCP, TCP_NODELAY},
    Known{IPPROTO_TCP, TCP_CORK},
    Known{IPPROTO_TCP, TCP_KEEPIDLE},
    Known{IPPROTO_TCP, TCP_KEEPINTVL},
    Known{IPPROTO_TCP, TCP_KEEPCNT},
    Known{IPPROTO_TCP, TCP_SYNCNT},
    Known{IPPROTO_TCP, TCP_LINGER2},
    Known{IPPROTO_TCP, TCP_DEFER_ACCEPT},
    Known{IPPROTO_TCP, TCP_WINDOW_CLAMP},
    Known{IPPROTO_TCP, TCP_QUICKACK},
    Known{IPPROTO_TCP, TCP_CONGESTION},
    Known{IPPROTO_TCP, TCP_USER_TIMEOUT},
    Known{IPPROTO_TCP, TCP_FASTOPEN},
    Known{IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    Known{IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
    Known{IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
    Known{IPPROTO_IP, IP_TOS},
    Known{IPPROTO_IP, IP_TTL},
    Known{IPPROTO_IP, IP_MTU_DISCOVER},
    Known{IPPROTO_IP, IP_MTU},
    Known{IPPROTO_IP, IP_RECVERR},
    Known{IPPROTO_IP, IP_PKTINFO},
    Known{IPPROTO_IP, IP_RECVTTL},
    Known{IPPROTO_IP, IP_RECVTOS},
    Known{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
    Known{IPPROTO_IPV6, IPV6_V6ONLY},
    Known{IPPROTO_IPV6, IPV6_TCLASS},
    Known{IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    Known{IPPROTO_IPV6, IPV6_MTU_DISCOVER},
    Known{IPPROTO_IPV6, IPV6_MTU},
    Known{IPPROTO_IPV6, IPV6_RECVERR},
    Known{IPPROTO_IPV6, IPV6_RECVPKTINFO},
    Known{IPPROTO_IPV6, IPV6_RECVTCLASS},
    Known{IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
    Known{IPPROTO_IPV6, IPV6_AUTOFLOWLABEL},
    Known{SOL_SOCKET, SO_REUSEPORT},
    Known{SOL_SOCKET, SO_KEEPALIVE},
    Known{SOL_SOCKET, SO_LINGER},
};

bool IsKnown(const control::OptionRequest& request) {
  return std::ranges::any_of(
      kKnown, [&](const Known& k) { return k.level == request.level && k.name == request.name; });
}

control::OptionReply Failure(int error) {
  auto reply = control::Make<control::OptionReply>(control::Verb::kReply);
  reply.error = error;
  return reply;
}

// `number`: the value of an option, nullopt where it has none.
template <typename Number>
StreamOptions FromNumbers(const Number& number) {
  StreamOptions options;
  const auto seconds = [&](int name, Duration* out) {
    if (const auto n = number(IPPROTO_TCP, name)) *out = std::chrono::seconds(*n);
  };
  const auto flag = [&](int level, int name) { return number(level, name).value_or(0) != 0; };
  Patience& patience = options.patience;
  patience.keepalive = flag(SOL_SOCKET, SO_KEEPALIVE);
  seconds(TCP_KEEPIDLE, &patience.idle);
  seconds(TCP_KEEPINTVL, &patience.interval);
  patience.probes = number(IPPROTO_TCP, TCP_KEEPCNT).value_or(patience.probes);
  patience.user_timeout =
      std::chrono::milliseconds(number(IPPROTO_TCP, TCP_USER_TIMEOUT).value_or(0));
  seconds(TCP_LINGER2, &options.fin_wait);
  options.no_delay = flag(IPPROTO_TCP, TCP_NODELAY);
  options.cork = flag(IPPROTO_TCP, TCP_CORK);
  options.tos = static_cast<uint8_t>(number(IPPROTO_IP, IP_TOS).value_or(0));
  // A socket of IPv4 has none; its connection may join over IPv6 all the same.
  options.traffic_class =
      static_cast<uint8_t>(number(IPPROTO_IPV6, IPV6_TCLASS).value_or(options.tos));
  return options;
}

std::optional<int> NumberOf(int kernel_socket, int level, int name) {
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(kernel_socket, level, name, &value, &length) != 0) return std::nullopt;
  return value;
}

std::optional<int> NumberOf(const std::vector<SavedOption>& options, int level, int name) {
  const auto saved = std::ranges::find_if(options, [&](const SavedOption& option) {
    return option.level == level && option.name == name;
  });
  int value = 0;
  if (saved == options.end() || saved->value.size() != sizeof value) return std::nullopt;
  memcpy(&value, saved->value.data(), sizeof value);
  return value;
}

}  // namespace

std::vector<SavedOption> ReadOptions(int kernel_socket) {
  std::vector<SavedOption> saved;
  for (const Known& known : kKnown) {
    SavedOption option{known.level, known.name, std::vector<uint8_t>(64)};
    auto length = static_cast<socklen_t>(option.value.size());
    if (getsockopt(kernel_socket, known.level, known.name, option.value.data(), &length) != 0)
      continue;
    option.value.resize(length);
    saved.push_back(std::move(option));
  }
  return saved;
}

void WriteOptions(int kernel_socket, const std::vector<SavedOption>& options) {
  // What a connected socket refuses (TCP_MAXSEG of 0 and the like) it also would not inherit. What
  // it has already is not set again: TCP_FASTOPEN of 0 would make the kernel choose a key for the
  // host.
  const std::vector<SavedOption> present = ReadOptions(kernel_socket);
  for (const SavedOption& option : options) {
    if (std::ranges::find(present, option) != present.end()) continue;
    setsockopt(kernel_socket, option.level, option.name, option.value.data(),
               static_cast<socklen_t>(option.value.size()));
  }
}

bool ResetsOnClose(int kernel_socket) {
  linger wait{};
  socklen_t length = sizeof wait;
  return getsockopt(kernel_socket, SOL_SOCKET, SO_LINGER, &wait, &length) == 0 &&
         wait.l_onoff != 0 && wait.l_linger == 0;
}

bool ResetsOnClose(const std::vector<SavedOption>& options) {
  const auto saved = std::ranges::find_if(options, [](const SavedOption& option) {
    return option.level == SOL_SOCKET && option.name == SO_LINGER;
  });
  linger wait{};
  if (saved == options.end() || saved->value.size() != sizeof wait) return false;
  memcpy(&wait, saved->value.data(), sizeof wait);
  return wait.l_onoff != 0 && wait.l_linger == 0;
}

StreamOptions ToStreamOptions(int kernel_socket) {
  return FromNumbers(
      [kernel_socket](int level, int name) { return NumberOf(kernel_socket, level, name); });
}

StreamOptions ToStreamOptions(const std::vector<SavedOption>& options) {
  return FromNumbers([&](int level, int name) { return NumberOf(options, level, name); });
}

Duration DeferredAccept(const std::vector<SavedOption>& options) {
  return std::chrono::seconds(NumberOf(options, IPPROTO_TCP, TCP_DEFER_ACCEPT).value_or(0));
}

int SynRetries(int kernel_socket) {
  return NumberOf(kernel_socket, IPPROTO_TCP, TCP_SYNCNT).value_or(ConnectOptions().syn_retries);
}

control::OptionReply NumberReply(int number) {
  auto reply = control::Make<control::OptionReply>(control::Verb::kReply);
  reply.value_length = sizeof number;
  memcpy(reply.value, &number, sizeof number);
  return reply;
}

control::OptionReply GetSocketOption(int kernel_socket, const control::OptionRequest& request) {
  if (kernel_socket < 0 || !IsKnown(request)) return Failure(ENOPROTOOPT);
  auto reply = control::Make<control::OptionReply>(control::Verb::kReply);
  socklen_t length =
      std::min<socklen_t>(static_cast<socklen_t>(sizeof reply.value), request.value_length);
  if (getsockopt(kernel_socket, request.level, request.name, reply.value, &length) != 0)
    return Failure(errno);
  reply.value_length = length;
  return reply;
}

control::OptionReply SetSocketOption(int kernel_socket, const control::OptionRequest& request) {
  if (kernel_socket < 0 || !IsKnown(request)) return Failure(ENOPROTOOPT);
  if (request.value_length > sizeof request.value) return Failure(EINVAL);
  const int result =
      setsockopt(kernel_socket, request.level, request.name, request.value, request.value_length);
  return Failure(result == 0 ? 0 : errno);
}

}  // namespace mptcptls
