#include "tun/nft.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace mptcptls {
namespace {

// libnftables opens its socket without close-on-exec, so that a program started from this process
// would keep our table alive (FACTS.md). It does not show the descriptor: find it.
void CloseNetfilterSocketsOnExec() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    int domain = 0, protocol = 0;
    socklen_t length = sizeof domain;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain != AF_NETLINK)
      continue;
    length = sizeof protocol;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0 &&
        protocol == NETLINK_NETFILTER)
      fcntl(fd, F_SETFD, FD_CLOEXEC);
  }
  closedir(directory);
}

std::string Remedy(const std::string& message) {
  if (message.find("Operation not permitted") != std::string::npos)
    return "; needs CAP_NET_ADMIN in the user namespace that owns this network namespace";
  if (message.find("not supported") != std::string::npos ||
      message.find("No such file or directory") != std::string::npos)
    return "; the kernel needs CONFIG_NF_TABLES_NETDEV, CONFIG_NFT_FWD_NETDEV and "
           "CONFIG_NETFILTER_INGRESS (modprobe nft_fwd_netdev), and every device named must exist";
  return "";
}

// The first line says what is wrong; the rest quotes the script.
std::string FirstLine(const char* text) {
  const std::string all = text == nullptr ? "" : text;
  return all.substr(0, all.find('\n'));
}

}  // namespace

std::unique_ptr<Nft> Nft::Open(std::string* error) {
  // libnftables ends the process when it finds no netfilter socket: look before it does.
  const int probe = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  if (probe < 0) {
    *error =
        std::string("cannot reach nftables: ") + std::strerror(errno) +
        "; the kernel needs CONFIG_NETFILTER_NETLINK and CONFIG_NF_TABLES (modprobe nf_tables)";
    return nullptr;
  }
  nft_ctx* context = nft_ctx_new(NFT_CTX_DEFAULT);
  close(probe);
  if (context == nullptr) {
    *error = "cannot start libnftables: out of memory";
    return nullptr;
  }
  CloseNetfilterSocketsOnExec();
  nft_ctx_buffer_error(context);
  nft_ctx_buffer_output(context);
  return std::unique_ptr<Nft>(new Nft(context));
}

Nft::~Nft() { nft_ctx_free(context_); }

bool Nft::Run(const std::string& script, std::string* error) {
  std::string output;
  return Query(script, &output, error);
}

bool Nft::ListRuleset(std::string* output, std::string* error) {
  const unsigned flags = nft_ctx_output_get_flags(context_);
  nft_ctx_output_set_flags(context_, flags | NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_STATELESS);
  const bool ok = Query("list ruleset", output, error);
  nft_ctx_output_set_flags(context_, flags);
  return ok;
}

bool Nft::Query(const std::string& command, std::string* output, std::string* error) {
  const bool ok = nft_run_cmd_from_buffer(context_, command.c_str()) == 0;
  // Reading a buffer empties it for the next command.
  const char* printed = nft_ctx_get_output_buffer(context_);
  *output = printed == nullptr ? "" : printed;
  const std::string message = FirstLine(nft_ctx_get_error_buffer(context_));
  if (!ok) *error = "nftables refused: " + message + Remedy(message);
  return ok;
}

}  // namespace mptcptls
