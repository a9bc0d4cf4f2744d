// The programs of the whole-system tests, Debian's own: nginx and curl, and a file to carry.
#ifndef MPTCPTLS_TESTS_NETNS_PROGRAMS_H_
#define MPTCPTLS_TESTS_NETNS_PROGRAMS_H_

#include <memory>
#include <string>
#include <vector>

#include "tests/netns/lab.h"

namespace mptcptls::lab {

inline constexpr size_t kMiB = 1 << 20;

// Writes `size` random bytes (the same for the same size) and returns their SHA-256 in hex.
std::string WriteRandomFile(const std::string& path, size_t size);
// SHA-256 in hex; empty when the file cannot be read.
std::string FileSha256(const std::string& path);
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);

// nginx with two workers as www-data: HTTPS on 443 (TLS 1.2 and 1.3, a self-signed ECDSA
// certificate for `server.test` and the lab's addresses), HTTP on 80, IPv4 and IPv6. Serves
// FOLDER/www; PUT stores under /upload/.
class Nginx {
 public:
  // Writes certificate and configuration to LAB.folder()/nginx-HOST.
  Nginx(const Lab& lab, const Host& host);
  // Kills it, workers included, if it still runs.
  ~Nginx();
  Nginx(const Nginx&) = delete;
  Nginx& operator=(const Nginx&) = delete;

  // Starts it as its init script does, with these environment variables: when this returns it
  // listens. Throws with nginx's own message when it refuses.
  void Start(const std::vector<std::string>& env = {});
  // SIGQUIT (graceful) or SIGTERM, and waits until master and workers are gone.
  void Stop(int signal);
  // SIGHUP; waits until a new generation of workers serves.
  void Reload();

  // The master, 0 when it does not run.
  pid_t master() const;
  std::vector<pid_t> Workers() const;
  std::string www() const { return folder_ + "/www"; }
  std::string uploads() const { return folder_ + "/www/upload"; }
  std::string certificate() const { return folder_ + "/certificate.pem"; }
  std::string key() const { return folder_ + "/key.pem"; }
  std::string ErrorLog() const { return ReadFile(folder_ + "/error.log"); }
  std::string AccessLog() const { return ReadFile(folder_ + "/access.log"); }

 private:
  void MakeCertificate() const;
  void WriteConfiguration() const;

  const Lab& lab_;
  const Host& host_;
  std::string folder_;
};

struct CurlResult {
  int status = -1;  // curl's exit status; -1: it hung and was killed
  int http_status = 0;
  uint64_t downloaded = 0;
  uint64_t uploaded = 0;
  double seconds = 0;
  double connect_seconds = 0;  // of these, until the connection was up
  std::string remote_ip;
  std::string error;  // what curl said on stderr
};

struct CurlOptions {
  std::string url = {};     // see UrlOf()
  std::string output = {};  // file; empty: discarded
  std::string upload = {};  // file to PUT
  std::string ca = {};      // certificate to trust
  std::string tls = {};     // "1.2" or "1.3": that version only; empty: any
  std::vector<std::string> extra = {};
  std::vector<std::string> env = {};
  std::chrono::seconds deadline{120};
};

// "https://[fd00:9:1::2]:443/path" and the like.
std::string UrlOf(const std::string& scheme, const std::string& address, const std::string& path,
                  int port = 0);
// Starts curl; its stdout is one JSON object at the end.
std::unique_ptr<Child> StartCurl(const Host& host, const CurlOptions& options);
CurlResult FinishCurl(Child& curl, std::chrono::seconds deadline);
CurlResult RunCurl(const Host& host, const CurlOptions& options);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_PROGRAMS_H_
