#include "shim/policy.h"

#include <arpa/inet.h>
#include <string.h>

namespace mptcptls::shim {
namespace {

constexpr size_t kMaxEntry = 64;

// Decimal, to the end of the text; -1 when it is none or above `limit`.
int ToNumber(const char* text, int limit) {
  if (*text == 0) return -1;
  int value = 0;
  for (; *text != 0; ++text) {
    if (*text < '0' || *text > '9') return -1;
    value = value * 10 + (*text - '0');
    if (value > limit) return -1;
  }
  return value;
}

bool SamePrefix(const uint8_t* a, const uint8_t* b, int bits) {
  const size_t whole = static_cast<size_t>(bits / 8);
  if (memcmp(a, b, whole) != 0) return false;
  const int rest = bits % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

bool EntryMatches(char* entry, const control::Address& address) {
  if (entry[0] == ':' && entry[1] != ':') return ToNumber(entry + 1, 65535) == address.port;
  int bits = address.family == 4 ? 32 : 128;
  if (char* const slash = strchr(entry, '/')) {
    *slash = 0;
    bits = ToNumber(slash + 1, bits);
    if (bits < 0) return false;
  }
  uint8_t bytes[16];
  if (inet_pton(address.family == 4 ? AF_INET : AF_INET6, entry, bytes) != 1) return false;
  return SamePrefix(bytes, address.bytes, bits);
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
  while (*list != 0) {
    list += strspn(list, ", ");
    const size_t length = strcspn(list, ", ");
    char entry[kMaxEntry];
    if (length > 0 && length < sizeof entry) {
      memcpy(entry, list, length);
      entry[length] = 0;
      if (EntryMatches(entry, address)) return true;
    }
    list += length;
  }
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
