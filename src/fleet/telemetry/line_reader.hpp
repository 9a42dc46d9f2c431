#pragma once

#include <cstddef>
#include <cstdint>
#include <istream>
#include <string>
#include <string_view>

namespace hdap::fleet {

/// Reads text line by line, in memory that the longest line allowed bounds. Lines end with a line
/// feed, a carriage return, or both.
class LineReader {
  public:
    static constexpr std::size_t usual_longest = 65'536;

    /// `name` stands for the file in messages.
    LineReader(std::istream& input, std::string name, std::size_t longest = usual_longest)
        : bytes_(*input.rdbuf()), name_(std::move(name)), longest_(longest) {}

    /// The next line, without its end; false when there is none. Throws DataError, which begins
    /// with "name:line: ", for one that is longer than allowed.
    bool next(std::string& line);

    [[nodiscard]] std::int64_t line() const noexcept { return line_; } ///< read last, from 1 on
    /// Whether the line read last had an end. One without was perhaps cut.
    [[nodiscard]] bool has_end() const noexcept { return has_end_; }

  private:
    std::streambuf& bytes_;
    std::string name_;
    std::size_t longest_;
    std::int64_t line_ = 0;
    bool has_end_ = false;
};

/// `line` without what follows its last blank: of a line without an end the last word may be cut.
std::string_view without_last_word(std::string_view line);

} // namespace hdap::fleet
