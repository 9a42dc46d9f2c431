#pragma once

#include "fleet/bad_lines.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "hdap/fleet/latency_unit.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <istream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hdap::fleet {

/// Reads comma-separated values whose first line names the columns. Semicolons, tabs or bars may
/// stand for the commas: what is most frequent in the first line. Fields may be quoted as in RFC
/// 4180, but not contain line breaks; blanks around them are dropped. Blank lines are skipped, and
/// before the first line those that begin with #.
/// Errors are DataErrors that begin with "name:line: " where they are about a line; those of one of
/// many lines, BadLine without it.
class CsvReader {
  public:
    /// Reads the header. `expected` is told where there is none: "device_id,latency_ms".
    CsvReader(std::istream& input, std::string name, std::string expected);

    [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }

    /// The place of a column, whatever the case of its letters. Throws when it is missing or there
    /// twice; `find` only when twice.
    std::size_t column(const std::string& name) const;
    [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const;

    /// Gives the fields of all lines, as many as there are columns, to `use`. Lines that are no
    /// such list, and those for which `use` throws BadLine, go to `bad`.
    void read_lines(BadLines& bad, const std::function<void(std::span<const std::string>)>& use);

    /// The line read last, from 1 on.
    [[nodiscard]] std::int64_t line() const noexcept { return input_.line(); }
    /// Lines read behind the header, without blank ones.
    [[nodiscard]] std::int64_t lines() const noexcept { return lines_; }
    [[noreturn]] void fail(const std::string& message) const;

    /// The field as a number. `column` stands in the message.
    [[nodiscard]] std::int64_t integer(const std::string& field, std::string_view column) const;
    /// The field as a latency that a fleet may hold, in ms.
    [[nodiscard]] double latency_ms(const std::string& field, std::string_view column,
                                    LatencyUnit unit);
    /// The field, which must be a name by is_name.
    const std::string& name(const std::string& field, std::string_view column) const;

    /// What a user should know about how the file was read: separator, decimal commas, blanks.
    [[nodiscard]] std::vector<std::string> remarks() const;

  private:
    bool next_line(std::string& line);
    void next_fields(const std::string& line, std::vector<std::string>& fields);
    void split(const std::string& line, std::vector<std::string>& fields) const;
    std::string quoted_field(const std::string& line, std::size_t& at) const;
    void trim(std::vector<std::string>& fields);
    double number(const std::string& field, std::string_view column);
    [[nodiscard]] std::string hint_for(const std::string& missing) const;

    LineReader input_;
    std::string name_;
    std::string expected_;
    char separator_ = ',';
    char decimal_mark_ = '\0'; ///< of the first latency that has one
    std::int64_t lines_ = 0;
    std::int64_t comment_lines_ = 0;
    std::int64_t trimmed_lines_ = 0;
    std::int64_t first_trimmed_ = 0;
    std::string header_;
    std::vector<std::string> columns_;
};

/// Opens a CSV file. Throws DataError when it cannot be read.
std::ifstream open_csv(const std::filesystem::path& path);

/// What a file that begins so is, and what to do with it, when it is no CSV: "is compressed with
/// gzip; unpack it". Empty for what may be CSV.
std::string other_kind_of(std::string_view beginning);

/// The text in quotes, cut and without control characters, so that a binary file cannot spoil the
/// terminal.
std::string shown(std::string_view text);

/// `text` without the blanks around it, those of Unicode among them (a no-break space, a byte order
/// mark).
std::string_view trimmed(std::string_view text);

/// `value`, in `unit`, as a latency that a fleet may hold, in ms. Throws BadLine, which names
/// `what`, for one that is not.
double checked_latency_ms(double value, LatencyUnit unit, std::string_view what);

/// The number that is the whole text, with a decimal point; nothing for other text.
std::optional<double> plain_number(const std::string& text);

/// Numbers names in the order in which they come.
class NameTable {
  public:
    std::uint32_t number(const std::string& name);
    [[nodiscard]] bool contains(const std::string& name) const { return numbers_.contains(name); }
    [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

  private:
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::vector<std::string> names_;
};

} // namespace hdap::fleet
