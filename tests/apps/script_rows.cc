// Interpreters and virtual machines: their own TLS servers and clients.
#include "tests/apps/rows.h"
#include "tests/apps/web.h"

namespace mptcptls::lab {
namespace {

constexpr char kPython[] = "/usr/bin/python3";

// INTERPRETER... SCRIPT PORT CERTIFICATE KEY, in the folder that it serves.
ServeFunction ScriptServer(const std::vector<std::string>& interpreter, const std::string& script) {
  return [=](App& app) {
    std::string command = "cd " + app.Path("www") + " && exec";
    for (const std::string& word : interpreter) command += " " + word;
    command += " " + App::Script(script) + " 443 " + app.Certificate() + " " + app.Key();
    app.Serve(app.server(), kHttps, {"sh", "-c", command});
  };
}

// INTERPRETER... SCRIPT URL CERTIFICATE COPY.
FetchFunction ScriptClient(const std::vector<std::string>& interpreter, const std::string& script) {
  return [=](const App& app) {
    std::vector<std::string> argv = interpreter;
    argv.insert(argv.end(),
                {App::Script(script), Https(app, "/file"), app.Certificate(), app.Path("copy")});
    return argv;
  };
}

// Four connections at once, each of which hears what it says; the client compares.
void Asyncio(App& app) {
  app.MakeFile("file", kFileSize / 4);
  app.Serve(app.server(), 5000,
            {kPython, App::Script("asyncio_echo.py"), "5000", app.Certificate(), app.Key()});
  const std::string out = app.Run({kPython, App::Script("asyncio_client.py"), app.Address(), "5000",
                                   app.Certificate(), app.Path("file")});
  app.Require(out == "4 echoes equal\n", "the client says: " + out);
}

// A program that looks at no variable of a key log but its own, under `mptcptls run --keylog`.
void NodeWithAKeyLog(App& app) {
  const std::string sum = app.MakeFile("www/file", kFileSize);
  ServeNginx(app, app.server());
  std::vector<std::string> argv = ScriptClient({"node"}, "client.js")(app);
  if (app.IsPreloaded(app.client())) {
    const std::vector<std::string> run = {Product::Command(), "run", "--keylog", "--"};
    argv.insert(argv.begin(), run.begin(), run.end());
  }
  // The command preloads the library itself.
  app.Run(argv, {.env = {"MPTCPTLS_REQUIRE=1"}, .never_preloaded = true});
  app.RequireFile(app.Path("copy"), sum);
}

// Debian's node links the system's libssl; the one of nodejs.org carries its own.
bool NodeHasItsOwnTls() {
  try {
    const auto node = Child::Start(
        {.argv = {"node", "-p", "process.config.variables.node_shared_openssl"}}, [] {});
    return node->Wait() == 0 && node->out() != "true\n";
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

std::vector<AppRow> ScriptRows() {
  const bool own = NodeHasItsOwnTls();
  const std::string node_mode = own ? "keys" : "tls-auth";
  const std::string node_reason = own ? "this node carries its own OpenSSL" : "";
  return {
      {.name = "python-http",
       .server = "python3 http.server",
       .client = "python3 http.client",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {kPython},
       .run = Download(ScriptServer({kPython}, "http_server.py"),
                       ScriptClient({kPython}, "http_client.py"))},
      {.name = "python-asyncio",
       .server = "python3 asyncio",
       .client = "python3 asyncio",
       .job = "4 x 4 MiB echoed at once",
       .mode = "tls-auth",
       .tested = true,
       .needs = {kPython},
       .run = Asyncio},
      {.name = "dlsym",
       .server = "nginx",
       .client = "python3 ctypes: dlsym()",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .reason = "looks SSL_new up itself: no key",
       .paths = 1,
       .needs = {kPython, "nginx"},
       .run = DownloadFromNginx(ScriptClient({kPython}, "ctypes_client.py"))},
      {.name = "perl",
       .server = "perl IO::Socket::SSL",
       .client = "perl IO::Socket::SSL",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"perl", "/usr/share/perl5/IO/Socket/SSL.pm"},
       .run = Download(ScriptServer({"perl"}, "server.pl"), ScriptClient({"perl"}, "client.pl"))},
      {.name = "ruby",
       .server = "ruby WEBrick",
       .client = "ruby net/http",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"ruby"},
       .run = Download(ScriptServer({"ruby"}, "server.rb"), ScriptClient({"ruby"}, "client.rb"))},
      {.name = "php",
       .server = "nginx",
       .client = "php copy()",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"php", "nginx"},
       .run = DownloadFromNginx(ScriptClient({"php"}, "client.php"))},
      {.name = "node",
       .server = "node https",
       .client = "node https",
       .job = "16 MiB down",
       .mode = node_mode,
       .reason = node_reason,
       .tested = true,
       .needs = {"node"},
       .run = Download(ScriptServer({"node"}, "server.js"), ScriptClient({"node"}, "client.js"))},
      {.name = "node-keylog",
       .server = "nginx",
       .client = "mptcptls run --keylog -- node",
       .job = "16 MiB down",
       .mode = "tls-auth",
       .needs = {"node", "nginx"},
       .run = NodeWithAKeyLog},
      {.name = "java",
       .server = "nginx",
       .client = "java HttpsURLConnection",
       .job = "16 MiB down",
       .mode = "keys",
       .reason = "Java's TLS is its own",
       .needs = {"java", "javac", "nginx"},
       .run = DownloadFromNginx(ScriptClient({"java"}, "Client.java"))},
      {.name = "java-server",
       .server = "java HttpsServer",
       .client = "curl",
       .job = "16 MiB down",
       .mode = "keys",
       .reason = "Java's TLS is its own",
       .needs = {"java", "javac", "curl"},
       .run = DownloadByCurl(ScriptServer({"java"}, "Server.java"))},
  };
}

}  // namespace mptcptls::lab
