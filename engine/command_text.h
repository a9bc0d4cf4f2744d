// Text for people: amounts with units, words wrapped to a terminal's width, tables.
#ifndef MPTCPTLS_ENGINE_COMMAND_TEXT_H_
#define MPTCPTLS_ENGINE_COMMAND_TEXT_H_

#include <absl/strings/string_view.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace mptcptls::command {

std::string HumanBytes(uint64_t bytes);         // 17 B, 1.2 KiB, 64.0 MiB
std::string HumanSeconds(double seconds);       // 1.2 s, 2 min 03 s, 1 h 02 min, 3 d 4 h
std::string HumanMicroseconds(uint64_t value);  // 80 us, 12.3 ms, 1.2 s

// Without control characters: a program's name is what its user chose, escape sequences included.
std::string Printable(absl::string_view text);

// Lines of at most `columns` characters (0: one line), the first indented by `indent`, the others
// by two more. A word that is too long for a line is not cut.
std::string Wrap(absl::string_view text, size_t indent, size_t columns);

class Table {
 public:
  struct Column {
    std::string name;
    bool number = false;  // aligned right
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns.
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // Nothing without rows. Where a row does not fit `columns` (0: everything fits), its cells are
  // named and wrapped instead of aligned.
  std::string Format(size_t indent, size_t columns) const;

 private:
  std::vector<size_t> Widths() const;
  std::string Line(const std::vector<std::string>& cells, const std::vector<size_t>& widths,
                   size_t indent) const;
  std::string Flow(const std::vector<std::string>& cells, size_t indent, size_t columns) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace mptcptls::command

#endif  // MPTCPTLS_ENGINE_COMMAND_TEXT_H_
