#include "tun/nft_ruleset.h"

#include <cctype>
#include <map>
#include <set>
#include <vector>

namespace mptcptls {
namespace {

using Words = std::vector<std::string>;
using Chains = std::map<std::string, Words>;

// Words of the text; braces and semicolons are words of their own. Quoted text (comments, interface
// names) says nothing about verdicts, except the target of an iptables rule in nftables' clothes.
Words Split(const std::string& text) {
  Words words;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      const size_t end = text.find('"', i + 1);
      const size_t stop = end == std::string::npos ? text.size() : end;
      words.push_back("\"" + text.substr(i + 1, stop - i - 1));
      i = stop + 1;
    } else if (c == '{' || c == '}' || c == ';') {
      words.emplace_back(1, c);
      ++i;
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == ',' || c == ':') {
      ++i;
    } else {
      const size_t end = text.find_first_of("\"{};,: \t\n", i);
      words.push_back(text.substr(i, end == std::string::npos ? end : end - i));
      i = end == std::string::npos ? text.size() : end;
    }
  }
  return words;
}

// The words of the block that opens at words[*at] ("{"), without its braces; *at goes behind it.
Words TakeBlock(const Words& words, size_t* at) {
  Words body;
  int depth = 0;
  for (; *at < words.size(); ++*at) {
    const std::string& word = words[*at];
    depth += word == "{" ? 1 : word == "}" ? -1 : 0;
    if (depth == 0) break;
    body.push_back(word);
  }
  if (*at < words.size()) ++*at;
  if (!body.empty()) body.erase(body.begin());
  return body;
}

Chains ReadChains(const Words& table) {
  Chains chains;
  for (size_t at = 0; at + 2 < table.size();) {
    if (table[at] == "chain" && table[at + 2] == "{") {
      const std::string& name = table[at + 1];
      at += 2;
      chains[name] = TakeBlock(table, &at);
    } else if (table[at] == "{") {
      (void)TakeBlock(table, &at);  // a set, map, counter ...
    } else {
      ++at;
    }
  }
  return chains;
}

bool IsBaseChainOfInput(const Words& chain) {
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    if (chain[i] == "hook") return chain[i + 1] == "input" || chain[i + 1] == "prerouting";
  }
  return false;
}

bool IsDroppingWord(const Words& chain, size_t i) {
  static const std::set<std::string> kVerdicts = {"drop", "reject", "queue"};
  if (kVerdicts.count(chain[i]) != 0) return true;
  if (chain[i] == "vmap") return i + 1 < chain.size() && chain[i + 1][0] == '@';
  return chain[i] == "\"DROP" || chain[i] == "\"REJECT" || chain[i] == "\"NFQUEUE";
}

bool CanDrop(const Chains& chains, const std::string& start) {
  std::vector<std::string> to_visit = {start};
  std::set<std::string> seen;
  while (!to_visit.empty()) {
    const std::string name = to_visit.back();
    to_visit.pop_back();
    const auto chain = chains.find(name);
    if (chain == chains.end() || !seen.insert(name).second) continue;
    const Words& words = chain->second;
    for (size_t i = 0; i < words.size(); ++i) {
      if (IsDroppingWord(words, i)) return true;
      if ((words[i] == "jump" || words[i] == "goto") && i + 1 < words.size())
        to_visit.push_back(words[i + 1]);
    }
  }
  return false;
}

}  // namespace

std::string FindInputDrop(const std::string& ruleset) {
  const Words words = Split(ruleset);
  for (size_t at = 0; at + 3 < words.size();) {
    if (words[at] != "table" || words[at + 3] != "{") {
      ++at;
      continue;
    }
    const std::string& family = words[at + 1];
    const std::string& table = words[at + 2];
    at += 3;
    const Chains chains = ReadChains(TakeBlock(words, &at));
    if (family != "ip" && family != "ip6" && family != "inet") continue;
    for (const auto& [name, chain] : chains) {
      if (IsBaseChainOfInput(chain) && CanDrop(chains, name))
        return "nftables chain " + family + " " + table + " " + name + " can drop input";
    }
  }
  return "";
}

}  // namespace mptcptls
