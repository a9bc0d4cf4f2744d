// Linked increases (RFC 6356): together as fast as TCP would be on the best path, and on no path
// faster than TCP.
#ifndef MPTCPTLS_STACK_TCP_LIA_H_
#define MPTCPTLS_STACK_TCP_LIA_H_

#include "stack/tcp/coupled.h"

namespace mptcptls {

class Lia final : public Coupled {
 public:
  using Coupled::Coupled;

 protected:
  double Increase() const override;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_STACK_TCP_LIA_H_
