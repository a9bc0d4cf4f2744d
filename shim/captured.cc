#include "shim/captured.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "shim/control_client.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

constexpr uint64_t kReported = 1ull << 32;
constexpr uint64_t kUp = 1ull << 33;
constexpr uint64_t kNoDelay = 1ull << 34;
constexpr uint64_t kCork = 1ull << 35;
constexpr uint64_t kMore = 1ull << 36;
constexpr uint64_t kMptcp = 1ull << 37;
constexpr uint64_t kQuickAck = 1ull << 38;

bool GetInt(int fd, int level, int option, int* value) {
  socklen_t length = sizeof *value;
  return real::getsockopt()(fd, level, option, value, &length) == 0;
}

// As TCP_INFO tells it; -1 where the engine does not know the connection any longer.
int StateOf(int fd) {
  tcp_info info;
  socklen_t length = sizeof info;
  const int error = AskOption(control::Verb::kGetOption, fd, IPPROTO_TCP, TCP_INFO, &info, &length);
  return error == 0 && length > 0 ? info.tcpi_state : -1;
}

bool HasPeer(int fd) {
  sockaddr_storage peer;
  socklen_t length = sizeof peer;
  return real::getpeername()(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

bool IsTcp(int fd, int* domain, int* protocol) {
  int type = 0;
  return GetInt(fd, SOL_SOCKET, SO_DOMAIN, domain) && (*domain == AF_INET || *domain == AF_INET6) &&
         GetInt(fd, SOL_SOCKET, SO_TYPE, &type) && type == SOCK_STREAM &&
         GetInt(fd, SOL_SOCKET, SO_PROTOCOL, protocol) &&
         (*protocol == IPPROTO_TCP || *protocol == kernel::kIpprotoMptcp);
}

}  // namespace

ErrnoKeeper::ErrnoKeeper() : saved_(errno) {}
ErrnoKeeper::~ErrnoKeeper() { errno = saved_; }

bool Captured(int fd, control::Name* name) {
  const ErrnoKeeper keeper;
  sockaddr_un address;
  socklen_t length = sizeof address;
  if (real::getsockname()(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      !control::DecodeName(address, length, name))
    return false;
  if (name->role != control::Role::kListener) return name->role == control::Role::kInitiator;
  // An accepted socket has its listener's name; who it is, the engine's end says.
  length = sizeof address;
  control::Name peer;
  if (real::getpeername()(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return true;
  if (!control::DecodeName(address, length, &peer) || peer.role != control::Role::kResponder)
    return false;
  *name = peer;
  return true;
}

bool FreshTcp(int fd, int* domain) {
  const ErrnoKeeper keeper;
  int protocol = 0;
  if (!IsTcp(fd, domain, &protocol)) return false;
  // Of MPTCP, TCP_INFO is the first subflow's, which may be over before the connection.
  if (protocol == kernel::kIpprotoMptcp && HasPeer(fd)) return false;
  tcp_info info;
  socklen_t length = sizeof info;
  return real::getsockopt()(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
         info.tcpi_state == TCP_CLOSE;
}

bool ListeningTcp(int fd, int* domain) {
  const ErrnoKeeper keeper;
  int listens = 0, protocol = 0;
  return GetInt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens) && listens != 0 &&
         IsTcp(fd, domain, &protocol);
}

Notes ReadNotes(int fd) {
  const ErrnoKeeper keeper;
  uint64_t word = 0;
  socklen_t length = sizeof word;
  Notes notes;
  if (real::getsockopt()(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &word, &length) != 0 ||
      length != sizeof word || word == ~0ull)
    return notes;
  notes.send_buffer = static_cast<uint32_t>(word);
  notes.reported = (word & kReported) != 0;
  notes.up = (word & kUp) != 0;
  notes.no_delay = (word & kNoDelay) != 0;
  notes.cork = (word & kCork) != 0;
  notes.more = (word & kMore) != 0;
  notes.mptcp = (word & kMptcp) != 0;
  notes.quick_ack = (word & kQuickAck) != 0;
  return notes;
}

void WriteNotes(int fd, const Notes& notes) {
  const ErrnoKeeper keeper;
  const uint64_t word = notes.send_buffer | (notes.reported ? kReported : 0) |
                        (notes.up ? kUp : 0) | (notes.no_delay ? kNoDelay : 0) |
                        (notes.cork ? kCork : 0) | (notes.more ? kMore : 0) |
                        (notes.mptcp ? kMptcp : 0) | (notes.quick_ack ? kQuickAck : 0);
  real::setsockopt()(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &word, sizeof word);
}

Progress ConnectProgress(int fd, uint64_t id) {
  const ErrnoKeeper keeper;
  Notes notes = ReadNotes(fd);
  if (notes.up) return Progress::kUp;
  pollfd state{fd, POLLIN | POLLOUT, 0};
  poll(&state, 1, 0);
  if ((state.revents & POLLHUP) != 0) {
    // Both directions are over: it failed, or it was up and has ended since.
    return AskResult(id) > 0 ? Progress::kFailed : Progress::kUp;
  }
  bool up = (state.revents & (POLLOUT | POLLIN)) != 0;
  if (!up) {
    // Pending, or up with a full send buffer; only the engine knows.
    const int tcp = StateOf(fd);
    up = tcp >= 0 && tcp != TCP_SYN_SENT;
  }
  if (!up) return Progress::kPending;
  notes.up = true;
  WriteNotes(fd, notes);
  return Progress::kUp;
}

bool Over(int fd, const control::Name& name) {
  const ErrnoKeeper keeper;
  if (name.role == control::Role::kListener) return false;
  pollfd ended{fd, 0, 0};
  if (poll(&ended, 1, 0) != 1 || (ended.revents & POLLHUP) == 0) return false;
  // The peer's acknowledgement of our end may be on its way.
  const int tcp = StateOf(fd);
  return tcp < 0 || tcp == TCP_CLOSE || tcp == TCP_TIME_WAIT;
}

}  // namespace mptcptls::shim
