// The connection under attack: curl downloads a file from nginx over two paths, both programs under
// the product, slowly enough to be attacked meanwhile; an observer sees the packets.
#ifndef MPTCPTLS_TESTS_NETNS_VICTIM_H_
#define MPTCPTLS_TESTS_NETNS_VICTIM_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/capture.h"
#include "tests/netns/lab.h"
#include "tests/netns/observation.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {

enum class Authentication { kTls, kKeys };

// How a download ended.
enum class Download {
  kComplete,  // with the right SHA-256
  kFailed,    // curl gave up by itself
  kHung,
};

class Victim {
 public:
  // Makes a lab with a stranger on link 1 and starts nginx.
  explicit Victim(Authentication authentication);

  // Starts to watch both paths, and curl, over slow links.
  void StartDownload();
  // Waits until both paths carry the download and the server's address was announced, as seen by
  // the observer. Throws when that does not happen.
  void AwaitBothPaths();
  // Lets the links be fast again, and waits for curl.
  Download FinishDownload();
  bool Downloading() { return curl_->Running(); }
  std::string CurlError() const { return curl_->err(); }

  // What the server says in packets of more than 300 bytes gets lost on path 1, so that TLS stays
  // in the middle of its handshake.
  void HoldHandshake();
  void LetHandshakeGoOn();

  // What the observer of path 1 knows so far.
  Observation Seen() const { return Observe(ReadTrace(Watched(1))); }
  // Of path 2, for who can see that too.
  std::vector<TracedPacket> SeenOnSecondPath() const { return ReadTrace(Watched(2)); }

  // A counter of the engine on a host.
  static uint64_t Counter(const Host& host, const std::string& name);
  // The download's connection on a host; nullopt when it is not there (any more).
  std::optional<ConnectionStatus> Connection(const Host& host) const;

  Lab& lab() { return lab_; }
  const Host& client() const { return lab_.client(); }
  const Host& server() const { return lab_.server(); }
  std::string ClientAddress() const { return lab_.Address(client(), 1, Family::kV4); }
  std::string ServerAddress() const { return lab_.Address(server(), 1, Family::kV4); }

 private:
  void Shape(const std::string& rate) const;
  std::string Watched(int link) const;
  std::vector<std::string> Environment() const;

  Authentication authentication_;
  Lab lab_{LabOptions{.middle = Middle::kBridge, .stranger = true}};
  Nginx nginx_;
  std::string sum_;
  int downloads_ = 0;
  std::vector<std::unique_ptr<Capture>> observer_;
  std::unique_ptr<Child> curl_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_NETNS_VICTIM_H_
