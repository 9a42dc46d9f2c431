#include "hdap/fleet/import_csv.hpp"

#include "fleet/bad_lines.hpp"
#include "fleet/csv_reader.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/plausibility.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <tuple>
#include <utility>

namespace hdap::fleet {

namespace {

constexpr std::size_t dropped_shown = 5;

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
    NameTable of_bad_lines; ///< devices of lines that cannot be used
};

/// Where the columns are.
struct Columns {
    explicit Columns(const CsvReader& file)
        : device(file.column("device_id")), benchmark(file.column("benchmark")),
          run(file.column("run")), latency(file.column("latency_ms")) {}

    std::size_t device;
    std::size_t benchmark;
    std::size_t run;
    std::size_t latency;
};

/// Names are numbered last, so that a line that cannot be used leaves no trace of them.
Measurement parse_row(std::span<const std::string> fields, const Columns& columns, CsvReader& file,
                      Measurements& all) {
    Measurement row;
    row.line = file.line();
    const std::string& device = file.name(fields[columns.device], "device_id");
    const std::string& benchmark = file.name(fields[columns.benchmark], "benchmark");
    row.run = file.integer(fields[columns.run], "run");
    row.latency_ms = file.latency_ms(fields[columns.latency]);
    row.device = all.devices.number(device);
    row.benchmark = all.benchmarks.number(benchmark);
    constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
    if (all.devices.names().size() > most || all.benchmarks.names().size() > most)
        file.fail("more than 2147483647 devices or benchmarks");
    return row;
}

/// Reads all lines of the selected benchmarks; `lines` becomes their number, usable or not.
Measurements read_measurements(CsvReader& file, const CsvSelection& selection, BadLines& bad,
                               std::int64_t& lines) {
    const Columns columns(file);
    Measurements all;
    // Selected benchmarks get the first numbers, in the order asked for.
    for (const std::string& benchmark : selection.benchmarks)
        all.benchmarks.number(benchmark);
    std::int64_t ignored = 0;
    file.read_lines(bad, [&](std::span<const std::string> fields) {
        if (!selection.benchmarks.empty() && !all.benchmarks.contains(fields[columns.benchmark])) {
            ++ignored;
            return;
        }
        try {
            all.rows.push_back(parse_row(fields, columns, file, all));
        } catch (const BadLine&) {
            all.of_bad_lines.number(fields[columns.device]);
            throw;
        }
    });
    lines = file.lines() - ignored;
    return all;
}

bool is_same_run(const Measurement& a, const Measurement& b) {
    return a.device == b.device && a.benchmark == b.benchmark && a.run == b.run;
}

/// Sorts by device, benchmark and run. Of lines of the same run the first stays, others go to
/// `bad`.
void sort_rows(Measurements& all, BadLines& bad) {
    const auto key = [](const Measurement& row) {
        return std::tuple(row.device, row.benchmark, row.run, row.line);
    };
    std::sort(all.rows.begin(), all.rows.end(),
              [&](const Measurement& a, const Measurement& b) { return key(a) < key(b); });
    std::vector<Measurement> kept;
    for (const Measurement& row : all.rows) {
        if (kept.empty() || !is_same_run(kept.back(), row))
            kept.push_back(row);
        else
            bad.add(row.line,
                    {"a run that is in a line before already",
                     fmt::format("run {} of device {} on {} is in line {} already; number runs "
                                 "that differ, leave out copies",
                                 row.run, shown(all.devices.names()[row.device]),
                                 shown(all.benchmarks.names()[row.benchmark]), kept.back().line)});
    }
    all.rows = std::move(kept);
}

/// Throws when a spreadsheet made one number of all devices' names.
void check_rounded_names(const Measurements& all, const std::string& name) {
    const std::vector<std::string>& ids = all.devices.names();
    if (ids.size() != 1 || !is_rounded_number(ids.front())) return;
    throw core::DataError(fmt::format(
        "{}: every line is of device {}, a number that a spreadsheet has rounded; export the table "
        "again with device_id as text",
        name, shown(ids.front())));
}

double median_latency_ms(std::span<const Measurement> runs) {
    std::vector<double> values;
    values.reserve(runs.size());
    for (const Measurement& run : runs)
        values.push_back(run.latency_ms);
    return core::median(std::move(values));
}

/// [benchmark] the medians of one device's rows; not a number where it has none.
std::vector<double> device_medians(std::span<const Measurement> rows, std::size_t benchmarks) {
    std::vector<double> medians(benchmarks, std::numeric_limits<double>::quiet_NaN());
    for (std::size_t first = 0; first < rows.size();) {
        std::size_t last = first + 1;
        while (last < rows.size() && rows[last].benchmark == rows[first].benchmark)
            ++last;
        medians[rows[first].benchmark] = median_latency_ms(rows.subspan(first, last - first));
        first = last;
    }
    return medians;
}

void drop(const std::string& device, CsvImportReport& report) {
    ++report.dropped_devices;
    if (report.dropped_examples.size() < dropped_shown) report.dropped_examples.push_back(device);
}

Fleet build_fleet(const Measurements& all, CsvImportReport& report) {
    Fleet fleet;
    fleet.benchmark_names = all.benchmarks.names();
    const std::span<const Measurement> rows = all.rows;
    for (std::size_t first = 0; first < rows.size();) {
        std::size_t last = first + 1;
        while (last < rows.size() && rows[last].device == rows[first].device)
            ++last;
        const std::vector<double> medians =
            device_medians(rows.subspan(first, last - first), fleet.benchmarks());
        fleet.device_ids.push_back(all.devices.names()[rows[first].device]);
        fleet.latency_ms.insert(fleet.latency_ms.end(), medians.begin(), medians.end());
        first = last;
    }
    report.missing_latencies = static_cast<std::int64_t>(missing_latencies(fleet));
    for (const std::string& device : all.of_bad_lines.names())
        if (is_name(device) && !all.devices.contains(device)) drop(device, report);
    return fleet;
}

/// Throws unless every selected benchmark was measured at least once.
void check_selection(const Measurements& all, const CsvSelection& selection,
                     const std::string& name) {
    std::set<std::string> names;
    for (const std::string& benchmark : selection.benchmarks)
        if (!names.insert(benchmark).second)
            throw core::UsageError(fmt::format("benchmark {} is selected twice", shown(benchmark)));
    std::vector<bool> measured(all.benchmarks.names().size(), false);
    for (const Measurement& row : all.rows)
        measured[row.benchmark] = true;
    for (std::size_t b = 0; b < selection.benchmarks.size(); ++b) {
        if (!measured[b])
            throw core::DataError(fmt::format("{}: no measurement of benchmark {}", name,
                                              shown(selection.benchmarks[b])));
    }
}

/// [first, last) of every device on every benchmark.
std::vector<std::span<const Measurement>> runs_of(const Measurements& all) {
    std::vector<std::span<const Measurement>> runs;
    const std::span<const Measurement> rows = all.rows;
    for (std::size_t first = 0; first < rows.size();) {
        std::size_t last = first + 1;
        while (last < rows.size() && rows[last].device == rows[first].device &&
               rows[last].benchmark == rows[first].benchmark)
            ++last;
        runs.push_back(rows.subspan(first, last - first));
        first = last;
    }
    return runs;
}

/// Whether the later half of the runs has the latencies of the earlier one: a file that was
/// appended to itself with other run numbers. Of a timer with few steps that says nothing.
bool halves_are_copies(const Measurements& all) {
    constexpr std::size_t enough = 20;
    std::set<double> values;
    std::size_t measured = 0;
    for (const auto runs : runs_of(all)) {
        const std::size_t half = runs.size() / 2;
        if (half == 0 || runs.size() % 2 != 0) return false;
        for (std::size_t i = 0; i < half; ++i, ++measured) {
            if (runs[i].latency_ms != runs[half + i].latency_ms) return false;
            values.insert(runs[i].latency_ms);
        }
    }
    return measured >= enough && 4 * values.size() >= measured;
}

/// "fewest have benchmark 'resnt20': 3 of 200 devices".
std::string rarest_benchmark(const Measurements& all) {
    std::vector<std::size_t> devices(all.benchmarks.names().size(), 0);
    for (const auto runs : runs_of(all))
        ++devices[runs.front().benchmark];
    const auto rarest = static_cast<std::size_t>(std::min_element(devices.begin(), devices.end()) -
                                                 devices.begin());
    return fmt::format("fewest have benchmark {}: {} of {}", shown(all.benchmarks.names()[rarest]),
                       core::grouped(devices[rarest]),
                       core::counted(all.devices.names().size(), "device"));
}

/// Throws when next to nothing was measured: the table of all devices and benchmarks must not take
/// far more memory than the file does.
void check_filled(const Measurements& all, const std::string& name) {
    constexpr std::size_t small = 1'000'000;
    constexpr std::size_t most_per_measured = 100;
    const std::size_t cells = all.devices.names().size() * all.benchmarks.names().size();
    const std::size_t measured = runs_of(all).size();
    if (cells <= small || cells / most_per_measured <= measured) return;
    throw core::DataError(
        fmt::format("{}: {} × {}, but only {} measured; {}; is the column benchmark right? "
                    "--benchmarks selects fewer",
                    name, core::counted(all.devices.names().size(), "device"),
                    core::counted(all.benchmarks.names().size(), "benchmark"),
                    core::counted(measured, "latency is", "latencies are"), rarest_benchmark(all)));
}

/// Throws when more lines are unusable than may be.
void check_unusable(const BadLines& bad, std::int64_t lines, const UnusableLimit& limit) {
    bad.check(
        lines, limit.of(lines),
        bad.count() == lines
            ? "mend them"
            : fmt::format("mend them, or leave them out with --max-unusable {}", bad.count()));
}

void report_unusable(const BadLines& bad, CsvImportReport& report) {
    report.unusable = bad.kinds();
    report.unusable_lines = bad.count();
    report.unusable_text = text_of(bad.kinds());
}

} // namespace

std::int64_t UnusableLimit::of(std::int64_t all) const {
    // 29 % of 100 lines are 29, though 0.29 · 100 is less.
    constexpr double rounding = 1e-9;
    return lines.value_or(
        static_cast<std::int64_t>(std::floor(share * static_cast<double>(all) + rounding)));
}

UnusableLimit parse_unusable_limit(const std::string& text) {
    const bool is_share = text.ends_with('%');
    const char* const end = text.data() + text.size() - (is_share ? 1 : 0);
    UnusableLimit limit;
    std::from_chars_result read{};
    if (is_share) {
        read = std::from_chars(text.data(), end, limit.share);
        limit.share /= 100.0;
    } else {
        read = std::from_chars(text.data(), end, limit.lines.emplace());
    }
    if (text.empty() || read.ec != std::errc{} || read.ptr != end ||
        !(limit.share >= 0.0 && limit.share <= 1.0) || limit.lines.value_or(0) < 0)
        throw core::UsageError(fmt::format(
            "{} is no limit of unusable lines; expected a number such as 37, or a share such as 1%",
            shown(text)));
    return limit;
}

Fleet parse_csv(std::istream& input, const std::string& name, const std::string& sku,
                const CsvSelection& selection, CsvImportReport* report) {
    CsvReader file(input, name, "device_id,benchmark,run,latency_ms");
    BadLines bad(name);
    std::int64_t lines = 0;
    Measurements all = read_measurements(file, selection, bad, lines);
    check_rounded_names(all, name);
    sort_rows(all, bad);
    check_unusable(bad, lines, selection.unusable);
    if (all.rows.empty()) throw core::DataError(name + ": no measurements");
    check_selection(all, selection, name);
    CsvImportReport outcome;
    outcome.rows = static_cast<std::int64_t>(all.rows.size());
    outcome.remarks = file.remarks();
    report_unusable(bad, outcome);
    if (halves_are_copies(all))
        outcome.doubts.push_back(name + ": the later half of all runs has the latencies of the "
                                        "earlier half, to the last digit; was the file appended "
                                        "to itself?");
    check_filled(all, name);
    Fleet fleet = build_fleet(all, outcome);
    fleet.sku = sku;
    if (outcome.missing_latencies > 0)
        outcome.remarks.push_back(fmt::format("{}: {} of {} latencies are missing; {}", name,
                                              core::grouped(outcome.missing_latencies),
                                              core::grouped(fleet.latency_ms.size()),
                                              rarest_benchmark(all)));
    check_fleet(fleet, name);
    if (report != nullptr) *report = outcome;
    return fleet;
}

Fleet import_csv(const std::filesystem::path& path, const std::string& sku,
                 const CsvSelection& selection, CsvImportReport* report) {
    std::ifstream input = open_csv(path);
    return parse_csv(input, path.string(), sku, selection, report);
}

} // namespace hdap::fleet
