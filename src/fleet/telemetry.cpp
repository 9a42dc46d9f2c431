#include "hdap/fleet/telemetry.hpp"

#include "fleet/telemetry/block_buffer.hpp"
#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/path_pattern.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/unknown_name.hpp"
#include "hdap/fleet/plausibility.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>

namespace hdap::fleet {
namespace {

/// What --warm-up may say of a format.
enum class WarmUpBy { nothing, runs, runs_or_time };

struct FormatRow {
    std::string_view name;
    std::string_view what;
    std::string_view unit;
    std::string_view warm_up; ///< what is left out
    /// Whether a file that begins so is in this format.
    bool (*recognises)(std::string_view beginning);
    void (*read)(TelemetryFile& file, Samples& samples);
    WarmUpBy warm_up_by = WarmUpBy::nothing;
};

constexpr std::string_view by_name = "by its name";
constexpr std::string_view in_tool = "the tool's own warm-up, which it leaves out";

/// Another format is a line here. The first that recognises a file reads it.
constexpr FormatRow formats[] = {
    {"hdf5", "HDF5 with device_id, benchmark and latencies", by_name, "nothing", &is_hdf5_table,
     &read_hdf5_table},
    {"trtexec-times", "trtexec --exportTimes", "ms", "inferences that began before 200 ms",
     &is_trtexec_times, &read_trtexec_times, WarmUpBy::runs_or_time},
    {"trtexec-profile", "trtexec --exportProfile", "ms", in_tool, &is_trtexec_profile,
     &read_trtexec_profile},
    {"onnxruntime-profile", "ONNX Runtime's profile", "us", "the first inference",
     &is_onnxruntime_profile, &read_onnxruntime_profile, WarmUpBy::runs},
    {"openvino-json", "OpenVINO benchmark_app -json_stats", "ms", in_tool, &is_openvino_json,
     &read_openvino_json},
    {"json-lines", "a JSON object per line, or a list of them", by_name, "nothing", &is_json_lines,
     &read_json_lines},
    {"trtexec-log", "what trtexec prints", "ms", in_tool, &is_trtexec_log, &read_trtexec_log},
    {"tflite-benchmark", "what TensorFlow Lite's benchmark_model prints", "us", in_tool,
     &is_tflite_benchmark, &read_tflite_benchmark},
    {"loadgen", "mlperf_log_detail.txt of MLPerf LoadGen", "ns", "nothing", &is_loadgen,
     &read_loadgen},
    {"tegrastats", "what tegrastats prints (conditions)", "none", "nothing", &is_tegrastats,
     &read_tegrastats},
    {"prometheus", "Prometheus text: Triton's counters, a histogram, DCGM", by_name,
     "what was before the first of several scrapes", &is_prometheus, &read_prometheus},
    {"openvino-csv", "OpenVINO benchmark_app, benchmark_report.csv", "ms", in_tool,
     &is_openvino_csv, &read_openvino_csv},
    {"openvino-counters", "OpenVINO benchmark_app, counters as CSV", "ms", in_tool,
     &is_openvino_counters, &read_openvino_counters},
    {"onnxruntime-perf", "onnxruntime_perf_test, result file", "s", in_tool, &is_onnxruntime_perf,
     &read_onnxruntime_perf, WarmUpBy::runs},
    {"csv", "a table with a line of column names", by_name, "nothing", &is_csv, &read_csv},
};

const FormatRow& row_named(const std::string& name) {
    for (const FormatRow& row : formats)
        if (row.name == name) return row;
    std::vector<std::string> known = telemetry_format_names();
    known.insert(known.begin(), "auto");
    throw core::UsageError(core::unknown_name("format", name, known));
}

/// The format of a file that begins so.
const FormatRow& row_for(const std::string& name, std::string_view beginning) {
    for (const FormatRow& row : formats)
        if (row.recognises(beginning)) return row;
    if (beginning.find_first_not_of(" \t\r\n") == std::string_view::npos)
        throw core::DataError(name + ": the file is empty");
    const bool is_json = beginning.starts_with('{') || beginning.starts_with('[');
    const std::string other = is_json ? "" : other_kind_of(beginning);
    if (!other.empty()) throw core::DataError(fmt::format("{}: {}", name, other));
    throw core::DataError(fmt::format("{}: in no known format ({}); it begins with {}", name,
                                      core::join(telemetry_format_names()),
                                      shown(beginning.substr(0, beginning.find('\n')))));
}

/// "fewest have benchmark 'resnt20': 3 of 200 devices".
std::string rarest_benchmark(const Fleet& fleet) {
    std::size_t rarest = 0;
    std::size_t fewest = fleet.devices() + 1;
    for (std::size_t b = 0; b < fleet.benchmarks(); ++b) {
        const std::size_t devices = measured_latencies(fleet, b).size();
        if (devices >= fewest) continue;
        fewest = devices;
        rarest = b;
    }
    return fmt::format("fewest have benchmark {}: {} of {}", shown(fleet.benchmark_names[rarest]),
                       core::grouped(fewest), core::counted(fleet.devices(), "device"));
}

/// Throws UsageError for options that a file in this format has no use for.
void check_options(const FormatRow& row, const std::string& name, const ImportRequest& request) {
    const auto unit = unit_named(row.unit);
    if (request.unit && unit && *unit != *request.unit)
        throw core::UsageError(fmt::format("{}: {} counts in {}, but --unit says {}", name,
                                           row.name, row.unit, name_of(*request.unit)));
    const bool takes_runs = row.warm_up_by != WarmUpBy::nothing;
    const bool takes_time = row.warm_up_by == WarmUpBy::runs_or_time;
    if ((request.warm_up.runs && !takes_runs) || (request.warm_up.ms && !takes_time))
        throw core::UsageError(fmt::format(
            "{}: {} has no use for --warm-up{}", name, row.name,
            takes_runs ? " as a time; give a number of inferences, such as --warm-up 10" : ""));
    if (!request.metric.empty() && row.read != &read_prometheus)
        throw core::UsageError(fmt::format("{}: {} has no use for --metric", name, row.name));
}

/// A file to import.
struct SourceFile {
    MatchedFile matched;
    bool is_on_disk = false;
    bool is_conditions = false; ///< to which the options about latencies do not apply
};

/// One import of one or more files.
class Import {
  public:
    Import(const ImportRequest& request, ImportReport& report)
        : request_(request), report_(report), samples_(request.benchmarks) {
        std::set<std::string> names;
        for (const std::string& benchmark : request.benchmarks)
            if (!names.insert(benchmark).second)
                throw core::UsageError(
                    fmt::format("benchmark {} is selected twice", shown(benchmark)));
        if (request.format != "auto") row_named(request.format);
    }

    void read(std::streambuf& input, const SourceFile& source,
              const std::function<void(std::int64_t)>& observer = {});
    /// Of several files, one that cannot be used is counted.
    void read_all(const std::vector<SourceFile>& files, const ImportObserver& observer);
    Fleet finish();

  private:
    void keep_origin(const FormatRow& row, const TelemetryFile& file);
    void check_rejected() const;
    void check_rounded_names() const;
    void check_selection(const Fleet& fleet) const;
    void check_units(const Fleet& fleet) const;
    void fill_report(const Fleet& fleet);

    const ImportRequest& request_;
    ImportReport& report_;
    Samples samples_;
    BadLines rejected_;
    std::vector<std::string> bad_files_; ///< what is wrong with them
    std::vector<LatencyOrigin> origins_;
};

std::optional<std::string> name_from(const std::optional<std::string>& path,
                                     const std::optional<std::string>& option) {
    return path ? path : option;
}

void Import::read(std::streambuf& input, const SourceFile& source,
                  const std::function<void(std::int64_t)>& observer) {
    BlockBuffer blocks(input, observer);
    std::istream stream(&blocks);
    const MatchedFile& matched = source.matched;
    const std::string name = matched.path.string();
    const bool is_told = request_.format != "auto" && !source.is_conditions;
    const FormatRow& row = is_told ? row_named(request_.format) : row_for(name, blocks.beginning());
    if (!source.is_conditions) check_options(row, name, request_);
    rejected_.begin_file(name);
    TelemetryFile file{.input = stream,
                       .name = name,
                       .path = source.is_on_disk ? matched.path : std::filesystem::path(),
                       .device = name_from(matched.device, request_.device),
                       .benchmark = name_from(matched.benchmark, request_.benchmark),
                       .unit = source.is_conditions ? std::nullopt : request_.unit,
                       .warm_up = source.is_conditions ? WarmUp{} : request_.warm_up,
                       .metric = request_.metric,
                       .rejected = rejected_};
    try {
        row.read(file, samples_);
    } catch (const core::DataError&) {
        report_.rows += file.rows; // of which some may be among the rejected
        throw;
    }
    ++report_.files;
    report_.rows += file.rows;
    std::move(file.remarks.begin(), file.remarks.end(), std::back_inserter(report_.remarks));
    std::move(file.doubts.begin(), file.doubts.end(), std::back_inserter(report_.doubts));
    keep_origin(row, file);
}

void Import::keep_origin(const FormatRow& row, const TelemetryFile& file) {
    LatencyOrigin origin{.tool = std::string(row.what),
                         .unit = file.unit_used.empty() ? std::string(row.unit) : file.unit_used,
                         .statistic = file.statistic,
                         .warm_up = file.warm_up_used.empty() ? std::string(row.warm_up)
                                                              : file.warm_up_used,
                         .files = 0};
    auto known = std::find_if(origins_.begin(), origins_.end(), [&](LatencyOrigin its) {
        its.files = 0;
        return its == origin;
    });
    if (known == origins_.end()) known = origins_.insert(known, origin);
    ++known->files;
}

std::int64_t bytes_of(const std::filesystem::path& path) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(path, error);
    return error ? 0 : static_cast<std::int64_t>(bytes);
}

void Import::read_all(const std::vector<SourceFile>& files, const ImportObserver& observer) {
    std::int64_t total = 0;
    for (const SourceFile& file : files)
        total += bytes_of(file.matched.path);
    std::int64_t before = 0;
    for (const SourceFile& file : files) {
        try {
            std::ifstream input = open_csv(file.matched.path);
            read(*input.rdbuf(), file, [&](std::int64_t bytes) {
                if (observer) observer(before + bytes, total);
            });
        } catch (const core::DataError& error) {
            if (files.size() == 1) throw;
            bad_files_.emplace_back(error.what());
        }
        before += bytes_of(file.matched.path);
    }
    if (std::ssize(bad_files_) > request_.rejected.of(std::ssize(files)))
        throw core::DataError(fmt::format(
            "{} of {} cannot be used; {}; mend them, or leave them out with --max-rejected {}",
            core::grouped(bad_files_.size()), core::counted(files.size(), "file"),
            bad_files_.front(), bad_files_.size()));
    for (const std::string& bad : bad_files_)
        report_.doubts.push_back("a file was not used, or not to its end: " + bad);
}

Fleet Import::finish() {
    samples_.settle();
    check_rounded_names();
    check_rejected();
    if (samples_.empty()) throw core::DataError(request_.source + ": no measurements");
    Fleet fleet = samples_.fleet(request_.sku);
    check_selection(fleet);
    fleet.origins = origins_;
    check_fleet(fleet, request_.source);
    check_units(fleet);
    fill_report(fleet);
    return fleet;
}

void Import::check_rejected() const {
    const std::string remedy =
        rejected_.count() == report_.rows
            ? "mend them"
            : fmt::format("mend them, or leave them out with --max-rejected {}", rejected_.count());
    rejected_.check(report_.rows, request_.rejected.of(report_.rows), remedy);
}

/// Throws when a spreadsheet made one number of all devices' names.
void Import::check_rounded_names() const {
    const std::vector<std::string>& ids = samples_.devices().names();
    if (ids.size() != 1 || !is_rounded_number(ids.front())) return;
    throw core::DataError(fmt::format(
        "{}: every line is of device {}, a number that a spreadsheet has rounded; export the table "
        "again with device_id as text",
        request_.source, shown(ids.front())));
}

/// Throws unless every selected benchmark was measured at least once.
void Import::check_selection(const Fleet& fleet) const {
    for (const std::string& benchmark : request_.benchmarks)
        if (std::find(fleet.benchmark_names.begin(), fleet.benchmark_names.end(), benchmark) ==
            fleet.benchmark_names.end())
            throw core::DataError(fmt::format("{}: no measurement of benchmark {}", request_.source,
                                              shown(benchmark)));
}

void Import::check_units(const Fleet& fleet) const {
    if (request_.any_unit) return;
    const std::vector<std::string> odd = other_units(fleet);
    if (!odd.empty())
        throw core::DataError(fmt::format("{}: {}; mend the unit, or say --any-unit if it is right",
                                          request_.source, core::join(odd, "; ")));
}

void Import::fill_report(const Fleet& fleet) {
    report_.runs = samples_.runs();
    report_.missing = static_cast<std::int64_t>(missing_latencies(fleet));
    if (report_.missing > 0)
        report_.remarks.push_back(fmt::format("{}: {} of {} latencies are missing; {}",
                                              request_.source, core::grouped(report_.missing),
                                              core::grouped(fleet.latency_ms.size()),
                                              rarest_benchmark(fleet)));
    for (const BadLines::Kind& kind : rejected_.kinds()) {
        RejectedRows rows{.reason = kind.reason, .count = kind.count};
        for (const BadLines::Place& place : kind.first)
            rows.first_places.push_back(rejected_.text_of(place));
        report_.rejected.push_back(std::move(rows));
    }
    report_.rejected_rows = rejected_.count();
    report_.rejected_text = rejected_.text();
    for (const std::string& doubt : samples_.doubts())
        report_.doubts.push_back(request_.source + ": " + doubt);
}

/// A whole text as a number.
template <class Number>
std::optional<Number> whole_number(std::string_view text) {
    Number value{};
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || stop != text.data() + text.size()) return {};
    return value;
}

} // namespace

std::int64_t RejectLimit::of(std::int64_t all) const {
    // 29 % of 100 lines are 29, though 0.29 · 100 is less.
    constexpr double rounding = 1e-9;
    return rows.value_or(
        static_cast<std::int64_t>(std::floor(share * static_cast<double>(all) + rounding)));
}

RejectLimit parse_reject_limit(const std::string& text) {
    RejectLimit limit;
    if (text.ends_with('%')) {
        const auto share = whole_number<double>(std::string_view(text).substr(0, text.size() - 1));
        if (share && *share >= 0.0 && *share <= 100.0) {
            limit.share = *share / 100.0;
            return limit;
        }
    } else if (limit.rows = whole_number<std::int64_t>(text); limit.rows && *limit.rows >= 0) {
        return limit;
    }
    throw core::UsageError(fmt::format(
        "{} is no limit of rejected rows; expected a number such as 37, or a share such as 1%",
        shown(text)));
}

WarmUp parse_warm_up(const std::string& text) {
    WarmUp warm_up;
    const bool is_ms = text.ends_with("ms");
    if (is_ms || text.ends_with('s')) {
        const std::string_view number =
            std::string_view(text).substr(0, text.size() - (is_ms ? 2 : 1));
        warm_up.ms = whole_number<double>(number);
        if (warm_up.ms && !is_ms) *warm_up.ms *= 1e3;
        if (warm_up.ms && *warm_up.ms >= 0.0 && std::isfinite(*warm_up.ms)) return warm_up;
    } else if (warm_up.runs = whole_number<std::int64_t>(text);
               warm_up.runs && *warm_up.runs >= 0) {
        return warm_up;
    }
    throw core::UsageError(fmt::format(
        "{} is no warm-up; expected a time such as 200ms or 2s, or a number of inferences",
        shown(text)));
}

std::vector<TelemetryFormatInfo> telemetry_formats() {
    std::vector<TelemetryFormatInfo> infos;
    for (const FormatRow& row : formats)
        infos.push_back({std::string(row.name), std::string(row.what), std::string(row.unit),
                         std::string(row.warm_up)});
    return infos;
}

std::vector<std::string> telemetry_format_names() {
    std::vector<std::string> names;
    for (const FormatRow& row : formats)
        names.emplace_back(row.name);
    return names;
}

Fleet import_telemetry(const ImportRequest& request, ImportReport* report,
                       const ImportObserver& observer) {
    ImportReport outcome;
    Import import(request, outcome);
    std::vector<SourceFile> files;
    for (MatchedFile& file : matched_files(request.source))
        files.push_back({.matched = std::move(file), .is_on_disk = true});
    if (!request.conditions.empty())
        for (MatchedFile& file : matched_files(request.conditions))
            files.push_back(
                {.matched = std::move(file), .is_on_disk = true, .is_conditions = true});
    import.read_all(files, observer);
    Fleet fleet = import.finish();
    if (report != nullptr) *report = std::move(outcome);
    return fleet;
}

Fleet import_telemetry(std::istream& input, const ImportRequest& request, ImportReport* report) {
    ImportReport outcome;
    Import import(request, outcome);
    import.read(*input.rdbuf(), {.matched = { request.source, {}, {} }});
    Fleet fleet = import.finish();
    if (report != nullptr) *report = std::move(outcome);
    return fleet;
}

} // namespace hdap::fleet
