// Big-endian loads and stores over unaligned bytes.
#ifndef MPTCPTLS_STACK_WIRE_BYTES_H_
#define MPTCPTLS_STACK_WIRE_BYTES_H_

#include <cstddef>
#include <cstdint>

namespace mptcptls {

template <typename T>
T LoadBig(const uint8_t* in) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | in[i]);
  return value;
}
template <>
inline uint8_t LoadBig<uint8_t>(const uint8_t* in) {
  return *in;
}

template <typename T>
void StoreBig(uint8_t* out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i)
    out[i] = static_cast<uint8_t>(value >> 8 * (sizeof(T) - 1 - i));
}

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_WIRE_BYTES_H_
