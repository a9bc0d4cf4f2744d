// Web servers and proxies, with curl as their client.
#include <signal.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "tests/apps/rows.h"
#include "tests/apps/web.h"

namespace mptcptls::lab {
namespace {

constexpr int kBackend = 8443;
constexpr char kAcross[] = "32 MiB across a reload, and after it";

std::set<pid_t> ChildrenOf(const Child& parent) {
  const std::string pid = std::to_string(parent.pid());
  std::istringstream pids(ReadFile("/proc/" + pid + "/task/" + pid + "/children"));
  std::set<pid_t> children;
  for (pid_t child; pids >> child;) children.insert(child);
  return children;
}

// A download that begins before the server is told to replace its processes ends well, by the old
// ones; those that begin afterwards are served by new ones, and the old ones go.
void Replace(App& app, Child& server, int signal) {
  std::set<pid_t> old;
  app.RequireEventually([&] { return !(old = ChildrenOf(server)).empty(); }, "no processes");
  const std::string sum = FileSha256(app.Path("www/file"));
  Child& before = app.Start(app.client(), Curl(app, "/file"));
  app.RequireEventually(
      [&] { return ReadFile(app.Path("copy")).size() > kMiB || !before.Running(); },
      "the download does not begin");
  app.Require(before.Running(), "the download is over before the others are");
  server.Signal(signal);
  app.RequireEventually(
      [&] {
        return std::ranges::any_of(ChildrenOf(server),
                                   [&](pid_t pid) { return !old.contains(pid); });
      },
      "there are no new processes");
  app.Run({"curl", "-q", "-sSf", "--cacert", app.Certificate(), "-o", app.Path("second"),
           Https(app, "/file")});
  app.RequireFile(app.Path("second"), sum);
  app.Require(before.Wait(std::chrono::seconds(60)) == 0, "the download across it fails");
  app.RequireFile(app.Path("copy"), sum);
  app.RequireEventually(
      [&] {
        return std::ranges::none_of(ChildrenOf(server),
                                    [&](pid_t pid) { return old.contains(pid); });
      },
      "an old process does not go");
  app.Run(Curl(app, "/file"));
  app.RequireFile(app.Path("copy"), sum);
}

std::function<void(App&)> ReplaceProcesses(const std::function<Child&(App&)>& serve, int signal) {
  return [=](App& app) {
    app.MakeFile("www/file", 2 * kFileSize);
    Replace(app, serve(app), signal);
  };
}

pid_t PidIn(const std::string& file) { return atoi(ReadFile(file).c_str()); }

// A new binary takes the listening sockets over while a download goes on; nginx clears the
// environment for it.
void UpgradeNginx(App& app) {
  const std::string sum = app.MakeFile("www/file", 2 * kFileSize);
  Child& start = app.Start(app.server(), NginxCommand(app, {.daemon = true}));
  app.Require(start.Wait() == 0, "nginx does not start");
  const std::string file = app.Path("nginx-443/pid");
  app.RequireEventually([&] { return PidIn(file) > 0; }, "nginx does not run");
  const pid_t old = PidIn(file);
  Child& before = app.Start(app.client(), Curl(app, "/file"));
  app.RequireEventually(
      [&] { return ReadFile(app.Path("copy")).size() > kMiB || !before.Running(); },
      "the download does not begin");
  kill(old, SIGUSR2);
  app.RequireEventually([&] { return PidIn(file) > 0 && PidIn(file) != old; },
                        "there is no new binary");
  kill(old, SIGQUIT);
  app.Require(before.Wait(std::chrono::seconds(60)) == 0, "the download across it fails");
  app.RequireFile(app.Path("copy"), sum);
  app.Require(AwaitExit(old, kPatience), "the old master does not go");
  app.Run(Curl(app, "/file"));
  app.RequireFile(app.Path("copy"), sum);
  const pid_t fresh = PidIn(file);
  const std::string maps = ReadFile("/proc/" + std::to_string(fresh) + "/maps");
  const bool preloaded = maps.find(Product::Library()) != std::string::npos;
  app.Require(preloaded == app.IsPreloaded(app.server()), "the new binary is not as the old one");
  kill(fresh, SIGTERM);
  app.Require(AwaitExit(fresh, kPatience), "the new master does not go");
}

// `more` is further configuration, of further modules.
Child& ServeApache(App& app, const std::string& mpm,
                   const std::vector<std::string>& more_modules = {},
                   const std::string& more = "") {
  const std::string folder = app.MakeFolder("apache");
  const std::string modules = "/usr/lib/apache2/modules/";
  std::ostringstream conf;
  std::vector<std::string> loaded = {"mpm_" + mpm, "authz_core", "ssl", "socache_shmcb"};
  loaded.insert(loaded.end(), more_modules.begin(), more_modules.end());
  for (const std::string& module : loaded) {
    conf << "LoadModule " << module << "_module " << modules << "mod_" << module << ".so\n";
  }
  conf << "ServerName server.test\nServerRoot " << folder << "\nPidFile " << folder << "/pid\n"
       << "ErrorLog " << folder << "/error.log\nDefaultRuntimeDir " << folder
       << "\nMutex file:" << folder << "\nUser www-data\nGroup www-data\n"
       << "Listen 443\nSSLSessionCache shmcb:" << folder << "/ssl(512000)\n"
       << "DocumentRoot " << app.Path("www") << "\n<Directory " << app.Path("www")
       << ">\n  Require all granted\n</Directory>\n"
       << "SSLEngine on\nSSLCertificateFile " << app.Certificate() << "\nSSLCertificateKeyFile "
       << app.Key() << "\n"
       << more;
  WriteFile(folder + "/apache.conf", conf.str());
  return app.Serve(app.server(), kHttps,
                   {"apache2", "-f", folder + "/apache.conf", "-DFOREGROUND"});
}

ServeFunction Apache(const std::string& mpm) {
  return [mpm](App& app) { ServeApache(app, mpm); };
}

// curl speaks TLS to a proxy, and in it TLS to nginx behind the proxy: the connection's keys are of
// the outer session, which ends where the connection ends.
void ServeConnectProxy(App& app) {
  app.Serve(app.server(), kBackend, NginxCommand(app, {.port = kBackend}),
            {.never_preloaded = true});
  ServeApache(app, "event", {"proxy", "proxy_connect"},
              "ProxyRequests On\nAllowCONNECT " + std::to_string(kBackend) +
                  "\n<Proxy \"*\">\n  Require all granted\n</Proxy>\n");
}

std::vector<std::string> CurlThroughProxy(const App& app) {
  const std::string proxy = "https://" + app.Address() + ":" + std::to_string(kHttps);
  std::vector<std::string> argv =
      Curl(app, "/file", {"--proxy", proxy, "--proxy-cacert", app.Certificate()});
  argv.back() = Https(app, "/file", kBackend);
  return argv;
}

// curl on the client, haproxy on the server, which asks nginx on the client: TLS in and TLS out,
// each over the lab's links.
Child& ServeHaproxy(App& app) {
  ServeNginx(app, app.client(), {.port = kBackend});
  const std::string conf = app.Path("haproxy.conf");
  WriteFile(conf, "global\n  maxconn 100\n  user www-data\n  group www-data\n  stats socket " +
                      app.Path("haproxy.socket") +
                      " level admin expose-fd listeners\n"
                      "defaults\n  mode http\n  timeout connect 10s\n  timeout client 60s\n"
                      "  timeout server 60s\n  option redispatch\n"
                      "frontend in\n  bind :443 ssl crt " +
                      app.KeyAndCertificate() +
                      "\n  default_backend out\n"
                      "backend out\n  server one " +
                      app.ClientAddress() + ":" + std::to_string(kBackend) +
                      " ssl verify required verifyhost server.test ca-file " + app.Certificate() +
                      "\n");
  return app.Serve(app.server(), kHttps, {"haproxy", "-W", "-f", conf});
}

void ServeSServer(App& app) {
  app.Serve(app.server(), kHttps,
            {"sh", "-c",
             "cd " + app.Path("www") + " && exec openssl s_server -accept 443 -cert " +
                 app.Certificate() + " -key " + app.Key() + " -WWW -quiet"});
}

}  // namespace

std::vector<AppRow> WebServerRows() {
  return {
      {.name = "nginx",
       .server = "nginx, 2 workers",
       .client = "curl, HTTP/1.1",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"nginx", "curl"},
       .run = DownloadByCurl([](App& app) { ServeNginx(app, app.server()); })},
      {.name = "nginx-reload",
       .server = "nginx, SIGHUP",
       .client = "curl",
       .job = kAcross,
       .mode = "tls-auth",
       .needs = {"nginx", "curl"},
       .run = ReplaceProcesses([](App& app) -> Child& { return ServeNginx(app, app.server()); },
                               SIGHUP)},
      {.name = "nginx-upgrade",
       .server = "nginx, SIGUSR2: a new binary",
       .client = "curl",
       .job = "32 MiB across an upgrade, and after it",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"nginx", "curl"},
       .run = UpgradeNginx},
      {.name = "nginx-reuseport",
       .server = "nginx, reuseport",
       .client = "curl",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"nginx", "curl"},
       .run = DownloadByCurl(
           [](App& app) { ServeNginx(app, app.server(), {.listen = "reuseport"}); })},
      {.name = "apache-event",
       .server = "apache2, event",
       .client = "curl",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"apache2", "curl"},
       .run = DownloadByCurl(Apache("event"))},
      {.name = "apache-prefork",
       .server = "apache2, prefork",
       .client = "curl",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"apache2", "curl"},
       .run = DownloadByCurl(Apache("prefork"))},
      {.name = "apache-graceful",
       .server = "apache2, event, SIGUSR1",
       .client = "curl",
       .job = kAcross,
       .mode = "tls-auth",
       .needs = {"apache2", "curl"},
       .run =
           ReplaceProcesses([](App& app) -> Child& { return ServeApache(app, "event"); }, SIGUSR1)},
      {.name = "connect-proxy",
       .server = "apache2, CONNECT proxy",
       .client = "curl, TLS within TLS",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"apache2", "nginx", "curl"},
       .run = Download(ServeConnectProxy, CurlThroughProxy)},
      {.name = "haproxy",
       .server = "haproxy, TLS in and out",
       .client = "curl; nginx behind it",
       .job = "16 MiB down through both",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"haproxy", "nginx", "curl"},
       .run = DownloadByCurl(ServeHaproxy)},
      {.name = "haproxy-reload",
       .server = "haproxy, SIGUSR2",
       .client = "curl; nginx behind it",
       .job = kAcross,
       .mode = "tls-auth",
       .needs = {"haproxy", "nginx", "curl"},
       .run = ReplaceProcesses(ServeHaproxy, SIGUSR2)},
      {.name = "s_server",
       .server = "openssl s_server",
       .client = "curl",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"openssl", "curl"},
       .run = DownloadByCurl(ServeSServer)},
  };
}

}  // namespace mptcptls::lab
