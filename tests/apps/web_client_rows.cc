// Web clients and load generators, with nginx as their server.
#include <nlohmann/json.hpp>
#include <regex>

#include "tests/apps/rows.h"
#include "tests/apps/web.h"

namespace mptcptls::lab {
namespace {

constexpr int kParallel = 50;

void Upload(App& app) {
  const std::string sum = app.MakeFile("file", kFileSize);
  ServeNginx(app, app.server());
  app.Run({"curl", "-q", "-sSf", "--cacert", app.Certificate(), "--tls-max", "1.2", "-T",
           app.Path("file"), Https(app, "/upload/file")});
  app.RequireFile(app.Path("www/upload/file"), sum);
}

// Each of 50 transfers has a connection of its own.
void Parallel(App& app) {
  const std::string sum = app.MakeFile("www/file", kMiB);
  ServeNginx(app, app.server());
  std::vector<std::string> argv = {"curl",
                                   "-q",
                                   "-sSf",
                                   "--cacert",
                                   app.Certificate(),
                                   "--parallel",
                                   "--parallel-immediate",
                                   "--parallel-max",
                                   std::to_string(kParallel)};
  for (int i = 0; i < kParallel; ++i) {
    argv.insert(argv.end(), {"-o", app.Path("copy" + std::to_string(i)),
                             Https(app, "/file?" + std::to_string(i))});
  }
  app.Run(argv);
  for (int i = 0; i < kParallel; ++i) app.RequireFile(app.Path("copy" + std::to_string(i)), sum);
}

// A repository with one file of 16 MiB, served as the files that it is made of.
void GitClone(App& app) {
  const std::string sum = app.MakeFile("work/file", kFileSize);
  const std::string git =
      "git -c user.name=lab -c user.email=lab@server.test -C " + app.Path("work");
  app.server().Run(git + " init -q; " + git + " add file; " + git + " commit -q -m file; mkdir " +
                   app.Path("www") + "; git clone -q --bare " + app.Path("work") + " " +
                   app.Path("www/file.git") + "; git -C " + app.Path("www/file.git") +
                   " update-server-info");
  ServeNginx(app, app.server());
  app.Run({"git", "-c", "http.sslCAInfo=" + app.Certificate(), "clone", "-q",
           Https(app, "/file.git"), app.Path("clone")});
  app.RequireFile(app.Path("clone/file"), sum);
}

// The number after (or before) what a load generator prints.
uint64_t Number(const App& app, const std::string& out, const std::string& pattern) {
  std::smatch match;
  app.Require(std::regex_search(out, match, std::regex(pattern)), "it did not print " + pattern);
  return std::stoull(match[1]);
}

void Ab(App& app) {
  app.MakeFile("www/file", kMiB);
  ServeNginx(app, app.server());
  const std::string out = app.Run({"ab", "-q", "-n", "40", "-c", "4", "-k", Https(app, "/file")});
  app.Require(Number(app, out, "Complete requests: +([0-9]+)") == 40, "not all requests were made");
  app.Require(Number(app, out, "Failed requests: +([0-9]+)") == 0, "requests failed");
  app.Require(Number(app, out, "HTML transferred: +([0-9]+) bytes") == 40 * kMiB,
              "what it got is not 40 MiB");
}

void Wrk(App& app) {
  app.MakeFile("www/file", kMiB);
  ServeNginx(app, app.server());
  const std::string out = app.Run({"wrk", "-t", "2", "-c", "4", "-d", "2s", Https(app, "/file")});
  app.Require(Number(app, out, "([0-9]+) requests in") > 10, "it made next to no requests");
  app.Require(out.find("Socket errors") == std::string::npos, "there were socket errors");
  app.Require(out.find("Non-2xx") == std::string::npos, "there were HTTP errors");
}

void H2load(App& app) {
  app.MakeFile("www/file", kMiB);
  ServeNginx(app, app.server(), {.listen = "http2"});
  const std::string out =
      app.Run({"h2load", "-n", "40", "-c", "4", "-m", "5", Https(app, "/file")});
  app.Require(Number(app, out, "([0-9]+) succeeded, 0 failed, 0 errored") == 40,
              "not all requests were good");
  app.Require(out.find("protocol: h2") != std::string::npos, "it did not speak HTTP/2");
}

void Lftp(App& app) {
  const std::string sum = app.MakeFile("www/file", kFileSize);
  ServeNginx(app, app.server());
  app.Run({"lftp", "-c",
           "set ssl:ca-file " + app.Certificate() + "; set net:max-retries 1; get " +
               Https(app, "/file") + " -o " + app.Path("copy")});
  app.RequireFile(app.Path("copy"), sum);
}

}  // namespace

std::vector<AppRow> WebClientRows() {
  return {
      {.name = "curl-http2",
       .server = "nginx, http2",
       .client = "curl, HTTP/2",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"nginx", "curl"},
       .run = Download([](App& app) { ServeNginx(app, app.server(), {.listen = "http2"}); },
                       [](const App& app) { return Curl(app, "/file", {"--http2"}); })},
      {.name = "curl-upload",
       .server = "nginx",
       .client = "curl -T, TLS 1.2",
       .job = "16 MiB up",
       .mode = "tls-auth",
       .needs = {"nginx", "curl"},
       .run = Upload},
      {.name = "curl-parallel",
       .server = "nginx",
       .client = "curl, 50 parallel",
       .job = "50 x 1 MiB down",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"nginx", "curl"},
       .run = Parallel},
      {.name = "wget",
       .server = "nginx",
       .client = "wget (GnuTLS)",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"nginx", "wget"},
       .run = DownloadFromNginx([](const App& app) -> std::vector<std::string> {
         return {"wget",
                 "--no-config",
                 "-q",
                 "--ca-certificate",
                 app.Certificate(),
                 "-O",
                 app.Path("copy"),
                 Https(app, "/file")};
       })},
      {.name = "git",
       .server = "nginx",
       .client = "git clone over https (GnuTLS)",
       .job = "a file of 16 MiB in a repository",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"nginx", "git"},
       .run = GitClone},
      {.name = "lftp",
       .server = "nginx",
       .client = "lftp, https (GnuTLS)",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"nginx", "lftp"},
       .run = Lftp},
      {.name = "wrk",
       .server = "nginx",
       .client = "wrk, 2 threads, 4 connections",
       .job = "1 MiB again and again, for 2 s",
       .mode = "tls-auth",
       .needs = {"nginx", "wrk"},
       .run = Wrk},
      {.name = "ab",
       .server = "nginx",
       .client = "ab -k, 4 connections",
       .job = "40 x 1 MiB down",
       .mode = "tls-auth",
       .needs = {"nginx", "ab"},
       .run = Ab},
      {.name = "h2load",
       .server = "nginx, http2",
       .client = "h2load, 4 connections",
       .job = "40 x 1 MiB down, 5 streams at once",
       .mode = "tls-auth",
       .needs = {"nginx", "h2load"},
       .run = H2load},
  };
}

}  // namespace mptcptls::lab
