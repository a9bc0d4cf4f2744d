#include "engine/command_text.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include <algorithm>
#include <array>

namespace mptcptls::command {
namespace {

constexpr size_t kGap = 2;  // between two columns of a table

// Code points; wide and combining characters are rare enough here.
size_t Width(absl::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string HumanBytes(uint64_t bytes) {
  static constexpr std::array<const char*, 6> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string HumanSeconds(double seconds) {
  if (!(seconds > 0)) seconds = 0;
  if (seconds < 59.95) return absl::StrFormat("%.1f s", seconds);
  const auto whole = static_cast<int64_t>(std::min(seconds, 1e12));
  if (whole < 3600) return absl::StrFormat("%d min %02d s", whole / 60, whole % 60);
  if (whole < 86400) return absl::StrFormat("%d h %02d min", whole / 3600, whole / 60 % 60);
  return absl::StrFormat("%d d %d h", whole / 86400, whole / 3600 % 24);
}

std::string HumanMicroseconds(uint64_t value) {
  if (value < 1000) return absl::StrCat(value, " us");
  if (value < 999'950) return absl::StrFormat("%.1f ms", static_cast<double>(value) / 1e3);
  return HumanSeconds(static_cast<double>(value) / 1e6);
}

std::string Printable(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F, the control characters of ISO 6429, are C2 80 to C2 9F in UTF-8.
    const bool c1 = c == 0xC2 && i + 1 < text.size() &&
                    (static_cast<unsigned char>(text[i + 1]) & 0xE0) == 0x80;
    if (c1) ++i;
    out += c1 || c < 0x20 || c == 0x7F ? '?' : static_cast<char>(c);
  }
  return out;
}

std::string Wrap(absl::string_view text, size_t indent, size_t columns) {
  std::string out(indent, ' ');
  size_t used = indent;
  bool first = true;
  for (const absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const size_t width = Width(word);
    if (!first && columns != 0 && used + 1 + width > columns) {
      absl::StrAppend(&out, "\n", std::string(indent + 2, ' '));
      used = indent + 2;
      first = true;
    }
    absl::StrAppend(&out, first ? "" : " ", word);
    used += width + (first ? 0 : 1);
    first = false;
  }
  return out + "\n";
}

std::vector<size_t> Table::Widths() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Width(columns_[i].name);
    for (const auto& row : rows_) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  return widths;
}

std::string Table::Line(const std::vector<std::string>& cells, const std::vector<size_t>& widths,
                        size_t indent) const {
  std::string line(indent, ' ');
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string pad(widths[i] - Width(cells[i]), ' ');
    absl::StrAppend(&line, i == 0 ? "" : std::string(kGap, ' '), columns_[i].number ? pad : "",
                    cells[i], columns_[i].number ? "" : pad);
  }
  return std::string(absl::StripTrailingAsciiWhitespace(line)) + "\n";
}

std::string Table::Flow(const std::vector<std::string>& cells, size_t indent,
                        size_t columns) const {
  std::string text;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].empty()) continue;
    absl::StrAppend(&text, text.empty() ? "" : ", ", absl::AsciiStrToLower(columns_[i].name), " ",
                    cells[i]);
  }
  return Wrap(text, indent, columns);
}

std::string Table::Format(size_t indent, size_t columns) const {
  if (rows_.empty()) return "";
  const std::vector<size_t> widths = Widths();
  size_t total = indent + kGap * (widths.size() - 1);
  for (const size_t width : widths) total += width;
  const bool fits = columns == 0 || total <= columns;
  std::string out;
  if (fits) {
    std::vector<std::string> names;
    names.reserve(columns_.size());
    for (const Column& column : columns_) names.push_back(column.name);
    out += Line(names, widths, indent);
  }
  for (const auto& row : rows_)
    out += fits ? Line(row, widths, indent) : Flow(row, indent, columns);
  return out;
}

}  // namespace mptcptls::command
