// The engine's door: any local user can connect and send any bytes, in any pieces, with descriptors
// attached. Input: size of the pieces, descriptors on the first of them, then the bytes.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <vector>

#include "engine/control_peer.h"
#include "engine/event_loop.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace mptcptls;

class Recorder final : public ControlHandler {
 public:
  void OnMessage(ControlPeer& /*peer*/, ControlMessage& message) override {
    FUZZ_CHECK(!request);
    request = message.bytes;
  }
  void OnPeerOver(ControlPeer& /*peer*/) override {
    FUZZ_CHECK(!over);
    over = true;
  }
  std::optional<std::array<uint8_t, ControlMessage::kMaxSize>> request;
  bool over = false;
};

// As many descriptors (of /dev/null, say) as asked for ride on the bytes.
void Send(int fd, std::span<const uint8_t> bytes, size_t attached) {
  std::vector<int> descriptors(attached, STDIN_FILENO);
  std::vector<char> space(CMSG_SPACE(attached * sizeof(int)));
  iovec piece{const_cast<uint8_t*>(bytes.data()), bytes.size()};
  msghdr m{};
  m.msg_iov = &piece;
  m.msg_iovlen = 1;
  if (attached > 0) {
    m.msg_control = space.data();
    m.msg_controllen = space.size();
    cmsghdr* const c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(attached * sizeof(int));
    memcpy(CMSG_DATA(c), descriptors.data(), attached * sizeof(int));
  }
  // It may have hung up already.
  [[maybe_unused]] const ssize_t sent = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int LowestFreeDescriptor() {
  const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(fd);
  return fd;
}

// What was answered: a request is the handler's to answer, all else is refused or left waiting.
void CheckAnswer(int fd, std::span<const uint8_t> bytes, const Recorder& recorder) {
  control::Reply reply;
  const ssize_t n = recv(fd, &reply, sizeof reply, MSG_DONTWAIT);
  if (recorder.request || !recorder.over) {
    FUZZ_CHECK(n <= 0);
  } else if (n > 0) {
    FUZZ_CHECK(n == sizeof reply);
    FUZZ_CHECK(control::HeaderIsOurs(reply.header) && reply.header.length == sizeof reply);
    FUZZ_CHECK(reply.error == control::kErrorVersion || reply.error == control::kErrorMalformed);
  }
  if (!recorder.request) return;
  control::Header header;
  memcpy(&header, recorder.request->data(), sizeof header);
  FUZZ_CHECK(control::HeaderIsOurs(header));
  FUZZ_CHECK(header.length >= sizeof header && header.length <= recorder.request->size());
  FUZZ_CHECK(header.length <= bytes.size());
  FUZZ_CHECK(memcmp(recorder.request->data(), bytes.data(), header.length) == 0);
}

void Converse(EventLoop* loop, fuzz::Input* input) {
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  const Descriptor asker(ends[0]);
  Recorder recorder;
  ControlPeer peer(loop, &recorder, Descriptor(ends[1]), ucred{1, 1000, 1000});
  const size_t size = size_t{input->U8()} + 1;
  const size_t attached = input->U8() % 16;
  const auto bytes = input->Take(4096);
  for (size_t at = 0; at < bytes.size() && !peer.over(); at += size) {
    const size_t n = std::min(size, bytes.size() - at);
    Send(asker.get(), bytes.subspan(at, n), at == 0 ? attached : 0);
    peer.OnEvents(EPOLLIN);
  }
  FUZZ_CHECK(peer.over() == recorder.over);
  CheckAnswer(asker.get(), bytes, recorder);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static std::string error;
  static const auto loop = EventLoop::Create(&error);
  fuzz::Input input(data, size);
  const int before = LowestFreeDescriptor();
  Converse(loop.get(), &input);
  FUZZ_CHECK(LowestFreeDescriptor() == before);  // none leaks
  return 0;
}
