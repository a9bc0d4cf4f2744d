#include "tests/netns/trace.h"

#include <pcap/pcap.h>
#include <tins/tins.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace mptcptls::lab {
namespace {

constexpr uint8_t kMptcpKind = 30;
constexpr size_t kHead = 64;
// MP_CAPABLE flags (PROTOCOL.md 2).
constexpr uint8_t kFlagE = 0x08;
constexpr uint8_t kFlagH = 0x01;

TracedPacket FromTcp(const Tins::TCP& tcp) {
  TracedPacket packet;
  packet.source_port = tcp.sport();
  packet.destination_port = tcp.dport();
  packet.sequence = tcp.seq();
  packet.acknowledgement = tcp.ack_seq();
  packet.syn = tcp.get_flag(Tins::TCP::SYN) != 0;
  packet.ack = tcp.get_flag(Tins::TCP::ACK) != 0;
  packet.fin = tcp.get_flag(Tins::TCP::FIN) != 0;
  packet.rst = tcp.get_flag(Tins::TCP::RST) != 0;
  for (const auto& option : tcp.options()) {
    if (option.option() != kMptcpKind || option.data_size() == 0) continue;
    packet.mptcp.push_back({{option.data_ptr(), option.data_ptr() + option.data_size()}});
  }
  return packet;
}

void AddAddresses(const Tins::EthernetII& frame, TracedPacket* packet) {
  if (const Tins::IP* ip = frame.find_pdu<Tins::IP>()) {
    packet->source = ip->src_addr().to_string();
    packet->destination = ip->dst_addr().to_string();
  } else if (const Tins::IPv6* ip6 = frame.find_pdu<Tins::IPv6>()) {
    packet->source = ip6->src_addr().to_string();
    packet->destination = ip6->dst_addr().to_string();
  }
}

// The flags of a MP_CAPABLE, -1 without one.
int CapableFlags(const TracedPacket& packet) {
  const MptcpOption* option = packet.Find(kMpCapable);
  return option != nullptr && option->bytes.size() >= 2 ? option->bytes[1] : -1;
}

}  // namespace

const MptcpOption* TracedPacket::Find(Subtype subtype) const {
  for (const MptcpOption& option : mptcp) {
    if (option.subtype() == subtype) return &option;
  }
  return nullptr;
}

std::vector<TracedPacket> ReadTrace(const std::string& pcap_file) {
  char error[PCAP_ERRBUF_SIZE];
  const std::unique_ptr<pcap_t, decltype(&pcap_close)> pcap(
      pcap_open_offline(pcap_file.c_str(), error), pcap_close);
  if (pcap == nullptr) throw std::runtime_error(error);
  std::vector<TracedPacket> packets;
  pcap_pkthdr* header;
  const u_char* bytes;
  while (pcap_next_ex(pcap.get(), &header, &bytes) == 1) {
    // libtins refuses IPv6 packets that were cut: put zeros where the rest was.
    std::vector<uint8_t> whole(bytes, bytes + header->caplen);
    whole.resize(header->len);
    const Tins::EthernetII frame(whole.data(), static_cast<uint32_t>(whole.size()));
    const Tins::TCP* tcp = frame.find_pdu<Tins::TCP>();
    if (tcp == nullptr) continue;
    TracedPacket packet = FromTcp(*tcp);
    packet.seconds =
        static_cast<double>(header->ts.tv_sec) + static_cast<double>(header->ts.tv_usec) / 1e6;
    AddAddresses(frame, &packet);
    if (const Tins::RawPDU* payload = tcp->find_pdu<Tins::RawPDU>()) {
      packet.payload = payload->payload_size();
      const auto& all = payload->payload();
      packet.head.assign(all.begin(),
                         all.begin() + static_cast<ptrdiff_t>(std::min(kHead, all.size())));
    }
    packets.push_back(std::move(packet));
  }
  return packets;
}

std::vector<TracedPacket> MergeTraces(const std::vector<std::string>& pcap_files) {
  std::vector<TracedPacket> all;
  for (const std::string& file : pcap_files) {
    const std::vector<TracedPacket> one = ReadTrace(file);
    all.insert(all.end(), one.begin(), one.end());
  }
  std::stable_sort(all.begin(), all.end(), [](const TracedPacket& a, const TracedPacket& b) {
    return a.seconds < b.seconds;
  });
  return all;
}

std::string ModeOf(const std::vector<TracedPacket>& packets) {
  const auto initial = [](const TracedPacket& packet) { return packet.Find(kMpJoin) == nullptr; };
  const auto answer = std::find_if(packets.begin(), packets.end(), [&](const TracedPacket& packet) {
    return packet.syn && packet.ack && initial(packet);
  });
  if (answer == packets.end()) return "none";
  const auto third = std::find_if(answer, packets.end(), [&](const TracedPacket& packet) {
    return !packet.syn && packet.ack && packet.source == answer->destination &&
           packet.source_port == answer->destination_port;
  });
  if (third == packets.end()) return "none";
  const int answered = CapableFlags(*answer);
  const int echoed = CapableFlags(*third);
  if (answered < 0 && echoed < 0) return "tcp";
  if (answered < 0 || echoed < 0) return "broken";
  const size_t answer_length = answer->Find(kMpCapable)->length();
  const size_t echo_length = third->Find(kMpCapable)->length();
  if (answered == (kFlagE | kFlagH) && echoed == answered && answer_length == 8 &&
      (echo_length == 12 || echo_length == 14)) {
    return "tls-auth";
  }
  if (answered == kFlagH && echoed == kFlagH && answer_length == 12 &&
      (echo_length == 20 || echo_length == 22)) {
    return "keys";
  }
  return "broken";
}

}  // namespace mptcptls::lab
