// libhidetls.so: a preload for tests only, before the product's. It takes SSL_new() away from the
// product, which then never sees a session of the program's OpenSSL: as if that were linked into
// the program itself.
#include <dlfcn.h>
#include <openssl/ssl.h>

extern "C" __attribute__((visibility("default"))) SSL* SSL_new(SSL_CTX* context) {
  void* const library = dlopen("libssl.so.3", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return nullptr;
  const auto real = reinterpret_cast<decltype(&::SSL_new)>(dlsym(library, "SSL_new"));
  SSL* const ssl = real == nullptr ? nullptr : real(context);
  dlclose(library);
  return ssl;
}
