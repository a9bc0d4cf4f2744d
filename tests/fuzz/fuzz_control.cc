// Abstract socket names: any local user can bind any bytes and connect to an engine or a program.
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

#include "engine/control.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mptcptls::control;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const size_t n = std::min(size, sizeof address.sun_path);
  std::memcpy(address.sun_path, data, n);
  Name name;
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + n);
  if (!DecodeName(address, length, &name)) return 0;
  // What was understood is written the same way again.
  sockaddr_un again{};
  const socklen_t again_length = EncodeName(name, &again);
  FUZZ_CHECK(again_length == length);
  FUZZ_CHECK(std::memcmp(again.sun_path, address.sun_path, n) == 0);
  return 0;
}
