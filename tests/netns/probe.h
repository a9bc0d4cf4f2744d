// What the socket probe's scenarios are written in: sockets as a C program uses them, and lines
// that say what happened. Nothing here knows of the product.
#ifndef MPTCPTLS_TESTS_NETNS_PROBE_H_
#define MPTCPTLS_TESTS_NETNS_PROBE_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>

namespace mptcptls::probe {

inline constexpr uint16_t kPort = 7000;
inline constexpr uint16_t kClosedPort = 7001;  // nobody listens there
inline constexpr int kPatienceMs = 20000;

// The server's address as the client was given it; the server itself has the wildcard of a family.
struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};
Address Parse(const std::string& text, uint16_t port);
// The same with kClosedPort.
Address Closed(const Address& address);

// A line of the transcript, at once.
void Say(const char* format, ...) __attribute__((format(printf, 1, 2)));
// "what: 5" or "what: ECONNRESET".
void Result(const char* what, ssize_t result);
// "what: ok" or an error's name.
void Done(const char* what, int result);

// Names of poll() and epoll events, in a fixed order.
std::string Events(uint32_t events);
// "10.9.1.2:7000"; another port than the two known ones is "ephemeral".
std::string NameOf(const sockaddr_storage& address);
std::string Local(int fd);
std::string Peer(int fd);
void SayOption(int fd, int level, int option, const char* name);

int Tcp(const Address& address, int flags = 0);
// A listening socket, said when it is there: the test starts the client then.
int Listen(const Address& address, int backlog = 8);
int Accept(int listener);
// Connects, which must work.
int Connected(const Address& address);

// Waits for these poll() events; says what came.
void Await(int fd, int events, const char* what);
// Waits until `size` bytes can be read at once.
void AwaitBytes(int fd, int size);
// The same where no event tells of them; says nothing.
void AwaitQueued(int fd, int size);
// The next event of an epoll set.
std::string Next(int set, int wait_ms);
// Reads until the end, or an error; "" for an end with nothing before.
std::string ReadToEnd(int fd);
void Echo(int fd);
// Accepts one connection and echoes it.
void EchoServer(const Address& any);
// Sends the text and waits for its echo.
void RoundTrip(int fd, const char* text);

// A call in a thread of its own.
class Waiter {
 public:
  explicit Waiter(const std::function<void()>& call);
  ~Waiter() { Join(); }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // Returns when the thread sleeps, in the call.
  void AwaitBlocked() const;
  // Sends it the signal again and again until the call has returned.
  void Disturb(int signal);
  void Join();

 private:
  std::atomic<pid_t> tid_{0};
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// The server's side of a scenario runs with the wildcard address, the client's with the server's.
struct Scenario {
  const char* name;
  void (*server)(const Address&);  // nullptr: none is needed
  void (*client)(const Address&);
};
// Ends with {nullptr, ...}.
extern const Scenario kDataScenarios[];
extern const Scenario kLifeScenarios[];
extern const Scenario kOptionScenarios[];
extern const Scenario kConnectScenarios[];
extern const Scenario kMessageScenarios[];
extern const Scenario kEventScenarios[];
extern const Scenario kDescriptorScenarios[];
extern const Scenario kProcessScenarios[];

// What a re-executed probe does with the descriptor that it was given.
int AfterExec(int fd);
// What one does that is handed a socket over the descriptor `channel`: "take-connection",
// "take-listener".
int TakeOver(const char* kind, int channel);
// As a service of inetd: a connection, or a listener, as its stdin and stdout; says to stderr.
int Service(const char* kind);

}  // namespace mptcptls::probe

#endif  // MPTCPTLS_TESTS_NETNS_PROBE_H_
