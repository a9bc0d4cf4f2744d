// libnftables as this folder uses it: run a script in one transaction, or list something.
#ifndef MPTCPTLS_TUN_NFT_H_
#define MPTCPTLS_TUN_NFT_H_

#include <memory>
#include <string>

struct nft_ctx;

namespace mptcptls {

class Nft {
 public:
  // Null and an error with cause and remedy where netfilter's netlink is missing or forbidden.
  static std::unique_ptr<Nft> Open(std::string* error);
  ~Nft();
  Nft(const Nft&) = delete;
  Nft& operator=(const Nft&) = delete;

  // All of `script` or nothing of it. Tables with `flags owner` live as long as this object.
  bool Run(const std::string& script, std::string* error);
  // What `command` (list ...) prints.
  bool Query(const std::string& command, std::string* output, std::string* error);

  // The whole ruleset as text, without the elements of named sets and without counters.
  bool ListRuleset(std::string* output, std::string* error);

 private:
  explicit Nft(nft_ctx* context) : context_(context) {}
  nft_ctx* context_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_NFT_H_
