// Programs that carry other programs' bytes: over TLS, and ssh with its own cryptography.
#include <filesystem>

#include "tests/apps/rows.h"
#include "tests/apps/web.h"

namespace mptcptls::lab {
namespace {

constexpr int kPlain = 8080;

void ServeStunnel(App& app, const Host& host, int port, const std::string& service) {
  const std::string conf = app.Path("stunnel-" + std::to_string(port) + ".conf");
  WriteFile(conf, "foreground = yes\npid =\nsocket = l:TCP_NODELAY=1\n[service]\n" + service);
  app.Serve(host, port, {"stunnel4", conf});
}

std::string StunnelServer(const App& app, int port) {
  return "accept = " + std::to_string(port) + "\ncert = " + app.Certificate() +
         "\nkey = " + app.Key() + "\n";
}

std::string StunnelClient(const App& app, int port) {
  return "client = yes\naccept = 127.0.0.1:" + std::to_string(kPlain) +
         "\nconnect = " + app.Address() + ":" + std::to_string(port) +
         "\nCAfile = " + app.Certificate() + "\nverifyChain = yes\ncheckIP = " + app.Address() +
         "\n";
}

// curl, stunnel, the links, stunnel, nginx.
void Stunnel(App& app) {
  const std::string sum = app.MakeFile("www/file", kFileSize);
  ServeNginx(app, app.server(), {.port = 80, .tls = false});
  ServeStunnel(app, app.server(), kHttps, StunnelServer(app, kHttps) + "connect = 127.0.0.1:80\n");
  ServeStunnel(app, app.client(), kPlain, StunnelClient(app, kHttps));
  app.Run({"curl", "-q", "-sSf", "-o", app.Path("copy"),
           "http://127.0.0.1:" + std::to_string(kPlain) + "/file"});
  app.RequireFile(app.Path("copy"), sum);
}

// The server's stunnel starts rsync as inetd would.
void Rsync(App& app) {
  const std::string sum = app.MakeFile("share/file", kFileSize);
  const std::string conf = app.Path("rsyncd.conf");
  WriteFile(conf, "use chroot = no\nuid = root\ngid = root\n[share]\n  path = " +
                      app.Path("share") + "\n");
  ServeStunnel(app, app.server(), 874,
               StunnelServer(app, 874) +
                   "exec = /usr/bin/rsync\nexecArgs = rsync --daemon --config=" + conf + "\n");
  ServeStunnel(app, app.client(), kPlain, StunnelClient(app, 874));
  app.Run({"rsync", "-a", "rsync://127.0.0.1:" + std::to_string(kPlain) + "/share/",
           app.Path("copies") + "/"});
  app.RequireFile(app.Path("copies/file"), sum);
}

void Socat(App& app) {
  const std::string sum = app.MakeFile("file", kFileSize);
  app.Serve(
      app.server(), kHttps,
      {"socat", "-U", "OPENSSL-LISTEN:443,fork,reuseaddr,verify=0,cert=" + app.KeyAndCertificate(),
       "OPEN:" + app.Path("file") + ",rdonly"});
  app.Run({"socat", "-u", "OPENSSL:" + app.Address() + ":443,cafile=" + app.Certificate(),
           "CREATE:" + app.Path("copy")});
  app.RequireFile(app.Path("copy"), sum);
}

void Ncat(App& app) {
  app.MakeFile("file", kFileSize);
  app.Serve(app.server(), kHttps,
            {"ncat", "--ssl", "--ssl-cert", app.Certificate(), "--ssl-key", app.Key(),
             "--send-only", "-l", "443"},
            {.stdin_file = app.Path("file")});
  const std::string out = app.Run({"ncat", "--ssl", "--recv-only", app.Address(), "443"});
  app.Require(out == ReadFile(app.Path("file")), "what it got differs");
}

void SClient(App& app) {
  const std::string sum = app.MakeFile("www/file", kFileSize);
  app.Serve(app.server(), kHttps,
            {"sh", "-c",
             "cd " + app.Path("www") + " && exec openssl s_server -accept 443 -cert " +
                 app.Certificate() + " -key " + app.Key() + " -HTTP -quiet"});
  app.Run({"sh", "-c",
           "printf 'GET /file HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet "
           "-verify_return_error -CAfile " +
               app.Certificate() + " -connect " + app.Address() + ":443 >" + app.Path("copy")});
  app.RequireFile(app.Path("copy"), sum);
}

// The folder that Debian's service makes for sshd's privilege separation.
class SshdFolder {
 public:
  SshdFolder() : made_(std::filesystem::create_directory("/run/sshd")) {}
  ~SshdFolder() {
    std::error_code none;
    if (made_) std::filesystem::remove("/run/sshd", none);
  }
  SshdFolder(const SshdFolder&) = delete;
  SshdFolder& operator=(const SshdFolder&) = delete;

 private:
  bool made_;
};

void Ssh(App& app) {
  const SshdFolder privilege_separation;
  const std::string sum = app.MakeFile("file", kFileSize);
  const std::string folder = app.MakeFolder("ssh");
  app.server().Run("for k in host user; do ssh-keygen -q -t ed25519 -N '' -f " + folder +
                   "/$k; done; echo server.test $(cut -d' ' -f1,2 " + folder + "/host.pub) >" +
                   folder + "/known");
  WriteFile(folder + "/sshd_config",
            "Port 22\nHostKey " + folder + "/host\nAuthorizedKeysFile " + folder +
                "/user.pub\nStrictModes no\nPermitRootLogin yes\nUsePAM no\nPidFile none\n"
                "Subsystem sftp internal-sftp\n");
  app.Serve(app.server(), 22, {"/usr/sbin/sshd", "-D", "-e", "-f", folder + "/sshd_config"});
  const std::string options =
      " -F none -o HostKeyAlias=server.test -o UserKnownHostsFile=" + folder +
      "/known -o BatchMode=yes -i " + folder + "/user ";
  const std::string to = "root@" + app.Address();
  app.Run({"sh", "-ec",
           "scp -q" + options + to + ":" + app.Path("file") + " " + app.Path("copy") + "; ssh" +
               options + to + " 'cat >" + app.Path("back") + "' <" + app.Path("copy")});
  app.RequireFile(app.Path("copy"), sum);
  app.RequireFile(app.Path("back"), sum);
}

}  // namespace

std::vector<AppRow> TunnelRows() {
  return {
      {.name = "s_client",
       .server = "openssl s_server",
       .client = "openssl s_client",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"openssl"},
       .run = SClient},
      {.name = "stunnel",
       .server = "stunnel4; nginx behind it",
       .client = "stunnel4; curl behind it",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"stunnel4", "nginx", "curl"},
       .run = Stunnel},
      {.name = "rsync",
       .server = "stunnel4, rsync --daemon",
       .client = "stunnel4; rsync behind it",
       .job = "a folder with 16 MiB",
       .mode = "tls-auth",
       .needs = {"stunnel4", "rsync"},
       .run = Rsync},
      {.name = "socat",
       .server = "socat OPENSSL-LISTEN, fork",
       .client = "socat OPENSSL",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"socat"},
       .run = Socat},
      {.name = "ncat",
       .server = "ncat --ssl -l",
       .client = "ncat --ssl",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"ncat"},
       .run = Ncat},
      {.name = "ssh",
       .server = "sshd",
       .client = "scp, ssh",
       .job = "16 MiB down, 16 MiB up",
       .mode = "keys",
       .reason = "no TLS",
       .needs = {"/usr/sbin/sshd", "ssh", "scp"},
       .run = Ssh},
  };
}

}  // namespace mptcptls::lab
