#ifndef MPTCPTLS_SHIM_CONNECT_H_
#define MPTCPTLS_SHIM_CONNECT_H_

#include "engine/control.h"

namespace mptcptls::shim {

// The errno that TCP would give for an error that the kernel reported on a captured socket: a
// failed connect() shows as ECONNRESET there, and the engine knows why.
int TranslateError(const control::Name& name, int error);

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_CONNECT_H_
