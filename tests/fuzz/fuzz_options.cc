// Any bytes as TCP options: parsing ends, what it understood is encoded within its stated size, and
// parses to the same encoding again. First byte: bit 0 SYN, bit 1 ACK.
#include <algorithm>
#include <vector>

#include "stack/wire/tcp_options.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mptcptls;
  if (size < 1) return 0;
  const bool syn = (data[0] & 1) != 0, ack = (data[0] & 2) != 0;
  const std::vector<uint8_t> bytes(data + 1, data + std::min<size_t>(size, 41));
  TcpOptions options;
  ParseTcpOptions(bytes, syn, ack, &options);
  FUZZ_CHECK(options.sack_count <= options.sack.size());
  options.mptcp.malformed = 0;
  const size_t needed = EncodedSize(options);
  FUZZ_CHECK(needed % 4 == 0);
  std::vector<uint8_t> first(needed);
  Encode(options, first.data());
  TcpOptions again;
  ParseTcpOptions(first, syn, ack, &again);
  FUZZ_CHECK(again.mptcp.malformed == 0);
  FUZZ_CHECK(EncodedSize(again) == needed);
  std::vector<uint8_t> second(needed);
  Encode(again, second.data());
  FUZZ_CHECK(first == second);
  return 0;
}
