// Web servers and clients of the rows: what serves the folder `www` of the lab over HTTPS, and what
// downloads from it into the file `copy`.
#ifndef MPTCPTLS_TESTS_APPS_WEB_H_
#define MPTCPTLS_TESTS_APPS_WEB_H_

#include <functional>
#include <string>
#include <vector>

#include "tests/apps/app.h"

namespace mptcptls::lab {

inline constexpr int kHttps = 443;
inline constexpr size_t kFileSize = 16 * kMiB;

struct NginxOptions {
  int port = kHttps;
  bool tls = true;
  // After "listen PORT": "reuseport", "http2".
  std::string listen = "";
  int workers = 2;
  bool daemon = false;
};

// Writes nginx's configuration and the folders that it needs; returns the command that starts it.
std::vector<std::string> NginxCommand(App& app, const NginxOptions& options);
// nginx in the foreground, with two workers as www-data; PUT stores under /upload/. Its process.
Child& ServeNginx(App& app, const Host& host, const NginxOptions& options = {});

// "https://ADDRESS:PORT/PATH" at the server.
std::string Https(const App& app, const std::string& path, int port = kHttps);
// curl's command line for a download of `path` into `copy`, with more options.
std::vector<std::string> Curl(const App& app, const std::string& path,
                              const std::vector<std::string>& more = {});

// A row that serves, downloads /file of 16 MiB, and compares: `serve` starts a server, `fetch` is
// the client's command line.
using ServeFunction = std::function<void(App&)>;
using FetchFunction = std::function<std::vector<std::string>(const App&)>;
std::function<void(App&)> Download(const ServeFunction& serve, const FetchFunction& fetch);
// The same with nginx, and with curl.
std::function<void(App&)> DownloadFromNginx(const FetchFunction& fetch);
std::function<void(App&)> DownloadByCurl(const ServeFunction& serve);

}  // namespace mptcptls::lab

#endif  // MPTCPTLS_TESTS_APPS_WEB_H_
