#pragma once

#include "hdap/fleet/fleet.hpp"

#include <cstdint>
#include <filesystem>
#include <istream>
#include <optional>
#include <string>
#include <vector>

namespace hdap::fleet {

/// How many lines of a file may be left out because they cannot be used.
struct UnusableLimit {
    double share = 0.01;               ///< of all lines, 0 to 1; without `lines`
    std::optional<std::int64_t> lines; ///< so many, whatever the file's size

    /// The number of lines of a file of `all`.
    [[nodiscard]] std::int64_t of(std::int64_t all) const;
};

/// "37" or "2.5%" as a limit. Throws UsageError for anything else.
UnusableLimit parse_unusable_limit(const std::string& text);

/// What to take from a CSV file.
struct CsvSelection {
    /// The benchmarks to read, in this order; others are ignored. Empty: all in the file, in the
    /// order of their first lines.
    std::vector<std::string> benchmarks;
    UnusableLimit unusable; ///< more than so many lines that cannot be used are an error
};

/// Lines of one file that cannot be used for one reason.
struct UnusableLines {
    std::string reason;
    std::int64_t count = 0;
    std::vector<std::int64_t> first_lines{}; ///< the numbers of the first few of them
};

/// What an import left out, and what is odd about the file.
struct CsvImportReport {
    std::int64_t rows = 0;                     ///< measurements used
    std::int64_t missing_latencies = 0;        ///< of a device on a benchmark: no measurement
    std::int64_t dropped_devices = 0;          ///< devices of which no line can be used
    std::vector<std::string> dropped_examples; ///< the first few of them
    std::vector<UnusableLines> unusable;       ///< lines left out, by reason
    std::int64_t unusable_lines = 0;           ///< all of them
    std::string unusable_text;                 ///< the same in words
    std::vector<std::string> remarks;          ///< how the file was read, as sentences for the user
    std::vector<std::string> doubts;           ///< what is odd about it
};

/// Reads measurements in comma-separated form. The first line names the columns; device_id,
/// benchmark, run and latency_ms must be there, in any order, case and with blanks around them;
/// others are ignored. Semicolons, tabs or bars may stand for the commas, and behind semicolons a
/// comma for the decimal point. Fields may be quoted as in RFC 4180, but not contain line breaks.
/// Blank lines are skipped, blanks around a field dropped.
/// A device's latency on a benchmark is the median over its runs, not a number without any; a
/// remark counts these and names the benchmark of fewest devices. Devices keep the order of their
/// first lines.
///
/// Lines that cannot be used are left out up to `selection.unusable`: too few or too many fields,
/// no number, a latency out of range, no name, a repeated (device, benchmark, run), of which the
/// first line stays. Beyond it a DataError counts them by reason, with their first lines. DataError
/// also when a column is missing, when the text is in another encoding or no text, when a selected
/// benchmark is not in the file, when all lines are of one device whose name a spreadsheet made of
/// a long number ("3.56938E+14"), and when of more than a million latencies 99 % are missing.
/// Complexity: O(rows log rows) time, O(rows) memory whatever the file holds.
Fleet parse_csv(std::istream& input, const std::string& name, const std::string& sku,
                const CsvSelection& selection = {}, CsvImportReport* report = nullptr);

/// parse_csv on a file. Throws DataError also when the file cannot be read.
Fleet import_csv(const std::filesystem::path& path, const std::string& sku,
                 const CsvSelection& selection = {}, CsvImportReport* report = nullptr);

} // namespace hdap::fleet
