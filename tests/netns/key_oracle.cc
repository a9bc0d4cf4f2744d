// libkeyoracle.so: a preload for tests only, the independent witness for the keys. It asks the
// program's own OpenSSL for EXPORTER-MPTCP when a handshake is done, and appends a line to the file
// named by KEY_ORACLE_FILE:
//
//   CLIENT-RANDOM(64 hex) KEY(32 hex) PROTOCOL("TLSv1.3") ROLE("client" or "server")
//
// It hooks other functions than the product does (the context's callback, not the session's), so
// that the two do not see each other.
#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

using Callback = void (*)(const SSL*, int, int);

template <typename Function>
Function Real(Function, const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
// REAL(SSL_new)(...) calls the function of that name in the next library.
#define REAL(function) Real(&(function), #function)

char g_path[512];
// The program's own callback on its contexts; the programs under test have one at most.
Callback g_program_callback = nullptr;

// Read early: nginx clears its environment.
__attribute__((constructor)) void ReadEnvironment() {
  const char* path = getenv("KEY_ORACLE_FILE");
  if (path != nullptr) snprintf(g_path, sizeof g_path, "%s", path);
}

char* AppendHex(char* out, const unsigned char* bytes, size_t size) {
  for (size_t i = 0; i < size; ++i) out += sprintf(out, "%02x", bytes[i]);
  return out;
}

void Export(SSL* ssl) {
  unsigned char random[32];
  unsigned char key[16];
  constexpr char kLabel[] = "EXPORTER-MPTCP";
  if (REAL(SSL_get_client_random)(ssl, random, sizeof random) != sizeof random) return;
  if (REAL(SSL_export_keying_material)(ssl, key, sizeof key, kLabel, sizeof kLabel - 1, nullptr, 0,
                                       0) != 1) {
    return;
  }
  char line[256];
  char* end = AppendHex(line, random, sizeof random);
  *end++ = ' ';
  end = AppendHex(end, key, sizeof key);
  end += sprintf(end, " %s %s\n", REAL(SSL_get_version)(ssl),
                 REAL(SSL_is_server)(ssl) ? "server" : "client");
  const int fd = open(g_path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (write(fd, line, static_cast<size_t>(end - line)) < 0) perror("key oracle");
  close(fd);
}

void OnInfo(const SSL* ssl, int where, int result) {
  if (g_program_callback != nullptr) g_program_callback(ssl, where, result);
  // The session is ours to ask, as the callback runs inside a call that may change it.
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0) Export(const_cast<SSL*>(ssl));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) SSL_CTX* SSL_CTX_new(const SSL_METHOD* method) {
  SSL_CTX* context = REAL(SSL_CTX_new)(method);
  if (context != nullptr && g_path[0] != '\0') REAL(SSL_CTX_set_info_callback)(context, OnInfo);
  return context;
}

extern "C" __attribute__((visibility("default"))) void SSL_CTX_set_info_callback(
    SSL_CTX* context, void (*callback)(const SSL* ssl, int type, int val)) {
  if (g_path[0] == '\0') return REAL(SSL_CTX_set_info_callback)(context, callback);
  g_program_callback = callback;
}
