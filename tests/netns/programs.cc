#include "tests/netns/programs.h"

#include <openssl/evp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

std::string Hex(const unsigned char* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

}  // namespace

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text << std::flush;
  if (!file) throw std::runtime_error("cannot write " + path);
}

std::string WriteRandomFile(const std::string& path, size_t size) {
  std::mt19937_64 dice(size);
  std::ofstream file(path, std::ios::binary);
  std::array<uint64_t, 8192> block;
  for (size_t left = size; left > 0;) {
    for (uint64_t& word : block) word = dice();
    const size_t n = std::min(left, sizeof block);
    file.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(n));
    left -= n;
  }
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
  return FileSha256(path);
}

std::string FileSha256(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return "";
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  std::vector<char> block(1 << 18);
  while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
    EVP_DigestUpdate(context, block.data(), static_cast<size_t>(file.gcount()));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context, digest, &length);
  EVP_MD_CTX_free(context);
  return Hex(digest, length);
}

Nginx::Nginx(const Lab& lab, const Host& host)
    : lab_(lab), host_(host), folder_(lab.folder() + "/nginx-" + host.netns()) {
  std::filesystem::create_directories(uploads());
  std::filesystem::create_directories(folder_ + "/temp");
  const passwd* worker = getpwnam("www-data");
  if (worker == nullptr) throw std::runtime_error("there is no user www-data: install nginx");
  for (const std::string& path : {uploads(), folder_ + "/temp"}) {
    if (chown(path.c_str(), worker->pw_uid, worker->pw_gid) != 0) {
      throw std::runtime_error("cannot chown " + path);
    }
  }
  MakeCertificate();
  WriteConfiguration();
}

Nginx::~Nginx() {
  if (master() == 0) return;
  std::vector<pid_t> pids = Workers();
  pids.push_back(master());
  for (const pid_t pid : pids) kill(pid, SIGKILL);
  for (const pid_t pid : pids) AwaitExit(pid, kPatience);
}

void Nginx::MakeCertificate() const {
  std::string names = "DNS:server.test,IP:127.0.0.1,IP:::1";
  for (int link = 1; link <= lab_.links(); ++link) {
    names += ",IP:" + lab_.Address(host_, link, Family::kV4);
    names += ",IP:" + lab_.Address(host_, link, Family::kV6);
  }
  host_.Run(
      "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
      "-subj /CN=server.test -addext 'subjectAltName=" +
      names + "' -keyout " + folder_ + "/key.pem -out " + certificate() + " 2>&1");
}

void Nginx::WriteConfiguration() const {
  std::ostringstream conf;
  conf << "user www-data;\nworker_processes 2;\n"
       << "pid " << folder_ << "/nginx.pid;\nerror_log " << folder_ << "/error.log notice;\n"
       << "events { worker_connections 1024; }\n"
       << "http {\n  access_log " << folder_ << "/access.log;\n  sendfile on;\n"
       << "  client_max_body_size 0;\n  default_type application/octet-stream;\n";
  for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    conf << "  " << kind << "_temp_path " << folder_ << "/temp/" << kind << ";\n";
  }
  conf << "  server {\n    listen 80;\n    listen [::]:80;\n    listen 443 ssl;\n"
       << "    listen [::]:443 ssl;\n    ssl_certificate " << certificate()
       << ";\n    ssl_certificate_key " << folder_
       << "/key.pem;\n    ssl_protocols TLSv1.2 TLSv1.3;\n    root " << www() << ";\n"
       << "    location /upload/ { dav_methods PUT; create_full_put_path on; }\n  }\n}\n";
  WriteFile(folder_ + "/nginx.conf", conf.str());
}

void Nginx::Start(const std::vector<std::string>& env) {
  // It puts itself into the background once it listens, as under Debian's init script.
  const auto start = host_.Start(
      {.argv = {"nginx", "-c", folder_ + "/nginx.conf", "-e", folder_ + "/error.log"}, .env = env});
  if (start->Wait() != 0) throw std::runtime_error("nginx does not start: " + start->err());
  if (!Eventually([this] { return Workers().size() == 2; })) {
    throw std::runtime_error("nginx has no workers: " + ErrorLog());
  }
}

pid_t Nginx::master() const {
  const pid_t pid = atoi(ReadFile(folder_ + "/nginx.pid").c_str());
  return pid > 0 && kill(pid, 0) == 0 ? pid : 0;
}

std::vector<pid_t> Nginx::Workers() const {
  std::vector<pid_t> workers;
  const pid_t parent = master();
  if (parent == 0) return workers;
  const std::string task = "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent);
  std::istringstream pids(ReadFile(task + "/children"));
  for (pid_t pid; pids >> pid;) {
    // A worker on its way out says "worker process is shutting down".
    const std::string name = ReadFile("/proc/" + std::to_string(pid) + "/cmdline");
    if (std::string(name.c_str()) == "nginx: worker process") workers.push_back(pid);
  }
  return workers;
}

void Nginx::Stop(int signal) {
  std::vector<pid_t> pids = Workers();
  pids.push_back(master());
  if (pids.back() == 0) throw std::runtime_error("nginx does not run");
  kill(pids.back(), signal);
  for (const pid_t pid : pids) {
    if (!AwaitExit(pid, kPatience)) throw std::runtime_error("nginx does not stop: " + ErrorLog());
  }
}

void Nginx::Reload() {
  const std::vector<pid_t> list = Workers();
  const std::set<pid_t> old(list.begin(), list.end());
  kill(master(), SIGHUP);
  const bool fresh = Eventually([&] {
    const std::vector<pid_t> workers = Workers();
    for (const pid_t pid : workers) {
      if (old.contains(pid)) return false;
    }
    return workers.size() == 2;
  });
  if (!fresh) throw std::runtime_error("nginx does not reload: " + ErrorLog());
}

std::string UrlOf(const std::string& scheme, const std::string& address, const std::string& path,
                  int port) {
  const bool v6 = address.find(':') != std::string::npos;
  return scheme + "://" + (v6 ? "[" + address + "]" : address) +
         (port != 0 ? ":" + std::to_string(port) : "") + path;
}

std::unique_ptr<Child> StartCurl(const Host& host, const CurlOptions& options) {
  std::vector<std::string> argv = {
      "curl", "-q",      "-sS", "-g",
      "-w",   "%{json}", "-o",  options.output.empty() ? "/dev/null" : options.output};
  if (!options.ca.empty()) argv.insert(argv.end(), {"--cacert", options.ca});
  if (!options.tls.empty()) {
    argv.insert(argv.end(), {"--tlsv" + options.tls, "--tls-max", options.tls});
  }
  if (!options.upload.empty()) argv.insert(argv.end(), {"-T", options.upload});
  argv.insert(argv.end(), options.extra.begin(), options.extra.end());
  argv.push_back(options.url);
  return host.Start({.argv = argv, .env = options.env});
}

CurlResult FinishCurl(Child& curl, std::chrono::seconds deadline) {
  CurlResult result;
  const std::optional<int> status = curl.Wait(deadline);
  result.error = curl.err();
  if (!status) {
    result.error += "curl hung and was killed";
    return result;
  }
  result.status = *status;
  const auto json = nlohmann::json::parse(curl.out(), nullptr, false);
  if (json.is_discarded()) return result;
  result.http_status = json.value("http_code", 0);
  result.downloaded = json.value("size_download", uint64_t{0});
  result.uploaded = json.value("size_upload", uint64_t{0});
  result.seconds = json.value("time_total", 0.0);
  result.connect_seconds = json.value("time_connect", 0.0);
  result.remote_ip = json.value("remote_ip", "");
  return result;
}

CurlResult RunCurl(const Host& host, const CurlOptions& options) {
  const auto curl = StartCurl(host, options);
  return FinishCurl(*curl, options.deadline);
}

}  // namespace mptcptls::lab
