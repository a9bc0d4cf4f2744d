// Mail, measurement, and a look at the packets.
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/apps/rows.h"
#include "tests/apps/web.h"
#include "tests/netns/capture.h"
#include "tests/netns/trace.h"

namespace mptcptls::lab {
namespace {

constexpr int kMailLines = 100000;

void ServePostfix(App& app, const Host& host, const std::string& name, const std::string& more) {
  // Apart, as postfix complains about what others own beside its configuration.
  const std::string folder = app.MakeFolder(name);
  app.MakeFolder(name + "-queue");
  app.MakeFolder(name + "-data", "postfix");
  std::ostringstream conf;
  conf << "compatibility_level = 3.6\nqueue_directory = " << folder
       << "-queue\ndata_directory = " << folder << "-data\nmaillog_file = " << folder
       << "/log\nmaillog_file_prefixes = " << folder << "\n"
       << "daemon_directory = /usr/lib/postfix/sbin\nmyhostname = " << name << ".test\n"
       << "inet_protocols = ipv4\nmydestination =\nalias_maps =\nlocal_recipient_maps =\n"
       << "message_size_limit = 0\nmailbox_size_limit = 0\nvirtual_mailbox_limit = 0\n"
       << "mynetworks = 127.0.0.0/8\n"
       << more;
  WriteFile(folder + "/main.cf", conf.str());
  std::ostringstream services;
  services << "smtp inet n - n - - smtpd\npickup unix n - n 60 1 pickup\n"
           << "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
           << "tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n"
           << "bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n"
           << "trace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\n"
           << "smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nerror unix - - n - - error\n"
           << "retry unix - - n - - error\nvirtual unix - n n - - virtual\n"
           << "anvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n"
           << "postlog unix-dgram n - n - 1 postlogd\n";
  WriteFile(folder + "/master.cf", services.str());
  app.Serve(host, 25, {"postfix", "-c", folder, "start-fg"});
}

std::string MakeMail(const App& app) {
  std::ostringstream body;
  for (int i = 0; i < kMailLines; ++i) {
    body << i << " " << std::hash<std::string>()(std::to_string(i))
         << " is what a line says here\n";
  }
  WriteFile(app.Path("message"),
            "Subject: a large one\nFrom: <a@client.test>\n"
            "To: <box@server.test>\n\n" +
                body.str());
  return body.str();
}

// curl hands the mail to the client's postfix, which brings it to the server's by STARTTLS. The
// engine of the server has this configuration.
void PostfixWith(App& app, const std::string& configuration) {
  app.StartEngine(app.server(), configuration);
  const std::string body = MakeMail(app);
  ServePostfix(
      app, app.server(), "server",
      "smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = " + app.Certificate() +
          "\nsmtpd_tls_key_file = " + app.Key() +
          "\nvirtual_mailbox_domains = server.test\nvirtual_mailbox_base = " + app.Path("mail") +
          "\nvirtual_mailbox_maps = static:box\nvirtual_uid_maps = static:" +
          "65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 1\n");
  app.MakeFolder("mail", "nobody");
  ServePostfix(app, app.client(), "client",
               "relayhost = [" + app.Address() + "]\nsmtp_tls_security_level = secure\n" +
                   "smtp_tls_secure_cert_match = server.test\nsmtp_tls_CAfile = " +
                   app.Certificate() + "\nsmtp_tls_loglevel = 1\n");
  app.Run({"curl", "-q", "-sSf", "--crlf", "--mail-from", "a@client.test", "--mail-rcpt",
           "box@server.test", "-T", app.Path("message"), "smtp://127.0.0.1/client.test"});
  const std::string box = app.Path("mail/box");
  app.RequireEventually([&] { return ReadFile(box).size() > body.size(); }, "no mail arrives");
  const std::string mail = ReadFile(box);
  app.Require(mail.ends_with("\n\n" + body + "\n"), "the mail differs");
  app.client().Run("postfix -c " + app.Path("client") + " stop");
  app.server().Run("postfix -c " + app.Path("server") + " stop");
}

void Postfix(App& app) { PostfixWith(app, ""); }

void PostfixRule(App& app) { PostfixWith(app, "[[rule]]\nlisten = 25\nauth = \"tls\"\n"); }

void Iperf(App& app) {
  app.Serve(app.server(), 5201, {"iperf3", "-s", "-1"});
  const std::string out = app.Run({"iperf3", "-c", app.Address(), "-n", "32M", "-P", "2", "-J"});
  // It ends when all is sent, not when all has arrived: with the kernel's TCP some 5 MB are
  // missing.
  const auto end = nlohmann::json::parse(out).at("end");
  app.Require(end.at("sum_sent").at("bytes") >= 32 * kMiB, "not all was sent");
  app.Require(end.at("sum_received").at("bytes") >= 16 * kMiB, "not even the half has arrived");
}

// tcpdump, preloaded itself, sees both paths of a download.
void Tcpdump(App& app) {
  const std::string sum = app.MakeFile("www/file", kFileSize);
  ServeNginx(app, app.server());
  std::vector<std::unique_ptr<Capture>> captures;
  for (int link = 1; link <= 2; ++link) {
    const std::string name = Lab::Interface(link);
    captures.push_back(std::make_unique<Capture>(app.client(), name, app.Path(name + ".pcap"),
                                                 "tcp", 200, Product::Environment()));
  }
  app.Run(Curl(app, "/file"));
  app.RequireFile(app.Path("copy"), sum);
  for (const auto& capture : captures) capture->Stop();
  const bool both = app.IsPreloaded(app.client()) && app.IsPreloaded(app.server());
  app.Require(ModeOf(ReadTrace(captures[0]->file())) == (both ? "tls-auth" : "tcp"),
              "the packets say " + ModeOf(ReadTrace(captures[0]->file())));
  uint64_t payload = 0;
  for (const TracedPacket& packet : ReadTrace(captures[1]->file())) payload += packet.payload;
  app.Require((payload > kMiB) == both,
              "path 2 carried " + std::to_string(payload) + " bytes that tcpdump saw");
}

}  // namespace

std::vector<AppRow> OtherRows() {
  return {
      {.name = "postfix",
       .server = "postfix, STARTTLS",
       .client = "postfix as relay; curl",
       .job = "a mail of 5 MB",
       .mode = "keys",
       .reason = "the master, which listens, has no TLS library",
       .needs = {"postfix", "curl"},
       .run = Postfix},
      {.name = "postfix-rule",
       .server = "postfix; a rule: auth = tls",
       .client = "postfix as relay; curl",
       .job = "a mail of 5 MB",
       .mode = "tls-auth",
       .needs = {"postfix", "curl"},
       .run = PostfixRule},
      {.name = "iperf3",
       .server = "iperf3 -s",
       .client = "iperf3 -P 2",
       .job = "32 MiB up",
       .mode = "keys",
       .reason = "no TLS",
       .needs = {"iperf3"},
       .run = Iperf},
      {.name = "tcpdump",
       .server = "nginx",
       .client = "curl; tcpdump, preloaded too",
       .job = "16 MiB down, seen on both paths",
       .mode = "tls-auth",
       .needs = {"tcpdump", "nginx", "curl"},
       .run = Tcpdump},
  };
}

}  // namespace mptcptls::lab
