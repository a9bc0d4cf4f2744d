#include "shim/mptcp_options.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "engine/kernel_info.h"
#include "shim/captured.h"
#include "shim/control_client.h"

namespace mptcptls::shim {
namespace {

template <typename A, typename B>
A Least(A a, B b) {
  return a < b ? a : static_cast<A>(b);
}

// The engine's answer about a socket; the subflows are read one after the other, so that any number
// of them needs room for one.
class Answer {
 public:
  // Of a socket that is in place of an MPTCP one and not connected: it has no subflow yet.
  Answer() = default;
  Answer(int fd, const control::Name& name) : engine_(OpenEngine(WhenAbsent::kGiveUp)) {
    // What a TCP socket of the kernel says.
    error_ = name.mapped || name.local.family == 6 ? ENOPROTOOPT : EOPNOTSUPP;
    auto request = control::Make<control::MptcpRequest>(control::Verb::kMptcp);
    request.flags = static_cast<uint8_t>((ReadNotes(fd).mptcp ? control::kFlagMptcp : 0) |
                                         (name.mapped ? control::kFlagMapped : 0));
    const bool answered = engine_ >= 0 &&
                          SendMessage(engine_, &request, sizeof request, fd, false) &&
                          ReceiveExactly(engine_, &reply_, sizeof reply_) && Proper(reply_);
    if (answered && reply_.error == 0) error_ = 0;
  }
  ~Answer() {
    const ErrnoKeeper keeper;
    if (engine_ >= 0) close(engine_);
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  int error() const { return error_; }
  const kernel::MptcpInfo& info() const { return reply_.info; }
  uint32_t subflows() const { return reply_.subflows; }
  // At most subflows() times.
  bool Next(control::MptcpSubflow* subflow) const {
    return ReceiveExactly(engine_, subflow, sizeof *subflow);
  }

 private:
  static bool Proper(const control::MptcpReply& reply) {
    return control::HeaderIsOurs(reply.header) && reply.header.verb == control::Verb::kReply &&
           reply.subflows <= control::kMaxSubflows &&
           reply.header.length ==
               sizeof reply + size_t{reply.subflows} * sizeof(control::MptcpSubflow);
  }

  int engine_ = -1;
  int error_ = 0;
  control::MptcpReply reply_;
};

int PutInfo(const Answer& answer, void* value, socklen_t* length) {
  if (*length == 0) return 0;  // asks only whether this is MPTCP
  if (value == nullptr) return EFAULT;
  *length = Least(*length, sizeof answer.info());
  memcpy(value, &answer.info(), *length);
  return 0;
}

// mptcp_get_subflow_data(): 0 or an errno.
int ReadSubflowData(const void* value, socklen_t length, kernel::SubflowData* data) {
  if (length > INT_MAX || length < sizeof *data) return EINVAL;
  if (value == nullptr) return EFAULT;
  memcpy(data, value, sizeof *data);
  if (data->size_subflow_data > INT_MAX || data->size_user > INT_MAX) return EINVAL;
  if (data->size_subflow_data < sizeof *data || data->size_subflow_data > length) return EINVAL;
  return data->num_subflows != 0 || data->size_kernel != 0 ? EINVAL : 0;
}

// An array of `element`s behind struct mptcp_subflow_data: as many as fit, of each as much as the
// program wants. They say how many there are.
template <typename Element>
int PutArray(const Answer& answer, void* value, socklen_t* length,
             const Element& (*element)(const control::MptcpSubflow&)) {
  kernel::SubflowData data;
  if (const int error = ReadSubflowData(value, *length, &data); error != 0) return error;
  data.size_kernel = sizeof(Element);
  data.size_user = Least(data.size_user, sizeof(Element));
  data.num_subflows = answer.subflows();
  char* const array = static_cast<char*>(value) + data.size_subflow_data;
  size_t room = *length - data.size_subflow_data;
  size_t copied = 0;
  for (uint32_t i = 0; i < answer.subflows() && room > 0 && room >= data.size_user; ++i) {
    control::MptcpSubflow subflow;
    if (!answer.Next(&subflow)) return ENOTCONN;
    memcpy(array + copied, &element(subflow), data.size_user);
    copied += data.size_user;
    room -= data.size_user;
  }
  *length = static_cast<socklen_t>(copied > 0 ? data.size_subflow_data + copied : sizeof data);
  memcpy(value, &data, sizeof data);
  return 0;
}

// mptcp_get_full_info(): 0 or an errno.
int ReadFullInfo(const void* value, socklen_t length, kernel::FullInfoHead* head) {
  if (length > INT_MAX || length < sizeof *head) return EINVAL;
  if (value == nullptr) return EFAULT;
  memcpy(head, value, sizeof *head);
  if (head->size_tcpinfo_kernel != 0 || head->size_sfinfo_kernel != 0 || head->num_subflows != 0)
    return EINVAL;
  return head->size_sfinfo_user > INT_MAX || head->size_tcpinfo_user > INT_MAX ? EINVAL : 0;
}

// False where the program gave no memory.
bool PutElement(uint64_t array, uint32_t index, const void* element, uint32_t size) {
  if (size == 0) return true;
  if (array == 0) return false;
  memcpy(reinterpret_cast<char*>(array) + size_t{index} * size, element, size);
  return true;
}

int PutFullInfo(const Answer& answer, void* value, socklen_t* length) {
  kernel::FullInfoHead head;
  if (const int error = ReadFullInfo(value, *length, &head); error != 0) return error;
  head.size_tcpinfo_kernel = sizeof(kernel::TcpInfo);
  head.size_tcpinfo_user = Least(head.size_tcpinfo_user, sizeof(kernel::TcpInfo));
  head.size_sfinfo_kernel = sizeof(kernel::SubflowInfo);
  head.size_sfinfo_user = Least(head.size_sfinfo_user, sizeof(kernel::SubflowInfo));
  head.num_subflows = answer.subflows();
  const uint32_t count = Least(answer.subflows(), head.size_arrays_user);
  for (uint32_t i = 0; i < count; ++i) {
    control::MptcpSubflow subflow;
    if (!answer.Next(&subflow)) return ENOTCONN;
    if (!PutElement(head.subflow_info, i, &subflow.info, head.size_sfinfo_user) ||
        !PutElement(head.tcp_info, i, &subflow.tcp, head.size_tcpinfo_user))
      return EFAULT;
  }
  const size_t tail = Least(*length - sizeof head, sizeof answer.info());
  memcpy(value, &head, sizeof head);
  memcpy(static_cast<char*>(value) + sizeof head, &answer.info(), tail);
  *length = static_cast<socklen_t>(sizeof head + tail);
  return 0;
}

const kernel::TcpInfo& TcpOf(const control::MptcpSubflow& subflow) { return subflow.tcp; }
const kernel::SubflowAddresses& AddressesOf(const control::MptcpSubflow& subflow) {
  return subflow.info.addresses;
}

int Put(const Answer& answer, int option, void* value, socklen_t* length) {
  if (answer.error() != 0) return answer.error();
  switch (option) {
    case kernel::kMptcpInfo:
      return PutInfo(answer, value, length);
    case kernel::kMptcpTcpInfo:
      return PutArray(answer, value, length, TcpOf);
    case kernel::kMptcpSubflowAddresses:
      return PutArray(answer, value, length, AddressesOf);
    case kernel::kMptcpFullInfo:
      return PutFullInfo(answer, value, length);
    default:
      return EOPNOTSUPP;
  }
}

}  // namespace

int GetMptcpOption(int fd, const control::Name& name, int option, void* value, socklen_t* length) {
  const ErrnoKeeper keeper;
  return Put(Answer(fd, name), option, value, length);
}

int GetMptcpOptionInPlace(int option, void* value, socklen_t* length) {
  const ErrnoKeeper keeper;
  return Put(Answer(), option, value, length);
}

bool SpeaksMptcp(int fd, const control::Name& name) {
  const ErrnoKeeper keeper;
  return Answer(fd, name).error() == 0;
}

}  // namespace mptcptls::shim
