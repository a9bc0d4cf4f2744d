#include "engine/kernel_stream.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace mptcptls {

KernelStream::KernelStream(EventLoop* loop, Descriptor socket, Endpoint local, Endpoint remote,
                           OnFinished finished)
    : loop_(loop),
      socket_(std::move(socket)),
      local_(local),
      remote_(remote),
      finished_(std::move(finished)),
      out_(kBuffer),
      in_(kBuffer) {}

KernelStream::~KernelStream() {
  if (socket_.valid()) loop_->Remove(socket_.get(), this);
}

void KernelStream::Start(ConnectionObserver* observer) {
  observer_ = observer;
  const int on = 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  loop_->Add(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this);
}

void KernelStream::OnEvents(uint32_t events) {
  if ((events & EPOLLERR) != 0) {
    // What came before the error is still there to be read.
    ReadSocket();
    if (end_ == EndReason::kNone) Finish(EndReason::kReset);
    return;
  }
  if ((events & EPOLLOUT) != 0) FlushSocket();
  if (end_ == EndReason::kNone) ReadSocket();
}

// ---- From the program

size_t KernelStream::WriteRegions(std::array<std::span<uint8_t>, 2>* regions) {
  *regions = {};
  if (end_ != EndReason::kNone || shut_down_) return 0;
  if (out_begin_ == out_end_) out_begin_ = out_end_ = 0;
  (*regions)[0] = std::span(out_).subspan(out_end_);
  blocked_ = (*regions)[0].empty();
  return (*regions)[0].size();
}

void KernelStream::Commit(Time /*now*/, size_t bytes, Coming /*coming*/) {
  out_end_ += bytes;
  sent_ += bytes;
  FlushSocket();
}

size_t KernelStream::Write(Time now, ByteSpan bytes) {
  std::array<std::span<uint8_t>, 2> regions;
  const size_t size = std::min(WriteRegions(&regions), bytes.size());
  if (size == 0) return 0;
  memcpy(regions[0].data(), bytes.data(), size);
  Commit(now, size, Coming::kNothing);
  return size;
}

void KernelStream::FlushSocket() {
  while (out_begin_ < out_end_) {
    const ssize_t n = send(socket_.get(), out_.data() + out_begin_, out_end_ - out_begin_,
                           MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return Finish(EndReason::kReset);
    out_begin_ += static_cast<size_t>(n);
  }
  if (shut_down_ && !fin_sent_) {
    fin_sent_ = true;
    if (orphaned_) return Finish(EndReason::kClean);
    shutdown(socket_.get(), SHUT_WR);
    if (peer_end_told_) return Finish(EndReason::kClean);
  }
  if (std::exchange(blocked_, false) && observer_ != nullptr)
    observer_->OnWritable(*this, loop_->now());
}

void KernelStream::Shutdown(Time /*now*/) {
  if (end_ != EndReason::kNone || shut_down_) return;
  shut_down_ = true;
  FlushSocket();
}

void KernelStream::Orphan(Time now) {
  orphaned_ = true;
  if (fin_sent_ && end_ == EndReason::kNone) return Finish(EndReason::kClean);
  Shutdown(now);
}

void KernelStream::Abort(Time /*now*/) {
  if (end_ != EndReason::kNone) return;
  const linger at_once{1, 0};  // RST
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  Finish(EndReason::kAborted);
}

// ---- To the program

void KernelStream::ReadSocket() {
  while (end_ == EndReason::kNone && !orphaned_) {
    if (in_begin_ == in_end_) in_begin_ = in_end_ = 0;
    if (in_end_ == in_.size()) return;  // Consume() reads on
    const ssize_t n = recv(socket_.get(), in_.data() + in_end_, in_.size() - in_end_, MSG_DONTWAIT);
    if (n == 0) {
      peer_ended_ = true;
      return PeerEnded();
    }
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) return Finish(EndReason::kReset);
    const bool first = in_begin_ == in_end_;
    in_end_ += static_cast<size_t>(n);
    received_ += static_cast<uint64_t>(n);
    if (first) in_begin_ += observer_->OnData(*this, loop_->now(), Readable());
  }
}

void KernelStream::PeerEnded() {
  if (!peer_ended_ || peer_end_told_ || in_begin_ < in_end_ || end_ != EndReason::kNone) return;
  peer_end_told_ = true;
  observer_->OnPeerClosed(*this, loop_->now());
  if (fin_sent_) Finish(EndReason::kClean);
}

ByteSpan KernelStream::Readable() const {
  return ByteSpan(in_).subspan(in_begin_, in_end_ - in_begin_);
}

void KernelStream::Consume(Time /*now*/, size_t bytes) {
  if (end_ != EndReason::kNone) return;
  in_begin_ += bytes;
  if (peer_ended_) return PeerEnded();
  if (in_begin_ == in_end_) ReadSocket();
}

// ---- The end

void KernelStream::Finish(EndReason end) {
  if (end_ != EndReason::kNone) return;
  end_ = end;
  loop_->Remove(socket_.get(), this);
  socket_.Reset();
  if (observer_ != nullptr) observer_->OnClosed(*this, loop_->now(), end);
  observer_ = nullptr;
  finished_(this);
}

// Bytes of the program's, in the kernel: SIOCOUTQ also counts the FIN.
uint64_t KernelStream::Queued(unsigned long request) const {
  int bytes = 0;
  if (!socket_.valid() || ioctl(socket_.get(), request, &bytes) != 0 || bytes <= 0) return 0;
  return std::min(static_cast<uint64_t>(bytes), sent_ - (out_end_ - out_begin_));
}

ConnectionInfo KernelStream::Info(Time /*now*/) const {
  ConnectionInfo info;
  info.local = local_;
  info.remote = remote_;
  info.connected = true;
  info.bytes_sent = info.write_dsn = sent_;
  info.bytes_received = received_;
  const uint64_t waiting = out_end_ - out_begin_;
  info.bytes_carried = sent_ - waiting - Queued(SIOCOUTQNSD);
  info.bytes_acknowledged = info.unacknowledged_dsn = sent_ - waiting - Queued(SIOCOUTQ);
  info.end = end_;
  SubflowStatus only;
  only.tuple = {local_, remote_};
  only.uplink = "lo";
  only.tcp.bytes_sent = sent_;
  only.tcp.bytes_received = received_;
  only.tcp.state = end_ == EndReason::kNone ? TcpState::kEstablished : TcpState::kClosed;
  info.subflows.push_back(only);
  return info;
}

KernelStream* KernelStreams::Make(Descriptor socket, const Endpoint& local,
                                  const Endpoint& remote) {
  const auto finished = [this](KernelStream* stream) {
    const auto it = std::ranges::find(streams_, stream, &std::unique_ptr<KernelStream>::get);
    finished_.push_back(std::move(*it));
    streams_.erase(it);
  };
  streams_.push_back(
      std::make_unique<KernelStream>(loop_, std::move(socket), local, remote, finished));
  return streams_.back().get();
}

}  // namespace mptcptls
