#include "tests/sim/program.h"

#include <algorithm>
#include <cstring>

namespace mptcptls::sim {
namespace {

constexpr uint64_t kClientHello = 517, kServerFlight = 3000, kClientFinished = 80;
constexpr size_t kMaxFailures = 5;  // the first ones tell

uint64_t PatternWord(uint64_t seed, uint64_t index) { return Mix(seed ^ Mix(index)); }

}  // namespace

void FillPattern(uint64_t seed, uint64_t offset, std::span<uint8_t> out) {
  size_t i = 0;
  while (i < out.size()) {
    const uint64_t word = PatternWord(seed, (offset + i) / 8);
    const size_t skip = (offset + i) % 8;
    const size_t n = std::min<size_t>(8 - skip, out.size() - i);
    std::memcpy(out.data() + i, reinterpret_cast<const uint8_t*>(&word) + skip, n);
    i += n;
  }
}

std::optional<size_t> CheckPattern(uint64_t seed, uint64_t offset, ByteSpan bytes) {
  std::array<uint8_t, 4096> expected;
  for (size_t done = 0; done < bytes.size();) {
    const size_t n = std::min(expected.size(), bytes.size() - done);
    FillPattern(seed, offset + done, std::span(expected).first(n));
    if (std::memcmp(expected.data(), bytes.data() + done, n) != 0) {
      const auto at = std::mismatch(expected.begin(), expected.begin() + static_cast<long>(n),
                                    bytes.begin() + static_cast<long>(done));
      return done + static_cast<size_t>(at.first - expected.begin());
    }
    done += n;
  }
  return std::nullopt;
}

const char* EndReasonName(EndReason reason) {
  static constexpr const char* kNames[] = {"none",
                                           "clean",
                                           "reset",
                                           "refused",
                                           "timed out",
                                           "unreachable",
                                           "network unreachable",
                                           "no protocol",
                                           "prohibited",
                                           "aborted"};
  return kNames[static_cast<size_t>(reason)];
}

SimProgram::SimProgram(Simulator* simulator, std::string name, uint64_t exchange, bool client,
                       const ProgramPlan& plan)
    : simulator_(simulator),
      name_(std::move(name)),
      exchange_(exchange),
      client_(client),
      plan_(plan) {}

uint64_t SimProgram::total_to_send() const {
  const uint64_t handshake = client_ ? kClientHello + kClientFinished : kServerFlight;
  return plan_.send_bytes + (plan_.tls ? handshake : 0);
}

uint64_t SimProgram::MayWrite() const {
  if (!plan_.tls) return total_to_send();
  if (client_) return received_ < kServerFlight ? kClientHello : total_to_send();
  if (received_ < kClientHello) return 0;
  return received_ < kClientHello + kClientFinished ? kServerFlight : total_to_send();
}

void SimProgram::Accepted(Connection* connection, Time now) {
  connection_ = connection;
  Begin(now);
}

void SimProgram::OnConnected(Connection& connection, Time now) {
  if (!Alive(now, "OnConnected")) return;
  if (connected_) Fail(now, "connected twice");
  connection_ = &connection;
  Begin(now);
}

void SimProgram::Begin(Time now) {
  connected_ = true;
  connected_at_ = now;
  simulator_->trace().Note(now, name_ + " connected");
  // Not from within the callback that announces the connection: a program hears of it through a
  // descriptor, later.
  At(now, &progress_scheduled_);
}

bool SimProgram::Alive(Time now, const char* callback) {
  if (closed_) Fail(now, std::string(callback) + " after OnClosed");
  if (orphaned_) Fail(now, std::string(callback) + " after Orphan");
  return !closed_ && !orphaned_;
}

size_t SimProgram::OnData(Connection& connection, Time now, ByteSpan bytes) {
  if (!Alive(now, "OnData")) return bytes.size();
  if (peer_closed_) Fail(now, "data after the peer's end");
  const bool throttled = plan_.read_chunk != 0 || PausedUntil(now) > now;
  if (throttled || !connection.Readable().empty()) {
    At(std::max(PausedUntil(now), next_read_), &read_scheduled_);
    return 0;
  }
  Take(now, bytes);
  // Writing and ending from here would be legal; programs do so after their read returned.
  At(now, &progress_scheduled_);
  return bytes.size();
}

Time SimProgram::PausedUntil(Time now) const {
  const Time from = connected_at_ + plan_.read_pause_at;
  return now >= from && now < from + plan_.read_pause ? from + plan_.read_pause : now;
}

void SimProgram::Take(Time now, ByteSpan bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const auto bad = CheckPattern(ReceiveSeed(), received_ + at, bytes.subspan(at));
    if (!bad) break;
    at += *bad + 1;
    if (altered_ < plan_.altered) {
      ++altered_;
      continue;
    }
    Fail(now, "wrong byte at stream offset " + std::to_string(received_ + at - 1));
    break;
  }
  received_ += bytes.size();
  if (peer_ != nullptr && received_ > peer_->sent()) Fail(now, "more bytes than the peer wrote");
}

void SimProgram::Read(Time now) {
  const Time ready = std::max(PausedUntil(now), next_read_);
  if (ready > now) {
    if (!connection_->Readable().empty()) At(ready, &read_scheduled_);
    return;
  }
  size_t budget = plan_.read_chunk != 0 ? plan_.read_chunk : SIZE_MAX;
  while (budget > 0 && connection_ != nullptr) {
    const ByteSpan all = connection_->Readable();
    const ByteSpan bytes = all.first(std::min(budget, all.size()));
    if (bytes.empty()) break;
    Take(now, bytes);
    budget -= bytes.size();
    connection_->Consume(now, bytes.size());
  }
  if (plan_.read_chunk != 0) {
    next_read_ = now + plan_.read_interval;
    if (connection_ != nullptr && !connection_->Readable().empty()) {
      At(next_read_, &read_scheduled_);
    }
  }
}

void SimProgram::At(Time time, bool* scheduled) {
  if (*scheduled) return;
  *scheduled = true;
  simulator_->queue().At(time, [this, scheduled] {
    *scheduled = false;
    if (!closed_) Progress(simulator_->now());
  });
}

void SimProgram::Progress(Time now) {
  if (orphaned_ || connection_ == nullptr) return;
  if (plan_.tls) connection_->NoteTls();
  Read(now);
  MaybeKeys(now);
  if (!closed_) Write(now);
  if (!closed_) MaybeEnd(now);
}

void SimProgram::MaybeKeys(Time now) {
  const uint64_t needed = client_ ? kServerFlight : kClientHello + kClientFinished;
  if (!plan_.tls || keys_scheduled_ || closed_ || received_ < needed) return;
  keys_scheduled_ = true;
  if (plan_.key_delay.count() == 0) return GiveKeys(now);
  simulator_->queue().After(plan_.key_delay, [this] {
    if (!closed_ && !orphaned_) GiveKeys(simulator_->now());
  });
}

ConnectionKeys SimProgram::Keys(size_t handshake) const {
  std::array<uint8_t, 16> exported;
  const uint64_t session = Mix(exchange_ + handshake * 0x10001);
  Rng(handshake == 0 ? plan_.wrong_key.value_or(session) : session).Fill(exported);
  return ConnectionKeys::FromExporter(exported);
}

void SimProgram::GiveKeys(Time now) {
  if (!connection_->WantsKeys()) return;
  if (plan_.refuse_keys) return connection_->RefuseKeys(now, "TLS ended without a key");
  has_keys_ = true;
  keys_at_ = now;
  simulator_->trace().Note(now, name_ + " has keys");
  connection_->SetKeys(now, Keys(0));
  if (connection_ != nullptr && connection_->WantsKeys()) Fail(now, "wants keys after SetKeys");
  for (size_t i = 0; i < plan_.renegotiations.size(); ++i) {
    simulator_->queue().After(plan_.renegotiations[i], [this, i] { Renegotiate(i); });
  }
}

void SimProgram::Renegotiate(size_t number) {
  if (closed_ || orphaned_) return;
  connection_->ReplaceKeys(simulator_->now(), Keys(number + 1));
}

void SimProgram::Write(Time now) {
  if (writing_ || shutdown_ || aborted_ || !connected_) return;
  writing_ = true;
  const bool paced = plan_.write_chunk != 0 && MayWrite() == total_to_send();
  while (!closed_ && sent_ < MayWrite()) {
    if (paced && now < next_write_) {
      At(next_write_, &write_scheduled_);
      break;
    }
    std::array<std::span<uint8_t>, 2> regions;
    const size_t room = connection_->WriteRegions(&regions);
    if (room == 0) break;
    uint64_t want = MayWrite() - sent_;
    if (paced) want = std::min<uint64_t>(want, plan_.write_chunk - chunk_done_);
    size_t filled = 0;
    for (const std::span<uint8_t>& region : regions) {
      const size_t n = std::min<uint64_t>(region.size(), want - filled);
      FillPattern(SendSeed(), sent_ + filled, region.first(n));
      filled += n;
    }
    sent_ += filled;
    if (paced) chunk_done_ += filled;
    if (paced && chunk_done_ == plan_.write_chunk) {
      chunk_done_ = 0;
      next_write_ = now + plan_.write_interval;
    }
    Coming coming = !paced && sent_ < MayWrite() ? Coming::kNow : Coming::kNothing;
    if (paced && (sent_ / plan_.write_chunk) % plan_.write_more != 0) coming = Coming::kLater;
    connection_->Commit(now, filled, coming);
  }
  writing_ = false;
}

void SimProgram::MaybeEnd(Time now) {
  if (shutdown_ || aborted_ || orphaned_) return;
  const bool all_sent = sent_ == total_to_send() && MayWrite() == total_to_send();
  const auto abort = [&](bool due) {
    if (due) AbortNow(now);
  };
  switch (plan_.ending) {
    case Ending::kShutdownWhenSent:
    case Ending::kShutdownAfterPeer:
      if (!all_sent || (plan_.ending == Ending::kShutdownAfterPeer && !peer_closed_)) return;
      shutdown_ = true;
      simulator_->trace().Note(now, name_ + " shuts down");
      return connection_->Shutdown(now);
    case Ending::kAbortAfterSending:
      return abort(sent_ >= plan_.abort_after || all_sent);
    case Ending::kAbortAfterReceiving:
      return abort(received_ >= plan_.abort_after || (all_sent && peer_closed_));
    case Ending::kAbortAfterPeer:
      return abort(peer_closed_);
    case Ending::kOrphanWhenSent:
      if (!all_sent) return;
      orphaned_ = true;
      simulator_->trace().Note(now, name_ + " is gone");
      return connection_->Orphan(now);
  }
}

void SimProgram::AbortNow(Time now) {
  if (closed_ || connection_ == nullptr) return;
  aborted_ = true;
  simulator_->trace().Note(now, name_ + " aborts");
  connection_->Abort(now);
}

void SimProgram::OnPeerClosed(Connection& connection, Time now) {
  if (!Alive(now, "OnPeerClosed")) return;
  if (peer_closed_) Fail(now, "the peer ended twice");
  if (!connection.Readable().empty()) Fail(now, "the peer's end overtook bytes");
  peer_closed_ = true;
  finished_at_ = now;
  simulator_->trace().Note(now, name_ + " sees the end");
  if (peer_ != nullptr) {
    if (!peer_->shutdown() && !peer_->orphaned()) Fail(now, "an end that the peer never made");
    if (received_ != peer_->total_to_send()) {
      Fail(now, "a clean end after " + std::to_string(received_) + " of " +
                    std::to_string(peer_->total_to_send()) + " bytes");
    }
  }
  At(now, &progress_scheduled_);
}

void SimProgram::OnWritable(Connection&, Time now) {
  if (!Alive(now, "OnWritable")) return;
  Write(now);
  if (!closed_) MaybeEnd(now);
}

void SimProgram::OnClosed(Connection& connection, Time now, EndReason end) {
  if (closed_) return Fail(now, "closed twice");
  closed_ = true;
  closed_at_ = now;
  end_ = end;
  final_info_ = connection.Info(now);
  connection_ = nullptr;
  simulator_->trace().Note(now, name_ + " closed: " + EndReasonName(end));
  if (end == EndReason::kNone) Fail(now, "closed without a reason");
  if (end == EndReason::kClean && !orphaned_ && !(shutdown_ && peer_closed_)) {
    Fail(now, "a clean close with a direction still open");
  }
  if ((end == EndReason::kAborted) != aborted_ && !orphaned_) {
    Fail(now, std::string("aborted or not, but the end is: ") + EndReasonName(end));
  }
}

void SimProgram::Fail(Time now, const std::string& what) {
  if (failures_.size() >= kMaxFailures) return;
  failures_.push_back(name_ + ": " + what);
  simulator_->trace().Note(now, "FAILURE " + failures_.back());
}

}  // namespace mptcptls::sim
