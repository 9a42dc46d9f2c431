#include "hdap/fleet/import_csv.hpp"

#include "fleet/csv_reader.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
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

Measurement parse_row(const std::vector<std::string>& fields, const Columns& columns,
                      const CsvReader& file, Measurements& all) {
    Measurement row;
    row.line = file.line();
    row.device = all.devices.number(file.name(fields[columns.device], "device_id"));
    row.benchmark = all.benchmarks.number(file.name(fields[columns.benchmark], "benchmark"));
    row.run = file.integer(fields[columns.run], "run");
    row.latency_ms = file.latency_ms(fields[columns.latency]);
    return row;
}

Measurements read_measurements(std::istream& input, const std::string& name,
                               const CsvSelection& selection) {
    CsvReader file(input, name, "device_id,benchmark,run,latency_ms");
    const Columns columns(file);
    Measurements all;
    // Selected benchmarks get the first numbers, in the order asked for.
    for (const std::string& benchmark : selection.benchmarks)
        all.benchmarks.number(benchmark);
    std::vector<std::string> fields;
    while (file.next(fields)) {
        const bool wanted =
            selection.benchmarks.empty() || all.benchmarks.contains(fields[columns.benchmark]);
        if (wanted) all.rows.push_back(parse_row(fields, columns, file, all));
        constexpr std::size_t most = std::numeric_limits<std::int32_t>::max();
        if (all.devices.names().size() > most || all.benchmarks.names().size() > most)
            file.fail("more than 2147483647 devices or benchmarks");
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
    throw core::DataError(fmt::format("{}:{}: run {} of device {} on {} is in line {} already",
                                      name, (twin + 1)->line, twin->run,
                                      shown(all.devices.names()[twin->device]),
                                      shown(all.benchmarks.names()[twin->benchmark]), twin->line));
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
        throw core::DataError(fmt::format("{}: none of the {} devices has measurements of all {} "
                                          "benchmarks; select fewer benchmarks",
                                          name, outcome.dropped_devices, fleet.benchmarks()));
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
