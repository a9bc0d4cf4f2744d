// Reads the text that `nft list ruleset` prints, as far as the input firewall question needs it.
#ifndef MPTCPTLS_TUN_NFT_RULESET_H_
#define MPTCPTLS_TUN_NFT_RULESET_H_

#include <string>

namespace mptcptls {

// Names the first base chain through which input passes (hooks prerouting and input of the families
// ip, ip6 and inet) that can drop: by its policy, by a rule, or by a chain it jumps to. Empty when
// there is none. Where the text does not tell (a named verdict map), the answer is that it can.
std::string FindInputDrop(const std::string& ruleset);

}  // namespace mptcptls

#endif  // MPTCPTLS_TUN_NFT_RULESET_H_
