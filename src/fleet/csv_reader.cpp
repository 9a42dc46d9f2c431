#include "fleet/csv_reader.hpp"

#include "fleet/telemetry/column_names.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/fleet.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace hdap::fleet {
namespace {

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

/// Blanks of Unicode, beside those of ASCII, as UTF-8: no-break spaces, those of various widths,
/// the byte order mark.
constexpr std::string_view wide_blanks[] = {
    "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83",
    "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89",
    "\xE2\x80\x8A", "\xE2\x80\x8B", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};

bool is_ascii(char c) {
    return static_cast<unsigned char>(c) < 0x80U;
}

/// Bytes of the blank that `text` starts (ends) with; 0 for none.
std::size_t leading_blank(std::string_view text) {
    if (text.empty() || is_ascii(text.front()))
        return text.starts_with(' ') || text.starts_with('\t') ? 1 : 0;
    for (const std::string_view blank : wide_blanks)
        if (text.starts_with(blank)) return blank.size();
    return 0;
}
std::size_t trailing_blank(std::string_view text) {
    if (text.empty() || is_ascii(text.back()))
        return text.ends_with(' ') || text.ends_with('\t') ? 1 : 0;
    for (const std::string_view blank : wide_blanks)
        if (text.ends_with(blank)) return blank.size();
    return 0;
}

/// Files that are taken for CSV, by what they begin with.
struct OtherFile {
    std::string_view beginning;
    const char* what;
};
constexpr const char* utf16 =
    "is text in UTF-16; save it as \"CSV UTF-8\", or convert it with iconv -f UTF-16 -t UTF-8";
constexpr OtherFile other_files[] = {
    {"\xFF\xFE", utf16},
    {"\xFE\xFF", utf16},
    {"PK\x03\x04", "is a zip archive, perhaps a spreadsheet; save its table as CSV"},
    {"\x1F\x8B", "is compressed with gzip; unpack it"},
    {"\x89HDF", "is an HDF5 file, expected CSV"},
    {"PAR1", "is a Parquet file, expected CSV"},
    {"{", "begins like JSON, expected CSV"},
    {"[", "begins like JSON, expected CSV"},
};

/// The separator that is most frequent outside quotes; a comma when in doubt.
char separator_of(std::string_view header) {
    constexpr std::string_view separators = ",;\t|";
    std::size_t counts[separators.size()] = {};
    bool quoted = false;
    for (const char c : header) {
        if (c == '"') quoted = !quoted;
        const std::size_t i = separators.find(c);
        if (!quoted && i != std::string_view::npos) ++counts[i];
    }
    return separators[static_cast<std::size_t>(
        std::max_element(std::begin(counts), std::end(counts)) - std::begin(counts))];
}

const char* name_of_separator(char separator) {
    switch (separator) {
    case ';':
        return "semicolons";
    case '\t':
        return "tabs";
    case '|':
        return "bars";
    default:
        return "commas";
    }
}

} // namespace

CsvReader::CsvReader(std::istream& input, std::string name, std::string expected)
    : input_(input, name), name_(std::move(name)), expected_(std::move(expected)) {
    if (!next_line(header_))
        throw core::DataError(name_ + ": the file is empty; expected a line of column names");
    const std::string other = other_kind_of(header_);
    if (!other.empty()) throw core::DataError(fmt::format("{}: {}", name_, other));
    // Spreadsheets put a byte order mark in front.
    if (header_.starts_with("\xEF\xBB\xBF")) header_.erase(0, 3);
    while (header_.starts_with('#')) {
        ++comment_lines_;
        if (!next_line(header_)) fail("no line of column names");
    }
    // And some tell the others how they separate.
    if (header_.size() == 5 && in_lower_case(header_).starts_with("sep=") && !next_line(header_))
        fail("no line of column names");
    separator_ = separator_of(header_);
    try {
        split(header_, columns_);
    } catch (const BadLine& bad) {
        fail(bad.what());
    }
    for (std::string& column : columns_)
        column = trimmed(column);
}

std::optional<std::size_t> CsvReader::find(const std::string& name) const {
    const bool as_it_is = std::find(columns_.begin(), columns_.end(), name) != columns_.end();
    const auto is_it = [&](const std::string& column) {
        return as_it_is ? column == name : in_lower_case(column) == in_lower_case(name);
    };
    const auto found = std::find_if(columns_.begin(), columns_.end(), is_it);
    if (found == columns_.end()) return std::nullopt;
    if (std::find_if(found + 1, columns_.end(), is_it) != columns_.end())
        fail("two columns " + shown(name));
    return static_cast<std::size_t>(found - columns_.begin());
}

std::size_t CsvReader::column(const std::string& name) const {
    const auto found = find(name);
    if (!found)
        fail(fmt::format("no column {} in the header {}, read with {} between the columns; "
                         "expected {}{}",
                         shown(name), shown(header_), name_of_separator(separator_), expected_,
                         hint_for(name)));
    return *found;
}

/// What may have been meant where a column is missing.
std::string CsvReader::hint_for(const std::string& missing) const {
    const bool has_number = std::any_of(columns_.begin(), columns_.end(), [](const auto& column) {
        return number_of<double>(column).has_value();
    });
    if (has_number) return "; is the line of column names missing?";
    return core::did_you_mean(missing, columns_);
}

void CsvReader::read_lines(BadLines& bad,
                           const std::function<void(std::span<const std::string>)>& use) {
    std::string line;
    std::vector<std::string> fields;
    while (next_line(line)) {
        ++lines_;
        try {
            next_fields(line, fields);
            use(fields);
        } catch (const BadLine& error) {
            bad.add(input_.line(), error);
        }
    }
}

void CsvReader::next_fields(const std::string& line, std::vector<std::string>& fields) {
    if (line.find('\0') != std::string::npos)
        throw BadLine("zero bytes", "the line holds zero bytes");
    split(line, fields);
    if (fields.size() != columns_.size())
        throw BadLine(fields.size() < columns_.size() ? "too few fields" : "too many fields",
                      fmt::format("{}, the header has {}{}", core::counted(fields.size(), "field"),
                                  core::grouped(columns_.size()),
                                  fields.size() > columns_.size() && separator_ == ','
                                      ? " (a decimal comma is taken for a separator: write a point)"
                                      : ""));
    trim(fields);
    if (fields == columns_)
        throw BadLine("the line of column names again", "the line of column names again");
}

void CsvReader::trim(std::vector<std::string>& fields) {
    bool changed = false;
    for (std::string& field : fields) {
        const std::string_view inner = trimmed(field);
        if (inner.size() == field.size()) continue;
        changed = true;
        field = std::string(inner);
    }
    if (changed && trimmed_lines_++ == 0) first_trimmed_ = line();
}

std::vector<std::string> CsvReader::remarks() const {
    std::vector<std::string> remarks;
    if (separator_ != ',')
        remarks.push_back(fmt::format("{}: read with {} between the columns{}", name_,
                                      name_of_separator(separator_),
                                      decimal_mark_ == ',' ? " and decimal commas" : ""));
    if (comment_lines_ > 0)
        remarks.push_back(fmt::format(
            "{}: {} before the names of the columns left out", name_,
            core::counted(comment_lines_, "line that begins with #", "lines that begin with #")));
    if (trimmed_lines_ > 0)
        remarks.push_back(fmt::format("{}: blanks around fields were dropped in {}, the first of "
                                      "them line {}",
                                      name_, core::counted(trimmed_lines_, "line"),
                                      first_trimmed_));
    return remarks;
}

void CsvReader::fail(const std::string& message) const {
    throw core::DataError(fmt::format("{}:{}: {}", name_, line(), message));
}

std::int64_t CsvReader::integer(const std::string& field, std::string_view column) const {
    const auto value = number_of<std::int64_t>(field);
    if (!value)
        throw BadLine(fmt::format("{} is no integer", column),
                      fmt::format("{} is {}, expected a whole number", column, shown(field)));
    return *value;
}

double CsvReader::number(const std::string& field, std::string_view column) {
    if (field.empty())
        throw BadLine(fmt::format("{} is empty", column),
                      fmt::format("{} is '', expected a number", column));
    const std::size_t mark = field.find_first_of(",.");
    const char its_mark = mark == std::string::npos ? decimal_mark_ : field[mark];
    // One mark for the file: with decimal commas, the point of 1.234 separates thousands.
    if ((decimal_mark_ != '\0' && its_mark != decimal_mark_) ||
        (its_mark == ',' && separator_ != ';'))
        throw BadLine(
            fmt::format("{} has another decimal mark", column),
            fmt::format("{} is {}, expected a number with a decimal point", column, shown(field)));
    std::string number = field;
    if (mark != std::string::npos) number[mark] = '.';
    const auto value = number_of<double>(number);
    if (!value)
        throw BadLine(fmt::format("{} is no number", column),
                      fmt::format("{} is {}, expected a number", column, shown(field)));
    decimal_mark_ = its_mark;
    return *value;
}

double CsvReader::latency_ms(const std::string& field, std::string_view column, LatencyUnit unit) {
    return checked_latency_ms(number(field, column), unit, column);
}

const std::string& CsvReader::name(const std::string& field, std::string_view column) const {
    if (!is_name(field))
        throw BadLine(
            fmt::format("{} is no name", column),
            fmt::format("{} is {}, expected 1 to 256 printable bytes", column, shown(field)));
    return field;
}

bool CsvReader::next_line(std::string& line) {
    while (input_.next(line))
        if (line.find_first_not_of(" \t") != std::string::npos) return true;
    return false;
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
    throw BadLine("a quote does not end", "a quoted field does not end in its line");
}

void CsvReader::split(const std::string& line, std::vector<std::string>& fields) const {
    fields.clear();
    std::size_t at = 0;
    for (;;) {
        if (at < line.size() && line[at] == '"') {
            fields.push_back(quoted_field(line, at));
            // Blanks behind the quote are none of the field.
            at = std::min(line.find_first_not_of(' ', at), line.size());
            if (at < line.size() && line[at] != separator_)
                throw BadLine("text after a quoted field",
                              "text after the quoted field " + shown(fields.back()));
        } else {
            const std::size_t end = std::min(line.find(separator_, at), line.size());
            fields.push_back(line.substr(at, end - at));
            at = end;
        }
        if (at == line.size()) return;
        ++at;
    }
}

std::string other_kind_of(std::string_view beginning) {
    for (const OtherFile& other : other_files)
        if (beginning.starts_with(other.beginning)) return other.what;
    const std::string_view line = beginning.substr(0, beginning.find('\n'));
    if (line.find('\0') == std::string_view::npos) return "";
    // Text in UTF-16 without a mark has a zero beside each of its letters.
    const auto zeros = static_cast<std::size_t>(std::count(line.begin(), line.end(), '\0'));
    const bool every_other = 2 * zeros + 2 >= line.size();
    return every_other ? utf16 : "holds zero bytes; is this a CSV file?";
}

std::ifstream open_csv(const std::filesystem::path& path) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        throw core::DataError(path.string() + ": is a folder, expected a CSV file");
    std::ifstream input(path, std::ios::binary);
    if (!input) throw core::DataError(path.string() + ": cannot be opened for reading");
    return input;
}

std::string_view trimmed(std::string_view text) {
    while (const std::size_t bytes = leading_blank(text))
        text.remove_prefix(bytes);
    while (const std::size_t bytes = trailing_blank(text))
        text.remove_suffix(bytes);
    return text;
}

double checked_latency_ms(double value, LatencyUnit unit, std::string_view what) {
    const double latency_ms = in_ms(value, unit);
    // Written so that NaN fails too.
    if (!(latency_ms >= smallest_latency_ms && latency_ms <= largest_latency_ms))
        throw BadLine(fmt::format("{} is not positive, or out of range", what),
                      fmt::format("{} is {}, expected a positive number, in {}", what,
                                  core::shortest(value), name_of(unit)));
    return latency_ms;
}

std::optional<double> plain_number(const std::string& text) {
    return number_of<double>(text);
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
