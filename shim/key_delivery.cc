#include "shim/key_delivery.h"

#include <string.h>
#include <unistd.h>

#include "shim/captured.h"
#include "shim/control_client.h"
#include "shim/log.h"

namespace mptcptls::shim {

void DeliverKey(control::KeyMessage* message, int fd) {
  Log("tls: handshake complete, %s", message->has_key != 0 ? "with a key" : "without a key");
  const int engine = OpenEngine(WhenAbsent::kGiveUp);
  if (engine >= 0) {
    control::Name name;
    const bool known = fd >= 0 && Captured(fd, &name);
    if (!SendMessage(engine, message, sizeof *message, known ? fd : -1, false))
      Log("tls: the engine does not take the key");
    close(engine);
  }
  explicit_bzero(message, sizeof *message);
}

}  // namespace mptcptls::shim
