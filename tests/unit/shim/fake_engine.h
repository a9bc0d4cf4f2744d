// The engine's side of the control protocol, in a thread of the test: it answers as told, and
// echoes what a captured program sends.
#ifndef MPTCPTLS_TESTS_UNIT_SHIM_FAKE_ENGINE_H_
#define MPTCPTLS_TESTS_UNIT_SHIM_FAKE_ENGINE_H_

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/control.h"

namespace mptcptls::shim {

class FakeEngine {
 public:
  FakeEngine();
  // Waits for its conversations: the test closes its sockets first.
  ~FakeEngine();
  FakeEngine(const FakeEngine&) = delete;
  FakeEngine& operator=(const FakeEngine&) = delete;

  // What the next connections get.
  // The SYN is answered by a RST, say; `early`: perhaps before the whole request is there.
  void RefuseWith(int error, bool early = false);
  void DeclineWith(int error);  // Reply.error, nothing is captured
  void Hold();                  // connections stay pending
  void Release();               // and go on

  // A connection from `remote` for the program's listener; the engine's end.
  int Deliver(const control::Address& remote);
  // What the requests to connect and to listen asked for, in order.
  std::vector<control::Scheduler> schedulers();
  // What is answered about MPTCP, byte by byte; by default that this is none.
  void AnswerMptcpWith(std::string bytes);
  // A right answer: subflow I (from 0) has the id I + 1, bytes_received I + 1, ports 1000 + I.
  static std::string MptcpOf(uint32_t subflows);
  // The flags of the questions about MPTCP, in order.
  std::vector<uint8_t> mptcp_flags();
  // The answer to SO_PROTOCOL, 0: none.
  void AnswerProtocolWith(int protocol);
  // The first `count` keys that came, as soon as they are there; fewer after ten seconds.
  std::vector<control::KeyMessage> AwaitKeys(size_t count);
  // Until it has closed the descriptors of all conversations that are over for their program: a
  // test that looks at descriptors has them in its own table.
  void AwaitQuiet();
  // From now on no connection is known any more.
  void Forget();
  // What is said to be on its way (SIOCOUTQ).
  static constexpr int kOnItsWay = 4242;
  // Option names that were set.
  std::vector<int> options_set();
  // The same, as soon as there are so many; fewer after ten seconds.
  std::vector<int> AwaitOptions(size_t count);

  static control::Address Local();

 private:
  void Serve();
  void Converse(int fd);
  void Connect(int fd, const control::ConnectRequest& request);
  void Options(int fd, const control::OptionRequest& request);
  void Mptcp(int fd, const control::MptcpRequest& request);
  void Listen(int fd, const control::ListenRequest& request);
  void Result(int fd, const control::ResultRequest& request);

  int listener_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int refuse_ = 0, decline_ = 0, protocol_ = 0;
  std::string mptcp_;
  std::vector<uint8_t> mptcp_flags_;
  bool hold_ = false, early_ = false, forgotten_ = false;
  uint64_t next_id_ = 1;
  std::map<uint64_t, int> results_;
  std::vector<control::Scheduler> schedulers_;
  std::vector<int> options_set_;
  std::vector<control::KeyMessage> keys_;
  control::ListenRequest listening_;
  std::vector<std::thread> conversations_;
  int going_on_ = 0;  // conversations
  std::thread server_;
};

}  // namespace mptcptls::shim

#endif  // MPTCPTLS_TESTS_UNIT_SHIM_FAKE_ENGINE_H_
