#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hdap::fleet {

/// Reads comma-separated values whose first line names the columns. Fields may be quoted as in RFC
/// 4180, but not contain line breaks. Blank lines are skipped. Errors are DataErrors that begin
/// with "name:line: ".
class CsvReader {
  public:
    /// Reads the header. `expected` is told where there is none: "device_id,latency_ms".
    CsvReader(std::istream& input, std::string name, std::string expected);

    [[nodiscard]] const std::vector<std::string>& columns() const noexcept { return columns_; }

    /// The place of a column. Throws when it is missing or there twice; `find` only when twice.
    [[nodiscard]] std::size_t column(const std::string& name) const;
    [[nodiscard]] std::optional<std::size_t> find(const std::string& name) const;

    /// Reads the fields of the next line, as many as there are columns; false at the end.
    bool next(std::vector<std::string>& fields);

    [[nodiscard]] std::int64_t line() const noexcept { return line_; } ///< read last, from 1 on
    [[noreturn]] void fail(const std::string& message) const;

    /// The field as a number. `column` stands in the message.
    [[nodiscard]] std::int64_t integer(const std::string& field, std::string_view column) const;
    /// The field as a latency that a fleet may hold, in ms.
    [[nodiscard]] double latency_ms(const std::string& field) const;
    /// The field, which must be a name by is_name.
    [[nodiscard]] const std::string& name(const std::string& field, std::string_view column) const;

  private:
    bool read_line(std::string& line);
    bool next_line(std::string& line);
    void split(const std::string& line, std::vector<std::string>& fields) const;
    std::string quoted_field(const std::string& line, std::size_t& at) const;

    std::istream& input_;
    std::string name_;
    std::string expected_;
    std::int64_t line_ = 0;
    std::string header_;
    std::vector<std::string> columns_;
};

/// Opens a CSV file. Throws DataError when it cannot be read.
std::ifstream open_csv(const std::filesystem::path& path);

/// The text in quotes, cut and without control characters, so that a binary file cannot spoil the
/// terminal.
std::string shown(std::string_view text);

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
