// What must differ between connections and be guessed by nobody, as a keyed hash of the
// connection's ends: initial sequence numbers (RFC 6528 3, plus a clock), timestamp offsets (RFC
// 7323 5.4), where source ports are sought (RFC 6056 3.3.4).
#ifndef MPTCPTLS_STACK_ISN_H_
#define MPTCPTLS_STACK_ISN_H_

#include <array>
#include <cstdint>

#include "stack/environment.h"
#include "stack/types.h"
#include "stack/wire/seq.h"

namespace mptcptls {

class IsnGenerator {
 public:
  explicit IsnGenerator(Environment* environment) { environment->Random(secret_); }
  ~IsnGenerator();
  IsnGenerator(const IsnGenerator&) = delete;
  IsnGenerator& operator=(const IsnGenerator&) = delete;

  Seq Isn(Time now, const FourTuple& tuple) const;
  uint32_t TimestampOffset(const FourTuple& tuple) const;
  // Which counter tells a destination's next source port (RFC 6056 3.3.4).
  uint32_t PortGroup(const FourTuple& tuple) const;

 private:
  uint32_t Hash(uint8_t purpose, const FourTuple& tuple) const;

  std::array<uint8_t, 32> secret_{};
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_ISN_H_
