#include "shim/close.h"

#include <unistd.h>

#include <atomic>

#include "shim/captured.h"
#include "shim/control_client.h"
#include "shim/real.h"

namespace mptcptls::shim {
namespace {

constexpr int kMaxMarked = 1 << 20;
// A bit for each descriptor; what is not touched takes no memory.
std::atomic<uint8_t> marks[kMaxMarked / 8];

uint8_t BitOf(int fd) { return static_cast<uint8_t>(1u << (fd % 8)); }

bool IsMarked(int fd) {
  return fd >= 0 && fd < kMaxMarked &&
         (marks[fd / 8].load(std::memory_order_relaxed) & BitOf(fd)) != 0;
}

int CloseListener(int fd) {
  control::Name name;
  const bool ours = Captured(fd, &name) && name.role == control::Role::kListener;
  marks[fd / 8].fetch_and(static_cast<uint8_t>(~BitOf(fd)), std::memory_order_relaxed);
  const int result = real::close()(fd);
  if (result != 0 || !ours) return result;
  const ErrnoKeeper keeper;
  // Nothing happens while another process has it too.
  auto request = control::Make<control::ReapRequest>(control::Verb::kReap);
  request.address = name.local;
  control::Reply reply;
  Ask(&request, sizeof request, -1, &reply);
  return result;
}

}  // namespace

void MarkListener(int fd) {
  if (fd >= 0 && fd < kMaxMarked) marks[fd / 8].fetch_or(BitOf(fd), std::memory_order_relaxed);
}

}  // namespace mptcptls::shim

MPTCPTLS_HOOK int close(int fd) {
  using namespace mptcptls::shim;
  return IsMarked(fd) ? CloseListener(fd) : real::close()(fd);
}
