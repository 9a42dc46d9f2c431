#include "fleet/telemetry/column_names.hpp"
#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>
#include <vector>

namespace hdap::fleet {
namespace {

/// Columns that tell of a device what is no latency: numbers or texts, as the first value is.
class AttributeColumns {
  public:
    void add(std::size_t column, const std::string& name) {
        const std::string plain = attribute_name(name);
        if (is_name(plain) && columns_.size() < most)
            columns_.push_back({column, plain, attribute_unit(name)});
    }

    void take(std::span<const std::string> fields, std::uint32_t device, Samples& samples) {
        for (Column& column : columns_) {
            const std::string& field = fields[column.place];
            if (field.empty()) continue;
            const auto number = plain_number(field);
            if (!column.is_number) column.is_number = number.has_value();
            if (!*column.is_number && is_name(field))
                samples.add_label(device, column.name, field);
            else if (number && std::isfinite(*number))
                samples.add_attribute(device, column.name, column.unit, *number);
            else
                ++column.odd;
        }
    }

    void tell(TelemetryFile& file) const {
        for (const Column& column : columns_)
            if (column.odd > 0)
                file.doubts.push_back(fmt::format(
                    "{}: column {} has {} that {} no number, unlike the first, and left out",
                    file.name, shown(column.name), core::counted(column.odd, "value"),
                    column.odd == 1 ? "is" : "are"));
    }

  private:
    static constexpr std::size_t most = 64;
    struct Column {
        std::size_t place;
        std::string name;
        std::string unit;
        std::optional<bool> is_number{};
        std::int64_t odd = 0;
    };
    std::vector<Column> columns_;
};

/// The column of the device; nothing when the path or an option names it.
std::optional<std::size_t> device_column(const CsvReader& csv, const TelemetryFile& file) {
    auto column = csv.find("device_id");
    if (!column) column = csv.find("device");
    if (!column && !file.device) return csv.column("device_id");
    return column;
}

/// A latency column and its unit.
struct LatencyColumn {
    std::size_t place = 0;
    std::string name;
    LatencyUnit unit{};
};

/// The unit of a column. Throws UsageError when the option says another one than the name.
std::optional<LatencyUnit> unit_of(const std::string& column, const TelemetryFile& file) {
    const auto own = unit_at_end_of(column);
    if (own && file.unit && *own != *file.unit)
        throw core::UsageError(fmt::format("{}: column {} is in {}, but --unit says {}", file.name,
                                           shown(column), name_of(*own), name_of(*file.unit)));
    return own ? own : file.unit;
}

std::optional<LatencyColumn> latency_column(const CsvReader& csv, TelemetryFile& file) {
    const std::vector<std::string_view> names(csv.columns().begin(), csv.columns().end());
    const auto found = latency_among(names);
    if (!found) return std::nullopt;
    const std::string& name = csv.columns()[found->place];
    if (found->rival)
        csv.fail(fmt::format("{} and {} are both latencies; leave one of the columns out",
                             shown(name), shown(names[*found->rival])));
    const auto unit = unit_of(name, file);
    if (!unit)
        csv.fail(fmt::format("column {} does not tell its unit; name it {}_ms, _us, _ns or _s, or "
                             "give --unit",
                             shown(name), name));
    if (found->is_median) file.statistic = "median of the medians in column " + name;
    file.use_unit(*unit);
    return LatencyColumn{found->place, name, *unit};
}

/// A line per inference.
class LongTable {
  public:
    LongTable(CsvReader& csv, LatencyColumn latency, TelemetryFile& file, Samples& samples)
        : csv_(csv), latency_(std::move(latency)), file_(file), samples_(samples),
          device_(device_column(csv, file)), benchmark_(csv.find("benchmark")),
          run_(csv.find("run")) {
        if (!benchmark_ && !file.benchmark) csv.column("benchmark");
        for (std::size_t c = 0; c < csv.columns().size(); ++c)
            if (c != latency_.place && device_ != c && benchmark_ != c && run_ != c)
                attributes_.add(c, csv.columns()[c]);
        tell_of_path();
    }

    void read() {
        csv_.read_lines(file_.rejected, [this](std::span<const std::string> fields) {
            const std::string& benchmark = benchmark_ ? fields[*benchmark_] : *file_.benchmark;
            if (!samples_.wants(benchmark)) {
                ++unwanted_;
                return;
            }
            try {
                take(fields, benchmark);
            } catch (const BadLine&) {
                if (device_ && is_name(fields[*device_])) samples_.add_rejected(fields[*device_]);
                throw;
            }
        });
        file_.rows = csv_.lines() - unwanted_;
        attributes_.tell(file_);
    }

  private:
    /// Names are numbered last, so that a line that cannot be used leaves no trace of them.
    void take(std::span<const std::string> fields, const std::string& benchmark) {
        const std::string& device =
            device_ ? csv_.name(fields[*device_], "device_id") : *file_.device;
        csv_.name(benchmark, "benchmark");
        const std::optional<std::int64_t> run =
            run_ ? std::optional(csv_.integer(fields[*run_], "run")) : std::nullopt;
        const double latency_ms =
            csv_.latency_ms(fields[latency_.place], latency_.name, latency_.unit);
        const std::uint32_t number = samples_.device(device);
        if (!samples_.add_run(number, samples_.benchmark(benchmark), run, latency_ms))
            throw BadLine("a run that is in a line before already",
                          fmt::format("run {} of device {} on {} is in a line before already; "
                                      "number runs that differ, leave out copies",
                                      *run, shown(device), shown(benchmark)));
        attributes_.take(fields, number, samples_);
    }

    /// What the path says and is not used.
    void tell_of_path() {
        if (device_ && file_.device)
            file_.remarks.push_back(file_.name + ": devices are those of its column");
        if (benchmark_ && file_.benchmark)
            file_.remarks.push_back(file_.name + ": benchmarks are those of its column");
    }

    CsvReader& csv_;
    LatencyColumn latency_;
    TelemetryFile& file_;
    Samples& samples_;
    std::optional<std::size_t> device_;
    std::optional<std::size_t> benchmark_;
    std::optional<std::size_t> run_;
    AttributeColumns attributes_;
    std::int64_t unwanted_ = 0; ///< lines of other benchmarks
};

/// A line per device, and perhaps run of it; a column per benchmark.
class WideTable {
  public:
    WideTable(CsvReader& csv, TelemetryFile& file, Samples& samples)
        : csv_(csv), file_(file), samples_(samples), device_(device_column(csv, file)) {
        const auto& names = csv.columns();
        const bool have_units =
            std::any_of(names.begin(), names.end(),
                        [&](const std::string& name) { return unit_at_end_of(name).has_value(); });
        if (!have_units && !file.unit)
            csv.fail("neither a column of latencies, such as latency_ms, nor one of a benchmark "
                     "with its unit, such as resnet50_ms; name the columns so, or give --unit for "
                     "a table with a column per benchmark");
        for (std::size_t c = 0; c < names.size(); ++c)
            if (device_ != c) add_column(c, have_units);
        if (latencies_.empty()) csv.fail("no column of latencies of a wanted benchmark");
    }

    void read() {
        csv_.read_lines(file_.rejected, [this](std::span<const std::string> fields) {
            const std::string& device =
                device_ ? csv_.name(fields[*device_], "device_id") : *file_.device;
            bool used = false;
            for (const LatencyColumn& column : latencies_)
                used = take(fields[column.place], column, device) || used;
            if (used) attributes_.take(fields, samples_.device(device), samples_);
        });
        file_.rows = csv_.lines();
        attributes_.tell(file_);
    }

  private:
    /// Where columns tell their unit, those that do not are no latencies.
    void add_column(std::size_t place, bool have_units) {
        const std::string& name = csv_.columns()[place];
        if (!have_units && attribute_unit(name) != "1") return attributes_.add(place, name);
        if (have_units && !unit_at_end_of(name)) return attributes_.add(place, name);
        const auto unit = unit_of(name, file_);
        std::string benchmark = name;
        if (have_units) benchmark.erase(benchmark.find_last_of("_ (["));
        benchmark = trimmed(benchmark);
        if (!is_name(benchmark)) csv_.fail("column " + shown(name) + " names no benchmark");
        if (!samples_.wants(benchmark)) return;
        latencies_.push_back({place, benchmark, *unit});
        file_.use_unit(*unit);
    }

    /// A cell. An empty one is a missing latency; one that cannot be used leaves the others.
    bool take(const std::string& field, const LatencyColumn& column, const std::string& device) {
        constexpr std::string_view missing[] = {"", "-", "na", "n/a", "nan", "null", "none"};
        if (std::find(std::begin(missing), std::end(missing), in_lower_case(field)) !=
            std::end(missing))
            return false;
        try {
            const double latency_ms = csv_.latency_ms(field, column.name, column.unit);
            samples_.add_run(samples_.device(device), samples_.benchmark(column.name), std::nullopt,
                             latency_ms);
            return true;
        } catch (const BadLine& bad) {
            file_.rejected.add(csv_.line(), bad);
            return false;
        }
    }

    CsvReader& csv_;
    TelemetryFile& file_;
    Samples& samples_;
    std::optional<std::size_t> device_;
    std::vector<LatencyColumn> latencies_; ///< named as their benchmarks
    AttributeColumns attributes_;
};

} // namespace

bool is_csv(std::string_view beginning) {
    if (!other_kind_of(beginning).empty()) return false;
    beginning = from_first_text(beginning);
    while (beginning.starts_with('#'))
        beginning = from_first_text(
            beginning.substr(std::min(beginning.find_first_of("\r\n"), beginning.size())));
    const std::string_view first = beginning.substr(0, beginning.find_first_of("\r\n"));
    return first.find_first_of(",;\t|") != std::string_view::npos ||
           latency_among(std::span(&first, 1)).has_value();
}

void read_csv(TelemetryFile& file, Samples& samples) {
    CsvReader csv(file.input, file.name, "device_id,benchmark,run,latency_ms");
    const auto latency = latency_column(csv, file);
    if (latency)
        LongTable(csv, *latency, file, samples).read();
    else if (csv.find("benchmark"))
        csv.column("latency_ms"); // which says that it is missing
    else
        WideTable(csv, file, samples).read();
    for (const std::string& remark : csv.remarks())
        file.remarks.push_back(remark);
}

} // namespace hdap::fleet
