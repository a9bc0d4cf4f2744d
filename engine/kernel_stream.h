// A client on this host reached a captured listener through the kernel's own loopback
// (ARCHITECTURE.md 3): its kernel TCP socket, in the shape of a Connection, so that one relay
// serves both.
#ifndef MPTCPTLS_ENGINE_KERNEL_STREAM_H_
#define MPTCPTLS_ENGINE_KERNEL_STREAM_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/descriptor.h"
#include "engine/event_loop.h"
#include "stack/mptcp/connection.h"

namespace mptcptls {

class KernelStream final : public Connection, public EventHandler {
 public:
  // Told once, when nothing of it is used any more; destroys it later.
  using OnFinished = std::function<void(KernelStream*)>;

  KernelStream(EventLoop* loop, Descriptor socket, Endpoint local, Endpoint remote,
               OnFinished finished);
  ~KernelStream() override;
  KernelStream(const KernelStream&) = delete;
  KernelStream& operator=(const KernelStream&) = delete;

  void Start(ConnectionObserver* observer);

  void OnEvents(uint32_t events) override;

  uint64_t id() const override { return 0; }
  Endpoint local() const override { return local_; }
  Endpoint remote() const override { return remote_; }
  Mode mode() const override { return Mode::kTcp; }
  size_t WriteRegions(std::array<std::span<uint8_t>, 2>* regions) override;
  void Commit(Time now, size_t bytes, Coming coming) override;
  size_t Write(Time now, ByteSpan bytes) override;
  void Shutdown(Time now) override;
  void Abort(Time now) override;
  ByteSpan Readable() const override;
  void Consume(Time now, size_t bytes) override;
  void SetKeys(Time /*now*/, const ConnectionKeys& /*keys*/) override {}
  void RefuseKeys(Time /*now*/, std::string /*reason*/) override {}
  bool WantsKeys() const override { return false; }
  void Orphan(Time now) override;
  ConnectionInfo Info(Time now) const override;

 private:
  static constexpr size_t kBuffer = 65536;

  void ReadSocket();
  void FlushSocket();
  void PeerEnded();
  uint64_t Queued(unsigned long request) const;
  void Finish(EndReason end);

  EventLoop* loop_;
  Descriptor socket_;
  Endpoint local_, remote_;
  OnFinished finished_;
  ConnectionObserver* observer_ = nullptr;
  std::vector<uint8_t> out_, in_;  // between begin and end: waiting
  size_t out_begin_ = 0, out_end_ = 0, in_begin_ = 0, in_end_ = 0;
  uint64_t sent_ = 0, received_ = 0;
  bool shut_down_ = false;  // by the program
  bool fin_sent_ = false;
  bool peer_ended_ = false;
  bool peer_end_told_ = false;
  bool blocked_ = false;  // the program waits for room
  bool orphaned_ = false;
  EndReason end_ = EndReason::kNone;
};

// Owns the streams; they outlive their listener.
class KernelStreams {
 public:
  explicit KernelStreams(EventLoop* loop) : loop_(loop) {}
  KernelStream* Make(Descriptor socket, const Endpoint& local, const Endpoint& remote);
  void Sweep() { finished_.clear(); }  // destroys those that are finished; at the end of a batch
  size_t size() const { return streams_.size(); }

 private:
  EventLoop* loop_;
  std::vector<std::unique_ptr<KernelStream>> streams_, finished_;
};

}  // namespace mptcptls

#endif  // MPTCPTLS_ENGINE_KERNEL_STREAM_H_
