// Programs that turn to TLS on a connection that began in clear: mail, and a directory.
#include <filesystem>
#include <sstream>

#include "tests/apps/rows.h"

namespace mptcptls::lab {
namespace {

constexpr int kMailLines = 100000;
constexpr size_t kPhotoSize = 8 << 20;

// The file in a folder that should have one.
std::string OnlyFileIn(const App& app, const std::string& folder) {
  const std::filesystem::directory_iterator files(app.Path(folder));
  app.Require(std::distance(begin(files), end(files)) == 1, folder + " has not one file");
  return std::filesystem::directory_iterator(app.Path(folder))->path();
}

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

// Its processes take off their rights, and imap-login, which speaks TLS, is in a chroot.
void ServeDovecot(App& app) {
  const std::string folder = app.MakeFolder("dovecot");
  std::ostringstream conf;
  conf << "base_dir = " << folder << "/run\nstate_dir = " << folder << "\nlog_path = " << folder
       << "/log\nprotocols = imap\nlisten = *\nmail_location = maildir:~/Maildir\n"
       << "ssl = required\nssl_cert = <" << app.Certificate() << "\nssl_key = <" << app.Key()
       << "\npassdb {\n  driver = static\n  args = password=secret\n}\n"
       << "userdb {\n  driver = static\n  args = uid=nobody gid=nogroup home="
       << app.MakeFolder("mail", "nobody") << "\n}\n"
       << "service imap-login {\n  inet_listener imaps {\n    port = 0\n  }\n}\n";
  WriteFile(folder + "/dovecot.conf", conf.str());
  app.Serve(app.server(), 143, {"dovecot", "-F", "-c", folder + "/dovecot.conf"});
}

// A Maildir with the message twice.
std::string MakeMaildir(App& app) {
  for (const char* part : {"cur", "new", "tmp"}) app.MakeFolder(std::string("ours/") + part);
  for (const char* name : {"new/1.a", "new/2.b"}) {
    std::filesystem::copy_file(app.Path("message"), app.Path("ours/") + name);
  }
  return app.Path("ours");
}

void PushMails(App& app) {
  const std::string conf = app.Path("mbsyncrc");
  WriteFile(conf,
            "IMAPStore far\nHost server.test\nUser box\nPass secret\nSSLType STARTTLS\n"
            "CertificateFile " +
                app.Certificate() + "\n\nMaildirStore near\nInbox " + MakeMaildir(app) +
                "\n\nChannel mail\nFar :far:\nNear :near:\nSyncState *\nSync Push\n");
  const std::string hosts = app.Path("hosts");
  WriteFile(hosts, app.Address() + " server.test\n");
  // It wants a name that is the certificate's, and asks nobody but the host's files for it.
  app.Run({"unshare", "--mount", "sh", "-c",
           "mount --bind " + hosts + " /etc/hosts && exec mbsync -c " + conf + " mail"});
}

std::string FetchMail(App& app) {
  return app.Run({"curl", "-q", "-sSf", "--ssl-reqd", "--cacert", app.Certificate(), "-u",
                  "box:secret", "--resolve", "server.test:143:" + app.Address(),
                  "imap://server.test/INBOX;MAILINDEX=2"});
}

// Two mails go to the server and one comes back: the paths of the larger connection count. For each
// 4 KiB that imap-login sends it sets TCP_CORK and TCP_NODELAY and takes them off, and the engine
// is asked each time, which on a busy machine is slower than one link. The engine of the server has
// this configuration.
void DovecotWith(App& app, const std::string& configuration) {
  app.StartEngine(app.server(), configuration);
  const std::string body = MakeMail(app);
  ServeDovecot(app);
  PushMails(app);
  std::string mail = FetchMail(app);
  std::erase(mail, '\r');
  // mbsync adds a header of its own.
  app.Require(mail.ends_with("\n\n" + body), "the mail differs");
}

void Dovecot(App& app) { DovecotWith(app, ""); }

void DovecotRule(App& app) { DovecotWith(app, "[[rule]]\nlisten = 143\nauth = \"tls\"\n"); }

void ServeSlapd(App& app) {
  const std::string folder = app.MakeFolder("slapd", "openldap");
  std::ostringstream conf;
  for (const char* schema : {"core", "cosine", "inetorgperson"}) {
    conf << "include /etc/ldap/schema/" << schema << ".schema\n";
  }
  conf << "modulepath /usr/lib/ldap\nmoduleload back_mdb\nsecurity ssf=128\n"
       << "sockbuf_max_incoming_auth 16777216\nTLSCertificateFile " << app.Certificate()
       << "\nTLSCertificateKeyFile " << app.Key()
       << "\ndatabase mdb\nsuffix dc=test\nrootdn cn=lab,dc=test\nrootpw secret\n"
       << "maxsize 268435456\ndirectory " << folder << "\n";
  WriteFile(folder + "/slapd.conf", conf.str());
  // -d keeps it in the foreground.
  app.Serve(app.server(), 389,
            {"slapd", "-d", "256", "-u", "openldap", "-g", "openldap", "-h", "ldap://0.0.0.0/",
             "-f", folder + "/slapd.conf"});
}

// A person's photo goes to the server, and comes back.
void OpenLdap(App& app) {
  const std::string sum = app.MakeFile("photo", kPhotoSize);
  // As slapd is no longer root when it listens, and others cannot start an engine.
  app.StartEngine(app.server());
  ServeSlapd(app);
  WriteFile(app.Path("entries"),
            "dn: dc=test\nobjectClass: domain\n\ndn: cn=a,dc=test\nobjectClass: inetOrgPerson\n"
            "sn: a\njpegPhoto:< file://" +
                app.Path("photo") + "\n");
  const auto command = [&](const std::string& program, const std::vector<std::string>& more) {
    std::vector<std::string> argv = {program, "-ZZ", "-x", "-H", "ldap://" + app.Address()};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  };
  const ProgramOptions options = {.env = {"LDAPTLS_CACERT=" + app.Certificate()}};
  app.Run(command("ldapadd", {"-D", "cn=lab,dc=test", "-w", "secret", "-f", app.Path("entries")}),
          options);
  // -t -T: what is not text into files there.
  app.Run(command("ldapsearch", {"-t", "-T", app.MakeFolder("copies"), "-b", "cn=a,dc=test"}),
          options);
  app.RequireFile(OnlyFileIn(app, "copies"), sum);
}

}  // namespace

std::vector<AppRow> StarttlsRows() {
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
      {.name = "dovecot",
       .server = "dovecot, IMAP STARTTLS",
       .client = "mbsync, curl",
       .job = "2 mails of 5 MB put there, 1 fetched",
       .mode = "keys",
       .reason = "the master, which listens, has no TLS library",
       .needs = {"dovecot", "mbsync", "curl"},
       .run = Dovecot},
      {.name = "dovecot-rule",
       .server = "dovecot; a rule: auth = tls",
       .client = "mbsync, curl",
       .job = "2 mails of 5 MB put there, 1 fetched",
       .mode = "tls-auth",
       .needs = {"dovecot", "mbsync", "curl"},
       .run = DovecotRule},
      {.name = "openldap",
       .server = "slapd, LDAP StartTLS",
       .client = "ldapadd, ldapsearch",
       .job = "a photo of 8 MiB put there and fetched",
       .mode = "tls-auth",
       .needs = {"slapd", "ldapadd", "ldapsearch"},
       .run = OpenLdap},
  };
}

}  // namespace mptcptls::lab
