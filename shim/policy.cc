#include "shim/policy.h"

#include <string.h>

#include "engine/variables.h"

namespace mptcptls::shim {
namespace {

bool SamePrefix(const uint8_t* a, const uint8_t* b, int bits) {
  const size_t whole = static_cast<size_t>(bits / 8);
  if (memcmp(a, b, whole) != 0) return false;
  const int rest = bits % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool EntryMatches(const variables::BypassEntry& entry, const control::Address& address) {
  if (entry.family == 0) return entry.port == address.port;
  return entry.family == address.family && SamePrefix(entry.bytes, address.bytes, entry.bits);
}

bool AllZero(const control::Address& a) {
  for (uint8_t b : a.bytes)
    if (b != 0) return false;
  return true;
}

bool Loopback(const control::Address& a) {
  static constexpr uint8_t kLoopback[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return a.family == 4 ? a.bytes[0] == 127 : memcmp(a.bytes, kLoopback, 16) == 0;
}

// Link-local, multicast, broadcast: none of them leaves by an uplink of ours.
bool SpecialAddress(const control::Address& a) {
  if (a.family == 4)
    return a.bytes[0] == 0 || a.bytes[0] >= 224 || (a.bytes[0] == 169 && a.bytes[1] == 254);
  return a.bytes[0] == 0xff || (a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80);
}

}  // namespace

bool Bypassed(const char* list, const control::Address& address) {
  if (list == nullptr) return false;
  const char* text;
  size_t length;
  for (variables::BypassEntry entry; variables::NextEntry(&list, &text, &length);)
    if (variables::ReadBypassEntry(text, length, &entry) && EntryMatches(entry, address))
      return true;
  return false;
}

bool Capturable(Purpose purpose, const control::Address& address, bool local, const char* bypass) {
  if (address.family != 4 && address.family != 6) return false;
  if (purpose == Purpose::kConnect) {
    // connect() to the unspecified address means this host.
    if (address.port == 0 || AllZero(address)) return false;
  } else if (AllZero(address)) {
    return !Bypassed(bypass, address);
  }
  if (Loopback(address) && !local) return false;
  return !SpecialAddress(address) && !Bypassed(bypass, address);
}

}  // namespace mptcptls::shim
