#include "engine/control_peer.h"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace mptcptls {
namespace {

constexpr size_t kMaxDescriptors = 4;  // room for more than the one that is expected

// The exact length of a request, 0 for what is none.
size_t LengthOf(control::Verb verb) {
  switch (verb) {
    case control::Verb::kConnect:
      return sizeof(control::ConnectRequest);
    case control::Verb::kListen:
      return sizeof(control::ListenRequest);
    case control::Verb::kKey:
      return sizeof(control::KeyMessage);
    case control::Verb::kSecret:
      return sizeof(control::SecretMessage);
    case control::Verb::kResult:
      return sizeof(control::ResultRequest);
    case control::Verb::kGetOption:
    case control::Verb::kSetOption:
      return sizeof(control::OptionRequest);
    case control::Verb::kReap:
      return sizeof(control::ReapRequest);
    case control::Verb::kForget:
      return sizeof(control::ForgetRequest);
    case control::Verb::kMptcp:
      return sizeof(control::MptcpRequest);
    case control::Verb::kStatus:
    case control::Verb::kDump:
    case control::Verb::kDown:
      return sizeof(control::Header);
    case control::Verb::kReply:
    case control::Verb::kPending:
      break;
  }
  return 0;
}
static_assert(sizeof(control::StatusRequest) == sizeof(control::Header));

// The first descriptor that came along; the others are closed.
Descriptor TakeDescriptors(msghdr* message) {
  Descriptor first;
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      Descriptor one(fd);
      if (!first.valid()) first = std::move(one);
    }
  }
  return first;
}

}  // namespace

ControlPeer::ControlPeer(EventLoop* loop, ControlHandler* handler, Descriptor socket,
                         const ucred& credentials)
    : loop_(loop),
      handler_(handler),
      socket_(std::move(socket)),
      credentials_(credentials),
      began_(loop->now()) {
  loop_->Add(socket_.get(), EPOLLIN | EPOLLRDHUP, this);
}

ControlPeer::~ControlPeer() {
  if (socket_.valid()) loop_->Remove(socket_.get(), this);
  explicit_bzero(message_.bytes.data(), message_.bytes.size());
}

bool ControlPeer::Read(size_t goal) {
  while (have_ < goal) {
    alignas(cmsghdr)
        std::array<char, CMSG_SPACE(sizeof(ucred)) + CMSG_SPACE(kMaxDescriptors * sizeof(int))>
            control;
    iovec piece{message_.bytes.data() + have_, goal - have_};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t n = recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (n > 0) {
      Descriptor came = TakeDescriptors(&header);
      if (came.valid()) message_.descriptor = std::move(came);
      have_ += static_cast<size_t>(n);
      continue;
    }
    End();
    return false;
  }
  return true;
}

// Magic, exact version, verb and length, before anything else is looked at.
bool ControlPeer::Acceptable() {
  const auto& header = message_.As<control::Header>();
  if (header.magic == control::kMagic && header.version != control::kVersion) {
    Answer(control::kErrorVersion,
           "engine and library are of different versions: restart the engine (mptcptls down)");
    return false;
  }
  if (!control::HeaderIsOurs(header) || LengthOf(header.verb) == 0 ||
      header.length != LengthOf(header.verb)) {
    Answer(control::kErrorMalformed, "this is no request");
    return false;
  }
  return true;
}

void ControlPeer::OnEvents(uint32_t /*events*/) {
  if (over_ || !Read(sizeof(control::Header))) return;
  if (!Acceptable()) return End();
  if (!Read(message_.As<control::Header>().length)) return;
  have_ = 0;
  ControlMessage message = std::move(message_);
  message_ = ControlMessage();
  handler_->OnMessage(*this, message);
  explicit_bzero(message.bytes.data(), message.bytes.size());
  End();
}

bool ControlPeer::Send(const void* bytes, size_t size) {
  return send(socket_.get(), bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(size);
}

void ControlPeer::Answer(int32_t error, std::string_view reason, uint32_t payload_length) {
  auto reply = control::Make<control::Reply>(control::Verb::kReply);
  reply.error = error;
  reply.payload_length = payload_length;
  reason.copy(reply.reason, sizeof reply.reason - 1);
  Send(&reply, sizeof reply);
}

Descriptor ControlPeer::TakeSocket() {
  loop_->Remove(socket_.get(), this);
  return std::move(socket_);
}

void ControlPeer::End() {
  if (std::exchange(over_, true)) return;
  if (socket_.valid()) {
    loop_->Remove(socket_.get(), this);
    socket_.Reset();
  }
  handler_->OnPeerOver(*this);
}

}  // namespace mptcptls
