// One real program at work in a lab of its own: two links of 100 Mbit/s, a certificate, programs on
// either host of which those of one host, or of both, are preloaded with the product, and what
// must hold of the two engines when the work is done.
//
// Whatever does not hold throws std::runtime_error that says what: the rows are run by tests and by
// the table of scripts/apps.sh.
#ifndef MPTCPTLS_TESTS_APPS_APP_H_
#define MPTCPTLS_TESTS_APPS_APP_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/netns/lab.h"
#include "tests/netns/product.h"
#include "tests/netns/programs.h"

namespace mptcptls::lab {

// Whose programs are preloaded; the others have the kernel's TCP (its MPTCP is off).
enum class Preloaded { kBoth, kClient, kServer };

struct ProgramOptions {
  // Who runs it; empty: root.
  std::string user = "";
  std::vector<std::string> env = {};
  std::string stdin_file = "/dev/null";
  // A program whose sockets are not the row's business.
  bool never_preloaded = false;
};

class App {
 public:
  explicit App(Preloaded preloaded);

  Lab& lab() { return lab_; }
  const Host& client() const { return lab_.client(); }
  const Host& server() const { return lab_.server(); }
  bool IsPreloaded(const Host& host) const;

  // The server's address on link 1.
  std::string Address() const { return lab_.Address(server(), 1, Family::kV4); }
  std::string ClientAddress() const { return lab_.Address(client(), 1, Family::kV4); }
  // In the lab's folder, which every user can enter.
  std::string Path(const std::string& name) const { return lab_.folder() + "/" + name; }
  // Self-signed, for `server.test` and all addresses of both hosts; everybody can read the key.
  std::string Certificate() const { return Path("certificate.pem"); }
  std::string Key() const { return Path("key.pem"); }
  // Key and certificate in one file.
  std::string KeyAndCertificate() const { return Path("both.pem"); }
  // tests/apps/programs/NAME: what an interpreter runs.
  static std::string Script(const std::string& name);

  // Random bytes in Path(name); returns their SHA-256.
  std::string MakeFile(const std::string& name, size_t size);
  // A folder that a user owns.
  std::string MakeFolder(const std::string& name, const std::string& user = "root");

  // Starts a program that lives until the row is done.
  Child& Start(const Host& host, const std::vector<std::string>& argv,
               const ProgramOptions& options = {});
  // Starts it and waits until somebody listens on the port there.
  Child& Serve(const Host& host, int port, const std::vector<std::string>& argv,
               const ProgramOptions& options = {});
  // An engine that waits for programs which may not start one; `configuration` is the text of its
  // file.
  void StartEngine(const Host& host, const std::string& configuration = "");
  // Runs a program on the client to its end, which must be good, and returns what it printed.
  std::string Run(const std::vector<std::string>& argv, const ProgramOptions& options = {});

  // Throw with `what`, and what programs and engines say, unless it holds (before the deadline).
  void Require(bool condition, const std::string& what) const;
  void RequireEventually(const std::function<bool()>& condition, const std::string& what) const;
  // The file is there and right.
  void RequireFile(const std::string& path, const std::string& sum) const;

  // What must hold at the end: each connection that carried a good deal has this mode at both
  // hosts' engines (tls-auth, keys, tcp), and so many paths that carried; the engines counted no
  // error; programs end when they are told to, and no connection is left.
  void Conclude(const std::string& mode, size_t paths);
  // Of the client's engine, else the server's, after Conclude(): "2 paths, 50 connections".
  std::string Summary() const { return summary_; }

 private:
  void MakeCertificate();
  std::vector<std::string> Environment(const Host& host, const ProgramOptions& options) const;
  // Takes note of the connections that carried a good deal so far: an engine remembers the last
  // few.
  void NoteConnections();
  void CheckConnections(const Host& host, const std::string& mode, size_t wanted_paths);
  void CheckCounters(const Host& host) const;
  void StopPrograms();
  std::string Diagnosis() const;

  struct Program {
    std::string name;
    std::unique_ptr<Child> child;
    bool engine = false;
  };

  Preloaded preloaded_;
  Lab lab_;
  std::vector<Program> programs_;
  // By host, and both ends' addresses.
  std::map<const Host*, std::map<std::string, ConnectionStatus>> seen_;
  std::string summary_;
};

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_APPS_APP_H_
