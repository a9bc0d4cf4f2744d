// The TLS hook (ARCHITECTURE.md 7); its functions are called by the program's TLS library.
#ifndef MPTCPTLS_SHIM_TLS_H_
#define MPTCPTLS_SHIM_TLS_H_

namespace mptcptls::shim {

// Whether keys can be had: a TLS library that we hook is loaded in this process, or it writes a key
// log (`mptcptls run --keylog`).
bool TlsHooked();

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_SHIM_TLS_H_
