// A captured stream and a secret of a key log: any bytes in both directions. Input: the secret's
// kind and size, then pieces: direction (the uppermost bit) and length, bytes.
#include "engine/tls_watch.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mptcptls;
  fuzz::Input input(data, size);
  auto message = control::Make<control::SecretMessage>(control::Verb::kSecret);
  message.kind = static_cast<control::SecretKind>(input.U8());
  message.size = input.U8();
  TlsWatch watch;
  const bool taken = watch.TakeSecret(message);
  FUZZ_CHECK(!watch.ripe());
  int randoms = 0, outcomes = 0;
  while (!input.empty()) {
    const uint8_t head = input.U8();
    const auto from = (head & 0x80) != 0 ? TlsWatch::From::kNetwork : TlsWatch::From::kProgram;
    if (watch.Feed(from, input.Take(head & 0x7f))) ++randoms;
    if (!watch.ripe()) continue;
    ++outcomes;
    const TlsWatch::Outcome outcome = watch.TakeKey();
    FUZZ_CHECK(outcome.key.has_value() == (outcome.why_not == control::NoKey::kNone));
  }
  FUZZ_CHECK(randoms <= 2);
  FUZZ_CHECK(outcomes <= (taken && randoms > 0 ? 1 : 0));
  return 0;
}
