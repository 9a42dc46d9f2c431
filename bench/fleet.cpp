#include "hdap/fleet/fleet.hpp"

#include "bench.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/fleet/telemetry.hpp"
#include "stopwatch.hpp"

#include <fmt/format.h>

#include <functional>
#include <iterator>
#include <map>
#include <streambuf>
#include <string>
#include <vector>

namespace hdap::bench {
namespace {

constexpr std::size_t devices = 1000;
constexpr std::size_t benchmarks = 4;
constexpr std::size_t runs = 250;
constexpr std::size_t rows = devices * benchmarks * runs;

/// A text as a file.
class TextBuffer : public std::streambuf {
  public:
    explicit TextBuffer(std::string& text) {
        setg(text.data(), text.data(), text.data() + text.size());
    }
};

/// A million inferences: "unit-00017,resnet50,113,12.34567".
std::string telemetry() {
    constexpr const char* names[benchmarks] = {"resnet50", "mobilenet_v1", "bert_base", "yolov8n"};
    std::string text = "device_id,benchmark,run,latency_ms\n";
    core::RandomStream random(1, core::StreamId::testing);
    for (std::size_t device = 0; device < devices; ++device)
        for (std::size_t b = 0; b < benchmarks; ++b)
            for (std::size_t run = 0; run < runs; ++run)
                fmt::format_to(std::back_inserter(text), "unit-{:05},{},{},{:.5f}\n", device,
                               names[b], run,
                               (1.0 + static_cast<double>(b)) * (10.0 + random.uniform()));
    return text;
}

fleet::Fleet import_text(std::string& text) {
    TextBuffer buffer(text);
    std::istream input(&buffer);
    return fleet::import_telemetry(input, {.source = "measurements.csv", .sku = "bench"});
}

using Latencies = std::map<std::pair<std::string, std::string>, std::vector<double>>;

/// The same in a few lines, without any check.
Latencies read_plainly(std::string& text) {
    TextBuffer buffer(text);
    std::istream input(&buffer);
    Latencies latencies;
    std::string line;
    std::getline(input, line);
    while (std::getline(input, line)) {
        std::vector<std::string> fields;
        for (std::size_t at = 0; at <= line.size();) {
            const std::size_t end = std::min(line.find(',', at), line.size());
            fields.push_back(line.substr(at, end - at));
            at = end + 1;
        }
        latencies[{fields[0], fields[1]}].push_back(std::stod(fields[3]));
    }
    return latencies;
}

void verify_medians(std::string& text) {
    const fleet::Fleet imported = import_text(text);
    const Latencies plain = read_plainly(text);
    if (plain.size() != imported.latency_ms.size())
        throw core::InternalError("an import has lost a device or a benchmark");
    for (std::size_t d = 0; d < imported.devices(); ++d)
        for (std::size_t b = 0; b < imported.benchmarks(); ++b) {
            const std::pair key(imported.device_ids[d], imported.benchmark_names[b]);
            const double median = core::median(plain.at(key));
            if (imported.latency_ms[d * imported.benchmarks() + b] != median)
                throw core::InternalError(
                    fmt::format("{} on {}: an import's median is not the median {}", key.first,
                                key.second, median));
        }
}

} // namespace

std::vector<Result> bench_fleet(bool verify) {
    std::string text = telemetry();
    if (verify) verify_medians(text);
    std::size_t sink = 0;
    const std::vector<std::function<void()>> contenders{
        [&] { sink += import_text(text).devices(); }, [&] { sink += read_plainly(text).size(); }};
    const auto seconds = fastest_seconds(contenders, 5, 0.0, Clock::thread);
    if (sink == 0) throw core::InternalError("fleets without devices");
    const auto rate = [](double s) { return static_cast<double>(rows) / s; };
    return {{.name = "import_rows_per_s",
             .value = rate(seconds[0]),
             .unit = "rows/s",
             .baseline = "std::getline, substr and std::stod into a std::map",
             .baseline_value = rate(seconds[1]),
             .ratio = seconds[1] / seconds[0],
             .target = std::nullopt},
            {.name = "import_rows_per_s_vs_target",
             .value = rate(seconds[0]),
             .unit = "rows/s",
             .baseline = "what is to be reached",
             .baseline_value = 1e6,
             .ratio = rate(seconds[0]) / 1e6,
             .target = 1.0}};
}

} // namespace hdap::bench
