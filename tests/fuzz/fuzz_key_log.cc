// The program's key log: any bytes in pieces of a size. Input: the size, then the bytes.
#include <algorithm>

#include "engine/key_log.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mptcptls;
  fuzz::Input input(data, size);
  const size_t piece = size_t{input.U8()} + 1;
  uint64_t secrets = 0, ends = 0;
  command::KeyLogReader reader([&](const control::SecretMessage& message) {
    ++secrets;
    FUZZ_CHECK(message.header.verb == control::Verb::kSecret);
    FUZZ_CHECK(message.header.length == sizeof message);
    FUZZ_CHECK(message.size == 48 ||
               (message.size == 32 && message.kind == control::SecretKind::kExporter));
    // Nothing beyond it.
    FUZZ_CHECK(std::all_of(message.secret + message.size, std::end(message.secret),
                           [](uint8_t byte) { return byte == 0; }));
  });
  while (!input.empty()) {
    const auto bytes = input.Take(piece);
    ends += static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    reader.Feed({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  FUZZ_CHECK(reader.secrets() == secrets);
  FUZZ_CHECK(secrets + reader.bad() <= ends);
  return 0;
}
