#pragma once

#include "hdap/fleet/fleet.hpp"

#include <cstdint>
#include <filesystem>
#include <istream>
#include <string>
#include <vector>

namespace hdap::fleet {

/// What to take from a CSV file.
struct CsvSelection {
    /// The benchmarks to read, in this order; others are ignored. Empty: all in the file, in the
    /// order of their first lines.
    std::vector<std::string> benchmarks;
};

/// What an import left out.
struct CsvImportReport {
    std::int64_t rows = 0;            ///< measurements read, without those of ignored benchmarks
    std::int64_t dropped_devices = 0; ///< devices that lack at least one benchmark
    std::vector<std::string> dropped_examples; ///< the first few of them
};

/// Reads measurements in comma-separated form. The first line names the columns; device_id,
/// benchmark, run and latency_ms must be there, in any order; others are ignored. Fields may be
/// quoted as in RFC 4180, but not contain line breaks. Blank lines are skipped.
/// A device's latency on a benchmark is the median over its runs. Devices that lack a benchmark
/// are dropped. Devices keep the order of their first lines.
/// Throws DataError as "name:line: …" for a malformed line, a value out of range, a repeated
/// (device, benchmark, run); without a line when no device has all benchmarks, or a selected
/// benchmark is not in the file.
/// Complexity: O(rows log rows) time, O(rows) memory whatever the file holds.
Fleet parse_csv(std::istream& input, const std::string& name, const std::string& sku,
                const CsvSelection& selection = {}, CsvImportReport* report = nullptr);

/// parse_csv on a file. Throws DataError also when the file cannot be read.
Fleet import_csv(const std::filesystem::path& path, const std::string& sku,
                 const CsvSelection& selection = {}, CsvImportReport* report = nullptr);

} // namespace hdap::fleet
