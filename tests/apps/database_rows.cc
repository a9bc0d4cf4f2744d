// Redis and PostgreSQL over TLS.
#include <fstream>
#include <sstream>

#include "tests/apps/rows.h"
#include "tests/apps/web.h"

namespace mptcptls::lab {
namespace {

constexpr char kPostgres[] = "/usr/lib/postgresql/15/bin/";
constexpr int kLines = 200000;

// A value of 16 MiB set and got, then 50 clients of the benchmark.
void Redis(App& app) {
  app.MakeFile("file", kFileSize);
  const std::string folder = app.MakeFolder("redis");
  app.Serve(
      app.server(), 6379,
      {"redis-server", "--port", "0", "--tls-port", "6379", "--tls-cert-file", app.Certificate(),
       "--tls-key-file", app.Key(), "--tls-ca-cert-file", app.Certificate(), "--tls-auth-clients",
       "no", "--protected-mode", "no", "--save", "", "--dir", folder});
  const std::vector<std::string> tls = {"-h", app.Address(), "--tls", "--cacert",
                                        app.Certificate()};
  const auto command = [&](const std::string& program, const std::vector<std::string>& more) {
    std::vector<std::string> argv = {program};
    argv.insert(argv.end(), tls.begin(), tls.end());
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  };
  app.Require(app.Run(command("redis-cli", {"-x", "SET", "key"}),
                      {.stdin_file = app.Path("file")}) == "OK\n",
              "SET does not answer OK");
  app.Require(app.Run(command("redis-cli", {"GET", "key"})) == ReadFile(app.Path("file")) + "\n",
              "what GET answers differs");
  const std::string out = app.Run(command(
      "redis-benchmark", {"-c", "50", "-n", "2000", "-d", "1000", "-t", "set,get", "--csv"}));
  app.Require(out.find("\"GET\"") != std::string::npos, "the benchmark has no result");
}

std::string MakeLines(const App& app, const std::string& name) {
  std::ofstream file(app.Path(name));
  for (int i = 0; i < kLines; ++i) {
    file << "line " << i << " of a table: " << std::hash<std::string>()(std::to_string(i)) << "\n";
  }
  file.close();
  return FileSha256(app.Path(name));
}

void ServePostgres(App& app) {
  const std::string data = app.MakeFolder("postgres", "postgres");
  const std::string as_postgres = "setpriv --reuid=postgres --regid=postgres --init-groups ";
  app.server().Run("cp " + app.Key() + " " + data + "/key.pem; chmod 600 " + data +
                   "/key.pem; chown postgres " + data + "/key.pem; cd /; " + as_postgres +
                   kPostgres + "initdb -N -U lab -A reject -D " + data + "/cluster");
  WriteFile(data + "/cluster/pg_hba.conf", "hostssl all all 0.0.0.0/0 trust\n");
  WriteFile(data + "/cluster/postgresql.conf",
            "listen_addresses = '*'\nfsync = off\nssl = on\nssl_cert_file = '" + app.Certificate() +
                "'\nssl_key_file = '" + data + "/key.pem'\nunix_socket_directories = '" + data +
                "'\n");
  // It refuses to be root, and others cannot start an engine.
  app.StartEngine(app.server());
  app.Serve(app.server(), 5432, {std::string(kPostgres) + "postgres", "-D", data + "/cluster"},
            {.user = "postgres"});
}

void Postgres(App& app) {
  const std::string sum = MakeLines(app, "file");
  ServePostgres(app);
  const std::string to =
      "host=" + app.Address() +
      " user=lab dbname=postgres sslmode=verify-full sslrootcert=" + app.Certificate();
  // Its process in the server is not the postmaster.
  app.Run({"psql", "-qX", "-v", "ON_ERROR_STOP=1", to, "-c",
           "create table t (id serial, line text)", "-c",
           "\\copy t(line) from '" + app.Path("file") + "'", "-c",
           "\\copy (select line from t order by id) to '" + app.Path("copy") + "'"});
  app.RequireFile(app.Path("copy"), sum);
}

// A new connection for each transaction: a process of the server's forked, and a handshake made.
void Pgbench(App& app) {
  ServePostgres(app);
  const std::vector<std::string> env = {"PGHOST=" + app.Address(), "PGUSER=lab",
                                        "PGDATABASE=postgres", "PGSSLMODE=verify-full",
                                        "PGSSLROOTCERT=" + app.Certificate()};
  const std::string pgbench = std::string(kPostgres) + "pgbench";
  app.Run({pgbench, "-i", "-q", "-I", "dtGvp"}, {.env = env});
  app.Run({pgbench, "-i", "-q", "-I", "g"}, {.env = env});
  const std::string out =
      app.Run({pgbench, "-C", "-S", "-n", "-c", "8", "-j", "2", "-t", "20"}, {.env = env});
  app.Require(out.find("actually processed: 160/160") != std::string::npos,
              "not all transactions were made: " + out);
}

}  // namespace

std::vector<AppRow> DatabaseRows() {
  return {
      {.name = "redis",
       .server = "redis-server",
       .client = "redis-cli, redis-benchmark",
       .job = "16 MiB set and got, 50 clients",
       .mode = "tls-auth",
       .tested = true,
       .needs = {"redis-server", "redis-cli", "redis-benchmark"},
       .run = Redis},
      {.name = "postgres",
       .server = "PostgreSQL",
       .client = "psql",
       .job = "200,000 lines copied in and out",
       .mode = "tls-auth",
       .tested = true,
       .needs = {std::string(kPostgres) + "postgres", "psql"},
       .run = Postgres},
      {.name = "pgbench",
       .server = "PostgreSQL",
       .client = "pgbench -C, 8 at once",
       .job = "160 transactions, a connection each",
       .mode = "tls-auth",
       .needs = {std::string(kPostgres) + "postgres", std::string(kPostgres) + "pgbench"},
       .run = Pgbench},
  };
}

}  // namespace mptcptls::lab
