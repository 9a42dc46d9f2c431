#include "fleet/telemetry/format.hpp"
#include "fleet/telemetry/line_reader.hpp"
#include "fleet/telemetry/log_text.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace hdap::fleet {
namespace {

/// A line: name{label="value",…} value [timestamp]
struct Sample {
    std::string name;
    std::vector<std::pair<std::string, std::string>> labels;
    double value = 0.0;

    [[nodiscard]] std::optional<std::string> label(std::string_view key) const {
        for (const auto& [its_key, text] : labels)
            if (its_key == key) return text;
        return std::nullopt;
    }
};

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == ':';
}

class SampleParser {
  public:
    explicit SampleParser(std::string_view text) : text_(text) {}

    Sample parse() {
        Sample sample;
        sample.name = take_name();
        if (take_if('{'))
            while (!take_if('}')) {
                std::string key = take_name();
                if (!take_if('=')) fail();
                sample.labels.emplace_back(std::move(key), take_quoted());
                take_if(',');
            }
        const auto value = leading_number(text_);
        if (!value) fail();
        sample.value = *value;
        return sample;
    }

  private:
    [[noreturn]] static void fail() {
        throw BadLine("no sample of Prometheus",
                      "expected name{label=\"value\"} and a number behind it");
    }
    void drop_blanks() {
        text_.remove_prefix(std::min(text_.find_first_not_of(" \t"), text_.size()));
    }
    bool take_if(char c) {
        drop_blanks();
        if (!text_.starts_with(c)) return false;
        text_.remove_prefix(1);
        return true;
    }
    std::string take_name() {
        drop_blanks();
        const auto* const end = std::find_if_not(text_.begin(), text_.end(), &is_name_character);
        std::string name(text_.begin(), end);
        if (name.empty()) fail();
        text_.remove_prefix(name.size());
        return name;
    }
    std::string take_quoted() {
        if (!take_if('"')) fail();
        std::string value;
        while (!text_.starts_with('"')) {
            if (text_.starts_with('\\')) text_.remove_prefix(1);
            if (text_.empty()) fail();
            value += text_.front();
            text_.remove_prefix(1);
        }
        text_.remove_prefix(1);
        return value;
    }

    std::string_view text_;
};

/// What DCGM's exporter says of a GPU.
struct Gauge {
    std::string_view name;
    const char* attribute;
    const char* unit;
};
constexpr Gauge gauges[] = {
    {"DCGM_FI_DEV_SM_CLOCK", "gpu_mhz", "MHz"}, {"DCGM_FI_DEV_MEM_CLOCK", "memory_mhz", "MHz"},
    {"DCGM_FI_DEV_GPU_TEMP", "gpu_c", "degC"},  {"DCGM_FI_DEV_MEMORY_TEMP", "memory_c", "degC"},
    {"DCGM_FI_DEV_POWER_USAGE", "gpu_w", "W"},
};
/// What it says where it does not know is larger.
constexpr double largest_known = 1e14;

/// Which counters are read, and what the time is in.
struct Metric {
    std::string time;
    std::string count;
    std::string other_count; ///< where there is no `count`
    LatencyUnit unit{};
};

/// Triton adds the time of a batch to the counter once for each request in it.
Metric metric_of(const TelemetryFile& file) {
    if (file.metric.empty())
        return {"nv_inference_compute_infer_duration_us", "nv_inference_request_success",
                "nv_inference_exec_count", LatencyUnit::microseconds};
    const auto own = unit_at_end_of(file.metric);
    const auto unit = own ? own : file.unit;
    if (!unit)
        file.fail(fmt::format("metric {} does not tell its unit; give --unit", shown(file.metric)));
    return {file.metric + "_sum", file.metric + "_count", "", *unit};
}

class ScrapeReader {
  public:
    ScrapeReader(TelemetryFile& file, Samples& samples)
        : file_(file), samples_(samples), metric_(metric_of(file)) {}

    void take(const Sample& sample) {
        if (sample.name == metric_.time) set(sample, &Counters::time);
        if (sample.name == metric_.count) set(sample, &Counters::count);
        if (sample.name == metric_.other_count) set(sample, &Counters::other_count);
        for (const Gauge& gauge : gauges)
            if (sample.name == gauge.name) take_gauge(sample, gauge);
        constexpr std::size_t most = 5;
        if (sample.name.ends_with("_sum") && sums_.size() < most)
            sums_.insert(sample.name.substr(0, sample.name.size() - 4));
    }

    /// Ends the file.
    void finish() {
        flush();
        if (!found_)
            file_.fail(fmt::format(
                "neither counters of Triton ({}) nor gauges of DCGM{}", metric_.time,
                sums_.empty()
                    ? ""
                    : "; name a metric by --metric, perhaps " +
                          core::join(std::vector<std::string>(sums_.begin(), sums_.end()))));
        if (other_counts_)
            file_.remarks.push_back(fmt::format("{}: has no {}; times are divided by {}",
                                                file_.name, metric_.count, metric_.other_count));
    }

  private:
    struct Counters {
        std::optional<double> time;
        std::optional<double> count;
        std::optional<double> other_count;
    };
    struct Series {
        std::string device;
        std::string benchmark;
        std::string others; ///< the other labels
        auto operator<=>(const Series&) const = default;
    };

    /// The label `instance`, unless path or option name the device.
    const std::string& device_of(const Sample& sample) {
        const std::string instance = sample.label("instance").value_or("");
        if (!instance.empty()) instances_.insert(instance);
        if (file_.device && instances_.size() > 1)
            file_.fail(fmt::format("is of {} ({}, …), but the path or --device names one device; "
                                   "leave {{device}} out",
                                   core::counted(instances_.size(), "instance"),
                                   shown(*instances_.begin())));
        if (file_.device || instance.empty()) return file_.its_device();
        check_name(instance, "instance");
        return *instances_.find(instance);
    }

    static void check_name(const std::string& name, const char* label) {
        if (!is_name(name))
            throw BadLine(fmt::format("{} is no name", label),
                          fmt::format("label {} is {}, expected 1 to 256 bytes without control "
                                      "characters",
                                      label, shown(name)));
    }

    std::string benchmark_of(const Sample& sample) {
        auto model = sample.label("model");
        if (!model) model = sample.label("model_name");
        if (!model) return file_.its_benchmark();
        check_name(*model, "model");
        if (models_.insert(*model).second && file_.benchmark && models_.size() > 1)
            file_.remarks.push_back(file_.name + ": benchmarks are its models");
        return *model;
    }

    void set(const Sample& sample, std::optional<double> Counters::*kind) {
        if (!std::isfinite(sample.value) || sample.value < 0.0)
            throw BadLine("a counter that is no number, or negative",
                          fmt::format("{} is {}, expected a number that is at least 0", sample.name,
                                      core::shortest(sample.value)));
        Series series{.device = device_of(sample), .benchmark = benchmark_of(sample), .others = {}};
        for (const auto& [key, value] : sample.labels)
            if (key != "instance" && key != "model" && key != "model_name")
                series.others += fmt::format("{}={};", key, value);
        if (scrape_[series].*kind) flush(); // what comes again is of the next scrape
        scrape_[series].*kind = sample.value;
        file_.use_unit(metric_.unit);
        found_ = true;
    }

    void take_gauge(const Sample& sample, const Gauge& gauge) {
        if (!(std::abs(sample.value) < largest_known)) return;
        samples_.add_attribute(samples_.device(device_of(sample)), gauge.attribute, gauge.unit,
                               sample.value);
        found_ = true;
    }

    /// Ends a scrape.
    void flush() {
        for (const auto& [series, counters] : scrape_) {
            const auto count = counters.count ? counters.count : counters.other_count;
            if (!counters.time || !count || !samples_.wants(series.benchmark)) continue;
            other_counts_ = other_counts_ || !counters.count;
            samples_.add_scrape(samples_.device(series.device),
                                samples_.benchmark(series.benchmark), series.others,
                                {in_ms(*counters.time, metric_.unit), *count});
        }
        scrape_.clear();
    }

    TelemetryFile& file_;
    Samples& samples_;
    Metric metric_;
    std::map<Series, Counters> scrape_;
    std::set<std::string> instances_;
    std::set<std::string> models_;
    std::set<std::string> sums_; ///< metrics that could be read
    bool found_ = false;
    bool other_counts_ = false;
};

} // namespace

bool is_prometheus(std::string_view beginning) {
    beginning = from_first_text(beginning);
    if (beginning.starts_with("# HELP ") || beginning.starts_with("# TYPE ")) return true;
    const std::string_view line = beginning.substr(0, beginning.find_first_of("\r\n"));
    try {
        return line.find('{') != std::string_view::npos && !SampleParser(line).parse().name.empty();
    } catch (const BadLine&) {
        return false;
    }
}

void read_prometheus(TelemetryFile& file, Samples& samples) {
    ScrapeReader reader(file, samples);
    LineReader lines(file.input, file.name);
    for (std::string line; lines.next(line);) {
        const std::string_view text = from_first_text(line);
        if (text.empty() || text.starts_with('#')) continue;
        file.take_row(lines.line(), [&] {
            if (!lines.has_end()) throw BadLine("a line that is cut", "the line has no end");
            reader.take(SampleParser(text).parse());
        });
    }
    reader.finish();
    file.statistic = "mean, from counters";
}

} // namespace hdap::fleet
