#pragma once

#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/latency_unit.hpp"

#include <cstdint>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <vector>

namespace hdap::fleet {

/// How much of what is imported may be left out because it cannot be used: of the rows (lines of a
/// table, elements of a log), and of the files of several.
struct RejectLimit {
    double share = 0.01;              ///< 0 to 1; without `rows`
    std::optional<std::int64_t> rows; ///< so many, however many there are

    /// The number among `all`.
    [[nodiscard]] std::int64_t of(std::int64_t all) const;
};

/// "37" or "2.5%" as a limit. Throws UsageError for anything else.
RejectLimit parse_reject_limit(const std::string& text);

/// What is left out at the beginning of a log, where a format has such a rule.
struct WarmUp {
    std::optional<double> ms;         ///< inferences that began earlier
    std::optional<std::int64_t> runs; ///< so many inferences
};

/// "200ms", "2s" or "10" (inferences). Throws UsageError for anything else.
WarmUp parse_warm_up(const std::string& text);

/// What to import.
struct ImportRequest {
    /// A file, or a pattern for several: in it {device} and {benchmark} stand for any name, and
    /// name what the files do not tell, * for anything; none of them reaches over a slash.
    std::string source;
    /// Files, in the same way, of conditions alone; empty for none.
    std::string conditions{};
    std::string sku;
    std::string format = "auto";            ///< or one of telemetry_format_names()
    std::optional<LatencyUnit> unit{};      ///< where the file does not tell
    std::optional<std::string> device{};    ///< where neither file nor pattern tells
    std::optional<std::string> benchmark{}; ///< likewise
    std::vector<std::string> benchmarks{};  ///< only these, in this order; empty: all
    WarmUp warm_up{};                       ///< empty: as the format's rule has it
    std::string metric{};   ///< of Prometheus' text, the histogram or pair of counters to read
    RejectLimit rejected{}; ///< more than that is an error
    bool any_unit = false;  ///< devices or benchmarks that seem to be in another unit are no error
};

/// Rows that were left out for one reason.
struct RejectedRows {
    std::string reason;
    std::int64_t count = 0;
    std::vector<std::string> first_places{}; ///< "measurements.csv:17", the first few
};

/// What an import used, what it left out, and what is odd about it.
struct ImportReport {
    std::int64_t files = 0;
    std::int64_t runs = 0;              ///< inferences used
    std::int64_t rows = 0;              ///< rows read, used or not
    std::int64_t missing = 0;           ///< pairs of device and benchmark without a latency
    std::vector<RejectedRows> rejected; ///< by reason
    std::int64_t rejected_rows = 0;     ///< all of them
    std::string rejected_text;          ///< the same in words
    std::vector<std::string> remarks;   ///< how the files were read, as sentences for the user
    std::vector<std::string> doubts;    ///< what is odd about them
};

/// How far an import is, in bytes of all files; 0 in all where nobody knows.
using ImportObserver = std::function<void(std::int64_t done, std::int64_t total)>;

/// A format that can be read.
struct TelemetryFormatInfo {
    std::string name;
    std::string what;    ///< "trtexec --exportTimes"
    std::string unit;    ///< of the latencies in it: "ms", "by its name", "none"
    std::string warm_up; ///< what is left out as warm-up
};

/// All of them, in the order in which a file is tried.
std::vector<TelemetryFormatInfo> telemetry_formats();
std::vector<std::string> telemetry_format_names();

/// Reads what tools wrote about the latencies of devices: tables, logs and counters;
/// docs/telemetry.md says which and how. A format is known by how its files begin.
///
/// A device's latency on a benchmark is the median over its runs, or what a tool tells where it
/// tells no runs (Fleet::origins says which). Devices and benchmarks keep the order in which they
/// come first, files that of their paths. What was not measured is missing (NaN). Numbers that can
/// only be told for a whole device become attributes and labels.
///
/// Rows that cannot be used are left out up to `request.rejected`, and counted by reason; beyond it
/// a DataError tells them. DataError also for a file in no known format, a device or benchmark that
/// nobody names, a unit that nobody tells, devices or benchmarks that are off by a power of a
/// thousand from the others, and when nothing remains. UsageError for an unknown format, and for
/// options that contradict a file.
/// Complexity: O(rows) time; memory for the fleet, not for the rows.
Fleet import_telemetry(const ImportRequest& request, ImportReport* report = nullptr,
                       const ImportObserver& observer = {});

/// The same of one open file; `request.source` is its name in messages.
Fleet import_telemetry(std::istream& input, const ImportRequest& request,
                       ImportReport* report = nullptr);

} // namespace hdap::fleet
