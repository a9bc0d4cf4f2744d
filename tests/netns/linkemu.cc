#include "tests/netns/linkemu.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <system_error>

namespace mptcptls::lab {
namespace {

EmulatorTime::duration Milliseconds(double ms) {
  return std::chrono::duration_cast<EmulatorTime::duration>(
      std::chrono::duration<double, std::milli>(ms));
}

}  // namespace

bool LinkemuSettings::Parse(const std::string& text, std::string* error) {
  LinkemuSettings result = *this;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const std::string digits = equals == std::string::npos ? "" : word.substr(equals + 1);
    char* end = nullptr;
    const double value = strtod(digits.c_str(), &end);
    if (digits.empty() || *end != '\0' || !(value >= 0 && value <= 1e6)) {
      *error = "not name=NUMBER: " + word;
      return false;
    }
    if (name == "delay_ms") {
      result.delay_ms = value;
    } else if (name == "jitter_ms") {
      result.jitter_ms = value;
    } else if (name == "reorder") {
      result.reorder = value != 0;
    } else if (name == "loss") {
      result.loss = value;
    } else if (name == "rate_mbit") {
      result.rate_mbit = value;
    } else if (name == "queue_kb") {
      result.queue_kb = value;
    } else if (name == "blackhole") {
      result.blackhole = value != 0;
    } else {
      *error = "no such setting: " + name +
               " (known: delay_ms jitter_ms reorder loss rate_mbit queue_kb blackhole)";
      return false;
    }
  }
  *this = result;
  return true;
}

std::string LinkemuStats::ToString() const {
  return "forwarded=" + std::to_string(forwarded) + " lost=" + std::to_string(lost) +
         " queue_full=" + std::to_string(queue_full) + " blackholed=" + std::to_string(blackholed);
}

void LinkemuDirection::Enqueue(const LinkemuSettings& settings, std::vector<uint8_t> frame,
                               EmulatorTime now) {
  if (settings.blackhole) {
    ++stats_.blackholed;
    return;
  }
  std::uniform_real_distribution<double> unit(0, 1);
  const double lost = unit(dice_);
  const double late = unit(dice_);
  if (lost < settings.loss) {
    ++stats_.lost;
    return;
  }
  EmulatorTime departure = now;
  if (settings.rate_mbit > 0) {
    const double bits_per_ms = settings.rate_mbit * 1e3;
    const double backlog_ms =
        std::chrono::duration<double, std::milli>(std::max(busy_until_, now) - now).count();
    if (backlog_ms * bits_per_ms / 8 > settings.queue_kb * 1024) {
      ++stats_.queue_full;
      return;
    }
    busy_until_ = std::max(busy_until_, now) +
                  Milliseconds(static_cast<double>(frame.size()) * 8 / bits_per_ms);
    departure = busy_until_;
  }
  departure += Milliseconds(settings.delay_ms + settings.jitter_ms * late);
  if (!settings.reorder) departure = std::max(departure, last_departure_);
  last_departure_ = std::max(departure, last_departure_);
  waiting_.push({departure, order_++, std::move(frame)});
}

std::optional<EmulatorTime> LinkemuDirection::NextDeparture() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.top().departure;
}

std::vector<uint8_t> LinkemuDirection::Dequeue(EmulatorTime now) {
  if (waiting_.empty() || waiting_.top().departure > now) return {};
  std::vector<uint8_t> frame = waiting_.top().frame;
  waiting_.pop();
  ++stats_.forwarded;
  return frame;
}

std::string ControlLinkemu(const std::string& socket_path, const std::string& command) {
  const auto fail = [&](const std::string& what) {
    const std::error_code code(errno, std::generic_category());
    throw std::runtime_error(what + " " + socket_path + ": " + code.message());
  };
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path.c_str());
  const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    fail("cannot reach linkemu at");
  }
  char answer[512];
  ssize_t n = send(fd, command.data(), command.size(), MSG_NOSIGNAL);
  if (n >= 0) n = recv(fd, answer, sizeof answer, 0);
  close(fd);
  if (n <= 0) fail("no answer from linkemu at");
  std::string text(answer, static_cast<size_t>(n));
  if (text.starts_with("error: ")) throw std::runtime_error("linkemu: " + text.substr(7));
  return text;
}

}  // namespace mptcptls::lab
