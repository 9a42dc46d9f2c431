#include "hdap/fleet/import_csv.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <limits>
#include <set>
#include <span>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

namespace hdap::fleet {

namespace {

constexpr std::size_t longest_line = 65536;
constexpr std::size_t longest_shown = 60;
constexpr std::size_t dropped_shown = 5;

/// The text in quotes, cut and without control characters, so that a binary file cannot spoil the
/// terminal.
std::string shown(std::string_view text) {
    return "'" + core::shortened(core::printable(text), longest_shown) + "'";
}

/// Reads lines, counts them, and refuses endless ones.
class LineReader {
  public:
    LineReader(std::istream& input, const std::string& name) : input_(input), name_(name) {}

    /// The next line that is not blank, without its end; false at the end of the file.
    bool next(std::string& line) {
        while (read(line))
            if (line.find_first_not_of(" \t") != std::string::npos) return true;
        return false;
    }

    [[nodiscard]] std::int64_t number() const noexcept { return number_; }

    [[noreturn]] void fail(const std::string& message) const {
        throw core::DataError(name_ + ":" + std::to_string(number_) + ": " + message);
    }

  private:
    bool read(std::string& line) {
        line.clear();
        std::streambuf& bytes = *input_.rdbuf();
        using Traits = std::streambuf::traits_type;
        Traits::int_type c = bytes.sbumpc();
        if (Traits::eq_int_type(c, Traits::eof())) return false;
        ++number_;
        for (; !Traits::eq_int_type(c, Traits::eof()); c = bytes.sbumpc()) {
            const char byte = Traits::to_char_type(c);
            if (byte == '\n') break;
            if (line.size() == longest_line)
                fail("the line is longer than 65536 bytes; is this a CSV file?");
            line += byte;
        }
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return true;
    }

    std::istream& input_;
    const std::string& name_;
    std::int64_t number_ = 0;
};

/// Parses the quoted field that starts at `at` (on the quote); leaves `at` behind it.
std::string quoted_field(const std::string& line, std::size_t& at, const LineReader& lines) {
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
    lines.fail("a quoted field does not end in its line");
}

void split_fields(const std::string& line, const LineReader& lines,
                  std::vector<std::string>& fields) {
    fields.clear();
    std::size_t at = 0;
    for (;;) {
        if (at < line.size() && line[at] == '"') {
            fields.push_back(quoted_field(line, at, lines));
            if (at < line.size() && line[at] != ',')
                lines.fail("text after the quoted field " + shown(fields.back()));
        } else {
            const std::size_t end = std::min(line.find(',', at), line.size());
            fields.push_back(line.substr(at, end - at));
            at = end;
        }
        if (at == line.size()) return;
        ++at;
    }
}

enum Column : std::size_t { device_column, benchmark_column, run_column, latency_column };
constexpr std::array<const char*, 4> column_names{"device_id", "benchmark", "run", "latency_ms"};

/// Where the four columns are, and how many there are in all.
struct Header {
    std::array<std::size_t, column_names.size()> position{};
    std::size_t columns = 0;
};

Header parse_header(LineReader& lines) {
    std::string line;
    if (!lines.next(line)) lines.fail("the file is empty; expected a line of column names");
    // Spreadsheets put a byte order mark in front.
    if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    std::vector<std::string> fields;
    split_fields(line, lines, fields);
    Header header;
    header.columns = fields.size();
    for (std::size_t c = 0; c < column_names.size(); ++c) {
        const auto found = std::find(fields.begin(), fields.end(), column_names[c]);
        if (found == fields.end())
            lines.fail("no column '" + std::string(column_names[c]) + "' in the header " +
                       shown(line) + "; expected device_id,benchmark,run,latency_ms");
        if (std::find(found + 1, fields.end(), column_names[c]) != fields.end())
            lines.fail("two columns '" + std::string(column_names[c]) + "'");
        header.position[c] = static_cast<std::size_t>(found - fields.begin());
    }
    return header;
}

template <class T>
T parse_number(const std::string& text, const char* column, const LineReader& lines) {
    T value{};
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || text.empty())
        lines.fail(std::string(column) + " is " + shown(text) + ", expected a number");
    return value;
}

/// Numbers names in the order in which they come.
class NameTable {
  public:
    std::uint32_t number(const std::string& name) {
        const auto [entry, is_new] =
            numbers_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
        if (is_new) names_.push_back(name);
        return entry->second;
    }
    [[nodiscard]] bool contains(const std::string& name) const { return numbers_.contains(name); }
    [[nodiscard]] const std::vector<std::string>& names() const noexcept { return names_; }

  private:
    std::unordered_map<std::string, std::uint32_t> numbers_;
    std::vector<std::string> names_;
};

struct Measurement {
    std::uint32_t device = 0;
    std::uint32_t benchmark = 0;
    std::int64_t run = 0;
    double latency_ms = 0.0;
    std::int64_t line = 0;
};

struct Measurements {
    NameTable devices;
    NameTable benchmarks;
    std::vector<Measurement> rows;
};

/// What a name must be is checked here already, so that the message can tell the line.
const std::string& checked_name(const std::string& text, const char* column,
                                const LineReader& lines) {
    if (!is_name(text))
        lines.fail(std::string(column) + " is " + shown(text) +
                   ", expected 1 to 256 printable bytes");
    return text;
}

Measurement parse_row(const std::vector<std::string>& fields, const Header& header,
                      const LineReader& lines, Measurements& all) {
    Measurement row;
    row.line = lines.number();
    row.device = all.devices.number(
        checked_name(fields[header.position[device_column]], "device_id", lines));
    row.benchmark = all.benchmarks.number(
        checked_name(fields[header.position[benchmark_column]], "benchmark", lines));
    row.run = parse_number<std::int64_t>(fields[header.position[run_column]], "run", lines);
    const std::string& latency = fields[header.position[latency_column]];
    row.latency_ms = parse_number<double>(latency, "latency_ms", lines);
    if (!(row.latency_ms >= smallest_latency_ms && row.latency_ms <= largest_latency_ms))
        lines.fail("latency_ms is " + shown(latency) +
                   ", expected a positive number, in milliseconds");
    return row;
}

Measurements read_measurements(std::istream& input, const std::string& name,
                               const CsvSelection& selection) {
    LineReader lines(input, name);
    const Header header = parse_header(lines);
    Measurements all;
    // Selected benchmarks get the first numbers, in the order asked for.
    for (const std::string& benchmark : selection.benchmarks)
        all.benchmarks.number(benchmark);
    NameTable ignored;
    std::string line;
    std::vector<std::string> fields;
    while (lines.next(line)) {
        split_fields(line, lines, fields);
        if (fields.size() != header.columns)
            lines.fail(std::to_string(fields.size()) + " fields, the header has " +
                       std::to_string(header.columns));
        const std::string& benchmark = fields[header.position[benchmark_column]];
        const bool wanted = selection.benchmarks.empty() || all.benchmarks.contains(benchmark);
        if (wanted) all.rows.push_back(parse_row(fields, header, lines, all));
        constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
        if (all.devices.names().size() > most || all.benchmarks.names().size() > most)
            lines.fail("more than 2147483647 devices or benchmarks");
    }
    return all;
}

/// Sorts by device, benchmark and run. Throws when a run occurs twice.
void sort_rows(Measurements& all, const std::string& name) {
    const auto key = [](const Measurement& row) {
        return std::tuple(row.device, row.benchmark, row.run, row.line);
    };
    std::sort(all.rows.begin(), all.rows.end(),
              [&](const Measurement& a, const Measurement& b) { return key(a) < key(b); });
    const auto twin = std::adjacent_find(
        all.rows.begin(), all.rows.end(), [](const Measurement& a, const Measurement& b) {
            return a.device == b.device && a.benchmark == b.benchmark && a.run == b.run;
        });
    if (twin == all.rows.end()) return;
    throw core::DataError(name + ":" + std::to_string((twin + 1)->line) + ": run " +
                          std::to_string(twin->run) + " of device " +
                          shown(all.devices.names()[twin->device]) + " on " +
                          shown(all.benchmarks.names()[twin->benchmark]) + " is in line " +
                          std::to_string(twin->line) + " already");
}

double median_latency_ms(std::span<const Measurement> runs) {
    std::vector<double> values;
    values.reserve(runs.size());
    for (const Measurement& run : runs)
        values.push_back(run.latency_ms);
    return core::median(std::move(values));
}

/// The medians of one device's rows, one per benchmark that it has.
std::vector<double> device_medians(std::span<const Measurement> rows) {
    std::vector<double> medians;
    for (std::size_t first = 0; first < rows.size();) {
        std::size_t last = first + 1;
        while (last < rows.size() && rows[last].benchmark == rows[first].benchmark)
            ++last;
        medians.push_back(median_latency_ms(rows.subspan(first, last - first)));
        first = last;
    }
    return medians;
}

Fleet build_fleet(const Measurements& all, CsvImportReport& report) {
    Fleet fleet;
    fleet.benchmark_names = all.benchmarks.names();
    const std::span<const Measurement> rows = all.rows;
    for (std::size_t first = 0; first < rows.size();) {
        std::size_t last = first + 1;
        while (last < rows.size() && rows[last].device == rows[first].device)
            ++last;
        const std::vector<double> medians = device_medians(rows.subspan(first, last - first));
        const std::string& device = all.devices.names()[rows[first].device];
        if (medians.size() == fleet.benchmarks()) {
            fleet.device_ids.push_back(device);
            fleet.latency_ms.insert(fleet.latency_ms.end(), medians.begin(), medians.end());
        } else {
            ++report.dropped_devices;
            if (report.dropped_examples.size() < dropped_shown)
                report.dropped_examples.push_back(device);
        }
        first = last;
    }
    return fleet;
}

/// Throws unless every selected benchmark was measured at least once.
void check_selection(const Measurements& all, const CsvSelection& selection,
                     const std::string& name) {
    std::set<std::string> names;
    for (const std::string& benchmark : selection.benchmarks)
        if (!names.insert(benchmark).second)
            throw core::UsageError("benchmark " + shown(benchmark) + " is selected twice");
    std::vector<bool> measured(all.benchmarks.names().size(), false);
    for (const Measurement& row : all.rows)
        measured[row.benchmark] = true;
    for (std::size_t b = 0; b < selection.benchmarks.size(); ++b) {
        if (!measured[b])
            throw core::DataError(name + ": no measurement of benchmark " +
                                  shown(selection.benchmarks[b]));
    }
}

} // namespace

Fleet parse_csv(std::istream& input, const std::string& name, const std::string& sku,
                const CsvSelection& selection, CsvImportReport* report) {
    Measurements all = read_measurements(input, name, selection);
    if (all.rows.empty()) throw core::DataError(name + ": no measurements");
    check_selection(all, selection, name);
    sort_rows(all, name);
    CsvImportReport outcome;
    outcome.rows = static_cast<std::int64_t>(all.rows.size());
    Fleet fleet = build_fleet(all, outcome);
    fleet.sku = sku;
    if (fleet.devices() == 0)
        throw core::DataError(name + ": none of the " + std::to_string(outcome.dropped_devices) +
                              " devices has measurements of all " +
                              std::to_string(fleet.benchmarks()) +
                              " benchmarks; select fewer benchmarks");
    check_fleet(fleet, name);
    if (report != nullptr) *report = outcome;
    return fleet;
}

Fleet import_csv(const std::filesystem::path& path, const std::string& sku,
                 const CsvSelection& selection, CsvImportReport* report) {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
        throw core::DataError(path.string() + ": is a folder, expected a CSV file");
    std::ifstream input(path, std::ios::binary);
    if (!input) throw core::DataError(path.string() + ": cannot be opened for reading");
    return parse_csv(input, path.string(), sku, selection, report);
}

} // namespace hdap::fleet
