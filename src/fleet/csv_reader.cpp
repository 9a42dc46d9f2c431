#include "fleet/csv_reader.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/fleet.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace hdap::fleet {
namespace {

constexpr std::size_t longest_line = 65536;
constexpr std::size_t longest_shown = 60;

/// The number that is the whole text, if it is one.
template <class T>
std::optional<T> number_of(const std::string& text) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
    return value;
}

} // namespace

CsvReader::CsvReader(std::istream& input, std::string name, std::string expected)
    : input_(input), name_(std::move(name)), expected_(std::move(expected)) {
    if (!next_line(header_)) fail("the file is empty; expected a line of column names");
    // Spreadsheets put a byte order mark in front.
    if (header_.starts_with("\xEF\xBB\xBF")) header_.erase(0, 3);
    split(header_, columns_);
}

std::optional<std::size_t> CsvReader::find(const std::string& name) const {
    const auto found = std::find(columns_.begin(), columns_.end(), name);
    if (found == columns_.end()) return std::nullopt;
    if (std::find(found + 1, columns_.end(), name) != columns_.end())
        fail("two columns " + shown(name));
    return static_cast<std::size_t>(found - columns_.begin());
}

std::size_t CsvReader::column(const std::string& name) const {
    const auto found = find(name);
    if (!found)
        fail(fmt::format("no column {} in the header {}; expected {}", shown(name), shown(header_),
                         expected_));
    return *found;
}

bool CsvReader::next(std::vector<std::string>& fields) {
    std::string line;
    if (!next_line(line)) return false;
    split(line, fields);
    if (fields.size() != columns_.size())
        fail(fmt::format("{} fields, the header has {}", fields.size(), columns_.size()));
    return true;
}

void CsvReader::fail(const std::string& message) const {
    throw core::DataError(fmt::format("{}:{}: {}", name_, line_, message));
}

std::int64_t CsvReader::integer(const std::string& field, std::string_view column) const {
    const auto value = number_of<std::int64_t>(field);
    if (!value) fail(fmt::format("{} is {}, expected a number", column, shown(field)));
    return *value;
}

double CsvReader::latency_ms(const std::string& field) const {
    const auto value = number_of<double>(field);
    if (!value) fail(fmt::format("latency_ms is {}, expected a number", shown(field)));
    // Written so that NaN fails too.
    if (!(*value >= smallest_latency_ms && *value <= largest_latency_ms))
        fail(fmt::format("latency_ms is {}, expected a positive number, in milliseconds",
                         shown(field)));
    return *value;
}

const std::string& CsvReader::name(const std::string& field, std::string_view column) const {
    if (!is_name(field))
        fail(fmt::format("{} is {}, expected 1 to 256 printable bytes", column, shown(field)));
    return field;
}

bool CsvReader::next_line(std::string& line) {
    while (read_line(line))
        if (line.find_first_not_of(" \t") != std::string::npos) return true;
    return false;
}

bool CsvReader::read_line(std::string& line) {
    line.clear();
    std::streambuf& bytes = *input_.rdbuf();
    using Traits = std::streambuf::traits_type;
    Traits::int_type c = bytes.sbumpc();
    if (Traits::eq_int_type(c, Traits::eof())) return false;
    ++line_;
    for (; !Traits::eq_int_type(c, Traits::eof()); c = bytes.sbumpc()) {
        const char byte = Traits::to_char_type(c);
        if (byte == '\n') break;
        if (line.size() == longest_line)
            fail(
                fmt::format("the line is longer than {} bytes; is this a CSV file?", longest_line));
        line += byte;
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return true;
}

/// Parses the quoted field that starts at `at` (on the quote); leaves `at` behind it.
std::string CsvReader::quoted_field(const std::string& line, std::size_t& at) const {
    std::string field;
    for (++at; at < line.size(); ++at) {
        if (line[at] != '"') {
            field += line[at];
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
            field += line[++at];
        } else {
            ++at;
            return field;
        }
    }
    fail("a quoted field does not end in its line");
}

void CsvReader::split(const std::string& line, std::vector<std::string>& fields) const {
    fields.clear();
    std::size_t at = 0;
    for (;;) {
        if (at < line.size() && line[at] == '"') {
            fields.push_back(quoted_field(line, at));
            if (at < line.size() && line[at] != ',')
                fail("text after the quoted field " + shown(fields.back()));
        } else {
            const std::size_t end = std::min(line.find(',', at), line.size());
            fields.push_back(line.substr(at, end - at));
            at = end;
        }
        if (at == line.size()) return;
        ++at;
    }
}

std::ifstream open_csv(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        throw core::DataError(path.string() + ": is a folder, expected a CSV file");
    std::ifstream input(path, std::ios::binary);
    if (!input) throw core::DataError(path.string() + ": cannot be opened for reading");
    return input;
}

std::string shown(std::string_view text) {
    return fmt::format("'{}'", core::shortened(core::printable(text), longest_shown));
}

std::uint32_t NameTable::number(const std::string& name) {
    const auto [entry, is_new] =
        numbers_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return entry->second;
}

} // namespace hdap::fleet
