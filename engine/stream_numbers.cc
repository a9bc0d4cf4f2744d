#include "engine/stream_numbers.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <limits>

namespace mptcptls {
namespace {

bool IsMtu(const control::OptionRequest& request) {
  return (request.level == IPPROTO_IP && request.name == IP_MTU) ||
         (request.level == IPPROTO_IPV6 && request.name == IPV6_MTU);
}

}  // namespace

std::optional<int> NumberOfPath(const Relay* relay, const control::OptionRequest& request,
                                Time now) {
  const bool mss = request.level == IPPROTO_TCP && request.name == TCP_MAXSEG;
  if ((!mss && !IsMtu(request)) || relay == nullptr || relay->connection() == nullptr)
    return std::nullopt;
  const ConnectionInfo info = relay->connection()->Info(now);
  const auto first = std::ranges::find_if(info.subflows, [](const SubflowStatus& subflow) {
    return !subflow.ended && subflow.tcp.path_mtu > 0;
  });
  if (first == info.subflows.end()) return std::nullopt;
  return static_cast<int>(mss ? first->tcp.mss : first->tcp.path_mtu);
}

int BytesOnTheirWay(const Relay* relay, int request, Time now) {
  if (relay == nullptr || relay->connection() == nullptr || relay->pending()) return 0;
  const ConnectionInfo info = relay->connection()->Info(now);
  uint64_t bytes = relay->unread();
  if (request == SIOCOUTQ)
    bytes += info.write_dsn - std::min(info.unacknowledged_dsn, info.write_dsn);
  else
    bytes += info.bytes_sent - std::min(info.bytes_carried, info.bytes_sent);
  return static_cast<int>(std::min<uint64_t>(bytes, std::numeric_limits<int>::max()));
}

}  // namespace mptcptls
