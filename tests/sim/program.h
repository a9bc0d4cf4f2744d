// What the applications at both ends do: write and read streams whose every byte is known from its
// offset, so that a byte that is lost, repeated, moved or from another connection is caught at
// once; act out a TLS handshake as far as the stack notices one; end in all the ways that programs
// end.
//
// With `tls` the client says 517 bytes, the server answers 3,000, the client has the keys and says
// 80 more, and then the server has the keys: half a round trip later, as in TLS 1.3.
#ifndef MPTCPTLS_TESTS_SIM_PROGRAM_H_
#define MPTCPTLS_TESTS_SIM_PROGRAM_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stack/host.h"
#include "stack/mptcp/crypto.h"
#include "tests/sim/simulator.h"

namespace mptcptls::sim {

// Writes stream bytes [offset, offset + out.size()) of the stream `seed`.
void FillPattern(uint64_t seed, uint64_t offset, std::span<uint8_t> out);
// Index of the first byte that differs from the pattern, nullopt when all agree.
std::optional<size_t> CheckPattern(uint64_t seed, uint64_t offset, ByteSpan bytes);

enum class Ending : uint8_t {
  kShutdownWhenSent,     // half close as soon as everything is written
  kShutdownAfterPeer,    // everything written and the peer has ended
  kAbortAfterSending,    // Abort() once `abort_after` bytes are written
  kAbortAfterReceiving,  // Abort() once `abort_after` bytes are read
  kAbortAfterPeer,       // Abort() when the peer has ended
  kOrphanWhenSent,       // the program is gone after its last write: Orphan()
};

struct ProgramPlan {
  uint64_t send_bytes = 0;            // beyond the handshake
  bool tls = true;                    // act out the handshake and give the keys
  bool refuse_keys = false;           // the handshake ends without keys (RefuseKeys)
  std::optional<uint64_t> wrong_key;  // keys of another session
  Duration key_delay{0};              // from the handshake's end to SetKeys
  // Further handshakes, each at this time after the first keys; each has keys of its own.
  std::vector<Duration> renegotiations;
  // Reading: everything at once, or at most read_chunk bytes each read_interval.
  size_t read_chunk = 0;
  Duration read_interval{0};
  Duration read_pause_at{0}, read_pause{0};  // since connected; nothing is read meanwhile
  // Writing: as much as fits, or write_chunk bytes each write_interval.
  size_t write_chunk = 0;
  Duration write_interval{0};
  size_t write_more = 1;  // of so many writes all but the last one say that more follows (MSG_MORE)
  Ending ending = Ending::kShutdownWhenSent;
  uint64_t abort_after = 0;
  uint64_t altered = 0;  // a middlebox changes so many of the bytes that it reads
};

class SimProgram : public ConnectionObserver {
 public:
  // `exchange` names the pair of programs, on both sides: streams and keys are made from it.
  SimProgram(Simulator* simulator, std::string name, uint64_t exchange, bool client,
             const ProgramPlan& plan);
  // What its TLS exports: the first handshake is 0.
  ConnectionKeys Keys(size_t handshake) const;
  void SetPeer(const SimProgram* peer) { peer_ = peer; }
  // Initiator: what Host::Connect() returned.
  void SetConnection(Connection* connection) { connection_ = connection; }
  // The program gives up here and now, whatever its plan says.
  void AbortNow(Time now);
  // Responder: the connection that was accepted.
  void Accepted(Connection* connection, Time now);

  void OnConnected(Connection& connection, Time now) override;
  size_t OnData(Connection& connection, Time now, ByteSpan bytes) override;
  void OnPeerClosed(Connection& connection, Time now) override;
  void OnWritable(Connection& connection, Time now) override;
  void OnClosed(Connection& connection, Time now, EndReason end) override;

  const std::string& name() const { return name_; }
  const ProgramPlan& plan() const { return plan_; }
  Connection* connection() const { return connection_; }  // null when closed
  bool connected() const { return connected_; }
  bool closed() const { return closed_; }
  bool has_keys() const { return has_keys_; }
  EndReason end() const { return end_; }
  bool peer_closed() const { return peer_closed_; }
  bool shutdown() const { return shutdown_; }
  bool aborted() const { return aborted_; }
  bool orphaned() const { return orphaned_; }
  uint64_t sent() const { return sent_; }
  uint64_t received() const { return received_; }
  uint64_t altered() const { return altered_; }  // wrong bytes that the plan allowed for
  uint64_t total_to_send() const;
  Time connected_at() const { return connected_at_; }
  Time finished_at() const { return finished_at_; }  // the peer's end was seen
  Duration closed_at() const { return closed_at_.time_since_epoch(); }
  Time keys_at() const { return keys_at_; }
  // The last Info() before the end.
  const ConnectionInfo& final_info() const { return final_info_; }
  // Broken promises of the stack; empty is right.
  const std::vector<std::string>& failures() const { return failures_; }

 private:
  uint64_t MayWrite() const;  // stream offset up to which the handshake allows writing
  uint64_t SendSeed() const { return Mix(exchange_ * 2 + (client_ ? 0 : 1)); }
  uint64_t ReceiveSeed() const { return Mix(exchange_ * 2 + (client_ ? 1 : 0)); }
  void Begin(Time now);
  // Reads, gives keys, writes and ends as far as the plan allows now.
  void Progress(Time now);
  Time PausedUntil(Time now) const;  // `now` when it may read
  void Take(Time now, ByteSpan bytes);
  void Read(Time now);
  void Write(Time now);
  void MaybeKeys(Time now);
  void GiveKeys(Time now);
  void Renegotiate(size_t number);
  void MaybeEnd(Time now);
  void At(Time time, bool* scheduled);
  bool Alive(Time now, const char* callback);
  void Fail(Time now, const std::string& what);

  Simulator* simulator_;
  std::string name_;
  uint64_t exchange_;
  bool client_;
  ProgramPlan plan_;
  const SimProgram* peer_ = nullptr;
  Connection* connection_ = nullptr;
  bool connected_ = false, closed_ = false, peer_closed_ = false, shutdown_ = false;
  bool aborted_ = false, orphaned_ = false, has_keys_ = false, keys_scheduled_ = false;
  bool read_scheduled_ = false, write_scheduled_ = false, progress_scheduled_ = false;
  bool writing_ = false;
  EndReason end_ = EndReason::kNone;
  uint64_t sent_ = 0, received_ = 0, altered_ = 0;
  size_t chunk_done_ = 0;  // of the chunk being written
  Time connected_at_{}, finished_at_ = kNever, closed_at_ = kNever, keys_at_ = kNever,
                        next_write_{}, next_read_{};
  ConnectionInfo final_info_;
  std::vector<std::string> failures_;
};

const char* EndReasonName(EndReason reason);

}  // namespace mptcptls::sim

#endif  // MPTCPTLS_TESTS_SIM_PROGRAM_H_
