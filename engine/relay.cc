#include "engine/relay.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "engine/addresses.h"
#include "engine/relays.h"
#include "engine/socket_options.h"
#include "engine/unix_socket.h"

namespace mptcptls {
namespace {

constexpr uint32_t kEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
// What the engine may have in flight to a program, and keeps writable beside the held-back byte.
constexpr int kSocketBuffer = 1 << 20;
constexpr int kReadsPerPump = 8;  // of up to two blocks each
constexpr Duration kFirstRetry = std::chrono::milliseconds(5);
constexpr Duration kLastRetry = std::chrono::milliseconds(500);

int ErrnoOf(EndReason end) {
  switch (end) {
    case EndReason::kRefused:
      return ECONNREFUSED;
    case EndReason::kTimedOut:
      return ETIMEDOUT;
    case EndReason::kUnreachable:
      return EHOSTUNREACH;
    case EndReason::kNetUnreachable:
      return ENETUNREACH;
    case EndReason::kNoProtocol:
      return ENOPROTOOPT;
    case EndReason::kProhibited:
      return EACCES;
    case EndReason::kNone:
    case EndReason::kClean:
      return 0;
    case EndReason::kReset:
    case EndReason::kAborted:
      break;
  }
  return ECONNRESET;
}

}  // namespace

std::string NoKeyReason(control::NoKey why) {
  switch (why) {
    case control::NoKey::kNoExtendedMasterSecret:
      return "TLS 1.2 without Extended Master Secret";
    case control::NoKey::kTlsTooOld:
      return "TLS older than 1.2";
    case control::NoKey::kExporterFailed:
      return "the TLS library gave none";
    case control::NoKey::kNone:
      break;
  }
  return "the program gave none";
}

Relay::Relay(Relays* table, uint64_t id, Program program)
    : table_(table),
      id_(id),
      program_(std::move(program)),
      retry_(table->loop()->timers(), [this](Time now) { TryDeliver(now); }) {}

Relay::~Relay() {
  if (socket_.valid()) table_->loop()->Remove(socket_.get(), this);
}

Time Relay::now() const { return table_->loop()->now(); }

// ---- The program's connect()

void Relay::TakeInitiator(Descriptor socket, Descriptor kernel, uint16_t bound_port) {
  initiator_ = true;
  socket_ = std::move(socket);
  kernel_ = std::move(kernel);
  bound_port_ = bound_port;
  PrepareSocket();
  table_->loop()->Add(socket_.get(), kEvents, this);
}

void Relay::PrepareSocket() {
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
  // An urgent byte is one of the stream (RFC 6093 6); out of it, it would be counted as waiting and
  // never be there.
  SetFlag(socket_.get(), SO_OOBINLINE, true);
}

void Relay::Cancel(uint16_t bound_port) {
  initiator_ = true;
  bound_port_ = bound_port;
  CloseSocket();
}

// The request counts when all of it is there: a socket closed before would leave the program's
// connect() without its error.
void Relay::ReadPending() {
  if (pending_length_ == 0) {
    control::PendingRequest request;
    std::optional<ucred> sender;
    const ssize_t n = PeekWithCredentials(socket_.get(), &request, sizeof request, &sender);
    if (n == static_cast<ssize_t>(sizeof request)) {
      const control::Header& h = request.header;
      const bool valid = control::HeaderIsOurs(h) && h.verb == control::Verb::kPending &&
                         h.length > sizeof request && h.length <= control::kMaxPending &&
                         request.id == id_ && sender.has_value();
      if (valid) {
        pending_length_ = h.length;
        program_.uid = sender->uid;
        taken_ = true;
        SetFlag(socket_.get(), SO_PASSCRED, false);
      } else {
        program_gone_ = true;  // whoever this is
      }
    }
  }
  const bool complete = pending_length_ > 0 && QueuedBytes(socket_.get()) >= pending_length_;
  if (!program_gone_ && !complete) return;
  if (program_gone_) {
    if (connection_ != nullptr) connection_->Abort(now());
    CloseSocket();
  } else if (end_ != EndReason::kNone) {
    CloseSocket();
  } else if (connected_) {
    Open();
  }
}

void Relay::OnConnected(Connection& /*connection*/, Time /*now*/) {
  connected_ = true;
  if (pending_length_ > 0 && QueuedBytes(socket_.get()) >= pending_length_) Open();
}

// All but the last byte is read: POLLOUT comes back, once, and a byte is held back.
void Relay::Open() {
  stage_ = Stage::kDraining;
  --pending_length_;
  Drain();
}

void Relay::Drain() {
  // Each kernel buffer (36 KiB here) that is freed with POLLOUT back already is another edge: one
  // must be freed, not two. What is left of the pad goes with the first bytes behind it.
  const size_t enough = size_t{pending_length_} * 18 / 25;
  pad_left_ = pending_length_ - static_cast<uint32_t>(Discard(socket_.get(), enough));
  stage_ = Stage::kOpen;
  held_back_ = true;
  table_->MarkDirty(this);
}

// ---- The program's accept()

void Relay::DeliverTo(const control::Name& listener, InheritedOptions inherited) {
  listener_ = listener;
  inherited_ = std::move(inherited);
  name_.role = control::Role::kResponder;
  name_.mapped = listener.mapped;
  name_.id = id_;
  name_.local = ToControl(connection_->local());
  name_.remote = ToControl(connection_->remote());
  if (inherited_ != nullptr) connection_->SetOptions(now(), ToStreamOptions(*inherited_));
  stage_ = Stage::kDelivering;
  table_->CountWaiting(listener_.id, 1);
  retry_.Set(now());
}

void Relay::TryDeliver(Time now) {
  if (!socket_.valid()) {
    socket_ = BoundSocket(name_);
    if (!socket_.valid()) return FailedToDeliver(now);
    SetFlag(socket_.get(), SO_PASSCRED, true);
    PrepareSocket();
  }
  sockaddr_un address;
  const socklen_t length = control::EncodeName(listener_, &address);
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0) {
    stage_ = Stage::kOpen;
    table_->loop()->Add(socket_.get(), kEvents, this);
    return table_->MarkDirty(this);
  }
  // The backlog is full, and nothing tells when it no longer is (FACTS.md).
  if (errno != EAGAIN) return FailedToDeliver(now);
  retry_wait_ =
      retry_wait_ == Duration::zero() ? kFirstRetry : std::min(retry_wait_ * 2, kLastRetry);
  retry_.Set(now + retry_wait_);
}

void Relay::FailedToDeliver(Time now) {
  if (connection_ != nullptr) connection_->Abort(now);
  CloseSocket();
}

// The accept() hook's first byte says who has the connection now. It stays, as the held-back one.
void Relay::TakeAcceptByte() {
  uint8_t byte = 0;
  std::optional<ucred> sender;
  if (PeekWithCredentials(socket_.get(), &byte, 1, &sender) != 1) return;
  if (byte != control::kAcceptByte || !sender) {
    program_gone_ = true;
    return;
  }
  program_.uid = sender->uid;
  program_.pid = static_cast<uint32_t>(sender->pid);
  taken_ = held_back_ = true;
  table_->CountWaiting(listener_.id, -1);
  SetFlag(socket_.get(), SO_PASSCRED, false);
}

// ---- Events

void Relay::OnEvents(uint32_t events) {
  if ((events & EPOLLRDHUP) != 0) program_ended_ = true;
  if ((events & EPOLLHUP) != 0) program_ended_ = program_gone_ = true;
  if ((events & EPOLLERR) != 0 && TakeSocketError(socket_.get()) == ECONNRESET)
    program_reset_ = true;
  if ((events & EPOLLOUT) != 0) to_program_full_ = false;
  if (stage_ == Stage::kPending) return ReadPending();
  if (stage_ == Stage::kDraining) return Drain();
  table_->MarkDirty(this);
}

bool Relay::Pump() {
  if (stage_ != Stage::kOpen) return false;
  if (!initiator_ && !taken_) TakeAcceptByte();
  if (end_ != EndReason::kNone || (!taken_ && program_gone_)) {
    EndSocket();
    return false;
  }
  if (peer_ended_) shutdown(socket_.get(), SHUT_WR);
  const bool more_out = WriteProgram();
  bool more_in = taken_;
  for (int i = 0; more_in && i < kReadsPerPump; ++i) more_in = ReadProgram();
  if (tls_.ripe()) GiveLoggedKey();
  return (more_out || more_in) && stage_ == Stage::kOpen;
}

void Relay::PumpFromProgram() {
  if (stage_ != Stage::kOpen || !taken_) return;
  while (ReadProgram()) {
  }
}

// ---- From the program to the network

bool Relay::ReadProgram() {
  if (connection_ == nullptr || stage_ != Stage::kOpen) return false;
  const size_t skip = held_back_ ? 1 : 0;
  size_t queued = QueuedBytes(socket_.get());
  if (pad_left_ > 0 && queued > pad_left_ + skip) {
    const size_t gone = Discard(socket_.get(), pad_left_);
    pad_left_ -= static_cast<uint32_t>(gone);
    queued -= gone;
  }
  if (queued <= pad_left_ + skip) {
    if (program_ended_) ProgramEnded();
    return false;
  }
  std::array<std::span<uint8_t>, 2> regions;
  const size_t room = connection_->WriteRegions(&regions);
  if (room == 0) return false;  // OnWritable() follows
  const size_t fresh = std::min(queued - skip, room);
  uint8_t old = 0;
  std::array<iovec, 3> pieces{};
  msghdr message{};
  message.msg_iov = pieces.data();
  if (skip > 0) pieces[message.msg_iovlen++] = {&old, 1};
  // All but the last byte is taken out, and that one only looked at.
  const size_t first = std::min(fresh - 1, regions[0].size());
  if (first > 0) pieces[message.msg_iovlen++] = {regions[0].data(), first};
  if (first < fresh - 1) pieces[message.msg_iovlen++] = {regions[1].data(), fresh - 1 - first};
  size_t taken = 0, for_later = 0;  // for_later: how many at the end were sent with MSG_MORE
  size_t marked = 0;
  if (message.msg_iovlen > 0) {
    const ssize_t n = ReceiveMarked(socket_.get(), &message, 0, &marked);
    if (n <= 0) return false;
    held_back_ = false;
    taken = static_cast<size_t>(n) - skip;
    // Marked bytes end what is read. Whether all of them were, and the next byte is another's, is
    // known where at most the held byte came before them; else it is taken for another's.
    const size_t before = skip > 0 && !held_marked_ ? 1 : 0;
    const bool partly = static_cast<size_t>(n) - before < marked;
    if (taken < fresh - 1 || partly) for_later = std::min(marked, taken);
    if (partly) ++for_later;  // and the next byte
  }
  if (taken == fresh - 1) {
    uint8_t* last = taken < regions[0].size() ? regions[0].data() + taken
                                              : regions[1].data() + (taken - regions[0].size());
    iovec piece{last, 1};
    msghdr peek{};
    peek.msg_iov = &piece;
    peek.msg_iovlen = 1;
    if (ReceiveMarked(socket_.get(), &peek, MSG_PEEK, &marked) == 1) {
      held_back_ = true;
      held_marked_ = marked > 0;
      if (held_marked_) for_later = 1;
      ++taken;
    }
  }
  if (taken == 0 && skip == 0) return false;
  const size_t in_first = std::min(taken, regions[0].size());
  Look(TlsWatch::From::kProgram, regions[0].first(in_first));
  Look(TlsWatch::From::kProgram, regions[1].first(taken - in_first));
  for_later = std::min(for_later, taken);
  // What came before it without the flag does not wait with it.
  if (for_later > 0 && for_later < taken) {
    connection_->Commit(now(), taken - for_later, Coming::kNothing);
    if (connection_ == nullptr) return false;
  }
  connection_->Commit(now(), for_later > 0 ? for_later : taken,
                      queued - skip > taken ? Coming::kNow
                      : for_later > 0       ? Coming::kLater
                                            : Coming::kNothing);
  return true;
}

void Relay::ProgramEnded() {
  if (program_gone_ && !gone_told_) {
    const bool both_ended = peer_ended_ && end_told_;  // then a kernel sends no reset either
    end_told_ = gone_told_ = true;
    // RFC 2525 2.17: what it did not read, it will never read.
    const bool resets = kernel_.valid()         ? ResetsOnClose(kernel_.get())
                        : inherited_ != nullptr ? ResetsOnClose(*inherited_)
                                                : false;
    if (program_reset_ || discarded_ || (resets && !both_ended)) {
      connection_->Abort(now());
    } else {
      // EPOLLHUP also means that both directions are shut down and the program still has its end:
      // no byte unread, so that it sees no reset.
      if (held_back_) Discard(socket_.get(), pad_left_ + 1);
      connection_->Orphan(now());
    }
    CloseSocket();
  } else if (!end_told_) {
    end_told_ = true;
    connection_->Shutdown(now());
  }
}

void Relay::OnWritable(Connection& /*connection*/, Time /*now*/) { table_->MarkDirty(this); }

// ---- From the network to the program

size_t Relay::OnData(Connection& /*connection*/, Time /*now*/, ByteSpan bytes) {
  if (stage_ != Stage::kOpen || to_program_full_) return 0;
  const size_t sent = Send(bytes);
  Look(TlsWatch::From::kNetwork, bytes.first(sent));
  return sent;
}

bool Relay::WriteProgram() {
  while (connection_ != nullptr && !to_program_full_) {
    const ByteSpan bytes = connection_->Readable();
    if (bytes.empty()) return false;
    const size_t sent = Send(bytes);
    if (sent == 0) return false;
    Look(TlsWatch::From::kNetwork, bytes.first(sent));
    connection_->Consume(now(), sent);
  }
  return false;
}

size_t Relay::Send(ByteSpan bytes) {
  if (deaf_) return bytes.size();
  const ssize_t n = send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n >= 0) {
    to_program_full_ = static_cast<size_t>(n) < bytes.size();
    return static_cast<size_t>(n);
  }
  if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) {
    to_program_full_ = true;
    return 0;
  }
  // It shut down reading, or is gone: TCP takes the bytes and forgets them.
  deaf_ = discarded_ = true;
  table_->MarkDirty(this);
  return bytes.size();
}

void Relay::OnPeerClosed(Connection& /*connection*/, Time /*now*/) {
  peer_ended_ = true;
  if (stage_ == Stage::kOpen) shutdown(socket_.get(), SHUT_WR);
}

// ---- TLS

void Relay::Look(TlsWatch::From from, ByteSpan bytes) {
  const auto random = tls_.Feed(from, bytes);
  if (random) {
    const bool client = from == TlsWatch::From::kProgram;
    table_->RememberRandom(*random, id_,
                           client ? control::TlsEnd::kClient : control::TlsEnd::kServer);
    if (connection_ != nullptr) connection_->NoteTls();
  }
  // Not here: the connection is in the middle of something.
  if (tls_.ripe()) table_->MarkDirty(this);
}

bool Relay::TakeSecret(const control::SecretMessage& message) {
  const bool good = tls_.TakeSecret(message);
  if (tls_.ripe()) table_->MarkDirty(this);
  return good;
}

void Relay::GiveLoggedKey() {
  TlsWatch::Outcome outcome = tls_.TakeKey();
  if (connection_ == nullptr) return;
  if (!outcome.key) return connection_->RefuseKeys(now(), NoKeyReason(outcome.why_not));
  connection_->SetKeys(now(), ConnectionKeys::FromExporter(*outcome.key));
  explicit_bzero(outcome.key->data(), outcome.key->size());
}

// ---- The end

void Relay::OnClosed(Connection& connection, Time now, EndReason end) {
  connection_ = nullptr;
  end_ = end;
  table_->Closed(*this, connection.Info(now));
  // Also of one that was up: SO_ERROR then says more than the unix socket's ECONNRESET.
  if (initiator_ && (!connected_ || end == EndReason::kTimedOut))
    table_->RememberResult(id_, ErrnoOf(end));
  EndSocket();
}

// The connection is over, or nobody will ever take it.
void Relay::EndSocket() {
  switch (stage_) {
    case Stage::kPending:
      if (pending_length_ == 0 || QueuedBytes(socket_.get()) < pending_length_) return;
      break;
    case Stage::kOpen:
      if (end_ == EndReason::kClean) {
        if (held_back_) Discard(socket_.get(), pad_left_ + 1);
      } else if (!taken_ && !program_gone_) {
        return;  // with the accept byte there is something to leave unread
      }
      if (connection_ != nullptr) connection_->Abort(now());
      break;
    case Stage::kDraining:
    case Stage::kDelivering:
    case Stage::kGone:
      break;
  }
  CloseSocket();
}

void Relay::CloseSocket() {
  retry_.Cancel();
  if (socket_.valid()) {
    if (stage_ != Stage::kDelivering) table_->loop()->Remove(socket_.get(), this);
    socket_.Reset();
  }
  if (waiting() && listener_.id != 0) {
    table_->CountWaiting(listener_.id, -1);
    taken_ = true;
  }
  stage_ = Stage::kGone;
  Retire();
}

void Relay::Retire() {
  if (connection_ == nullptr) table_->Retire(this);
}

int Relay::kernel_socket() {
  if (!kernel_.valid()) {
    const int domain = name_.local.family == 6 ? AF_INET6 : AF_INET;
    kernel_ = Descriptor(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (kernel_.valid() && inherited_ != nullptr) WriteOptions(kernel_.get(), *inherited_);
  }
  return kernel_.get();
}

}  // namespace mptcptls
