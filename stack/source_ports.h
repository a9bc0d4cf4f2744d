// Which source port a connection gets (RFC 6056 3.3.4: a counter for each group of destinations):
// each destination goes round all ports from where it was, so that the port it takes is the one
// whose last connection, and its TIME-WAIT, is longest ago, and that is found at once however many
// wait. Some are left out at random, so that who has seen one port cannot tell the next.
#ifndef MPTCPTLS_STACK_SOURCE_PORTS_H_
#define MPTCPTLS_STACK_SOURCE_PORTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/functional/function_ref.h"

namespace mptcptls {

class SourcePorts {
 public:
  using Taken = absl::FunctionRef<bool(uint16_t port)>;

  // A free one of `ports`, or nullopt: where the first few that are looked at are taken, most of
  // them are, and more ports cost less than a longer search. `destination` is a keyed hash of the
  // connection's addresses; `random` may be anything.
  std::optional<uint16_t> Next(uint32_t destination, std::span<const uint16_t> ports,
                               uint32_t random, Taken taken);
  // The next search for this destination begins at `index`: ports were added there.
  void Continue(uint32_t destination, size_t index);
  // Any free one.
  static std::optional<uint16_t> Any(std::span<const uint16_t> ports, Taken taken);

 private:
  static constexpr size_t kCursors = 256;

  struct Cursor {
    bool used = false;
    size_t next = 0;  // index into the ports
  };
  std::array<Cursor, kCursors> cursors_;  // by destination, modulo
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_SOURCE_PORTS_H_
