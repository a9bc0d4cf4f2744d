#include "tests/apps/web.h"

#include <sstream>

namespace mptcptls::lab {

std::vector<std::string> NginxCommand(App& app, const NginxOptions& options) {
  app.MakeFolder("www");
  app.MakeFolder("www/upload", "www-data");
  const std::string name = "nginx-" + std::to_string(options.port);
  const std::string folder = app.MakeFolder(name, "www-data");
  std::ostringstream conf;
  conf << "daemon " << (options.daemon ? "on" : "off") << ";\nuser www-data;\nworker_processes "
       << options.workers << ";\n"
       << "pid " << folder << "/pid;\nerror_log " << folder << "/error.log;\n"
       << "events { worker_connections 1024; }\n"
       << "http {\n  access_log off;\n  sendfile on;\n  client_max_body_size 0;\n"
       << "  default_type application/octet-stream;\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    conf << "  " << kind << "_temp_path " << folder << "/" << kind << ";\n";
  }
  conf << "  server {\n    listen " << options.port << (options.tls ? " ssl " : " ")
       << options.listen << ";\n    ssl_certificate " << app.Certificate()
       << ";\n    ssl_certificate_key " << app.Key()
       << ";\n    ssl_protocols TLSv1.2 TLSv1.3;\n    root " << app.Path("www") << ";\n"
       << "    location /upload/ { dav_methods PUT; }\n  }\n}\n";
  WriteFile(folder + "/nginx.conf", conf.str());
  return {"/usr/sbin/nginx", "-c", folder + "/nginx.conf", "-e", folder + "/error.log"};
}

Child& ServeNginx(App& app, const Host& host, const NginxOptions& options) {
  return app.Serve(host, options.port, NginxCommand(app, options));
}

std::string Https(const App& app, const std::string& path, int port) {
  return "https://" + app.Address() + (port == kHttps ? "" : ":" + std::to_string(port)) + path;
}

std::vector<std::string> Curl(const App& app, const std::string& path,
                              const std::vector<std::string>& more) {
  std::vector<std::string> argv = {
      "curl", "-q", "-sSf", "--cacert", app.Certificate(), "-o", app.Path("copy")};
  argv.insert(argv.end(), more.begin(), more.end());
  argv.push_back(Https(app, path));
  return argv;
}

std::function<void(App&)> Download(const ServeFunction& serve, const FetchFunction& fetch) {
  return [=](App& app) {
    const std::string sum = app.MakeFile("www/file", kFileSize);
    serve(app);
    app.Run(fetch(app));
    app.RequireFile(app.Path("copy"), sum);
  };
}

std::function<void(App&)> DownloadFromNginx(const FetchFunction& fetch) {
  return Download([](App& app) { ServeNginx(app, app.server()); }, fetch);
}

std::function<void(App&)> DownloadByCurl(const ServeFunction& serve) {
  return Download(serve, [](const App& app) { return Curl(app, "/file"); });
}

}  // namespace mptcptls::lab
