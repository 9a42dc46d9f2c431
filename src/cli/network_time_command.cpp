#include "commands.hpp"
#include "hdap/accuracy/inference.hpp"
#include "hdap/core/csv.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/host_conditions.hpp"
#include "hdap/fleet/local_conditions.hpp"
#include "hdap/fleet/measurement.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/parallel/run_control.hpp"
#include "hdap/parallel/walltime.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "option_checks.hpp"
#include "protocol_options.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct TimeOptions {
    std::vector<std::string> networks;
    std::int64_t batch = 1;
    int threads = 1;
    fleet::MeasurementParameters parameters;
    std::string csv;
    std::string device;
    std::string conditions;
    std::string sustained; ///< a duration; empty: in rounds
    bool quiet = false;
};

/// The name of a file without its folder and ending, which plans call a candidate by.
std::string name_of(const std::string& network) {
    return std::filesystem::path(network).stem().string();
}

std::unique_ptr<accuracy::Inference> inference_of(const std::string& file,
                                                  const TimeOptions& options) {
    network::LoadedNetwork loaded = network::load_network({.network = file});
    if (!loaded.weights) // they do not change how long it takes
        loaded.weights = network::initial_weights(loaded.network, 1);
    return accuracy::make_inference(loaded.network, *loaded.weights, options.batch,
                                    options.threads);
}

/// A line per round and network, as hdap fleet import reads them.
std::string csv_of(const TimeOptions& options, std::span<const double> rounds) {
    std::string text = options.device.empty() ? "" : "device_id,";
    text += "benchmark,run,latency_ms\n";
    for (std::size_t i = 0; i < rounds.size(); ++i) {
        if (!options.device.empty()) text += core::csv_field(options.device) + ",";
        text += fmt::format("{},{},{}\n",
                            core::csv_field(name_of(options.networks[i % options.networks.size()])),
                            i / options.networks.size(), core::shortest(rounds[i]));
    }
    return text;
}

void print_latencies(const TimeOptions& options, const fleet::RoundLatencies& rounds) {
    const std::vector<double> latencies =
        fleet::latency_estimates(rounds, options.networks.size(), options.parameters.quantile);
    const auto reliability =
        fleet::split_half_reliability(rounds, options.networks.size(), options.parameters.quantile);
    if (!options.quiet)
        std::printf("differences below %.2g %% are not known to be any\n",
                    100.0 * reliability.resolution());
    for (std::size_t i = 0; i < latencies.size(); ++i)
        std::printf("%s: %s ms\n", name_of(options.networks[i]).c_str(),
                    core::significant(latencies[i], 5).c_str());
}

/// A line per part of the time, as hdap fleet import reads them.
std::string csv_of(const TimeOptions& options, std::span<const fleet::SustainedWindow> curve) {
    std::string text =
        fmt::format("# network,{}\n# batch,{}\nminute,runs,median_ms,p90_ms\n",
                    core::csv_field(name_of(options.networks.front())), options.batch);
    for (const fleet::SustainedWindow& part : curve)
        text += fmt::format("{:.4f},{},{},{}\n", part.end_s / 60.0, part.runs,
                            core::shortest(part.median_ms), core::shortest(part.p90_ms));
    return text;
}

/// Whether the CSV went to stdout, where nothing else may then be.
bool write_csv(const std::string& file, const std::string& text) {
    if (file == "-") std::fputs(text.c_str(), stdout);
    if (!file.empty() && file != "-") storage::write_atomically(file, text);
    return file == "-";
}

/// Under continuous load.
ExitCode measure_load(const TimeOptions& options, const fleet::Measurable& measurable,
                      const parallel::RunControl& control) {
    constexpr std::int64_t parts = 60;
    const auto duration = parallel::parse_duration(options.sustained);
    if (!duration)
        throw core::UsageError(fmt::format("--sustained '{}' is no duration; expected one like 10m",
                                           core::printable(options.sustained)));
    const auto curve = fleet::measure_sustained(
        measurable, duration->count(), parts,
        [&](const fleet::MeasurementProgress&) { return !control.stop_requested(); });
    if (!curve) return ExitCode::stopped;
    if (write_csv(options.csv, csv_of(options, *curve))) return ExitCode::complete;
    const double first = curve->front().median_ms;
    const double last = fleet::sustained_latency_ms(*curve);
    if (!options.quiet)
        std::printf("at first %s ms, then %+.1f %%\n", core::significant(first, 5).c_str(),
                    100.0 * (last / first - 1.0));
    std::printf("%s: %s ms\n", name_of(options.networks.front()).c_str(),
                core::significant(last, 5).c_str());
    return ExitCode::complete;
}

ExitCode measure(TimeOptions options) {
    if (!options.sustained.empty() && options.networks.size() != 1)
        throw core::UsageError("--sustained measures one network");
    if (!options.csv.empty() && options.csv != "-")
        check_output_file("--csv", options.csv, options.networks);
    if (options.conditions.empty() != options.device.empty() && !options.conditions.empty())
        throw core::UsageError("--conditions needs --device, which names one of them");
    std::optional<fleet::ConditionInForce> condition;
    const fleet::ConditionWatch watch;
    if (!options.conditions.empty()) {
        const auto chosen = fleet::local_condition(options.conditions, options.device);
        options.threads = static_cast<int>(chosen.threads);
        condition.emplace(chosen);
    }
    const parallel::RunControl control;
    std::vector<std::unique_ptr<accuracy::Inference>> inferences;
    for (const std::string& network : options.networks)
        inferences.push_back(inference_of(network, options));
    const fleet::Measurable measurable{.networks = inferences.size(),
                                       .run = [&](std::size_t i) { inferences[i]->run(); }};
    if (!options.sustained.empty()) return measure_load(options, measurable, control);
    const auto rounds = fleet::measure_rounds(
        measurable, options.parameters,
        [&](const fleet::MeasurementProgress&) { return !control.stop_requested(); });
    if (!rounds) return ExitCode::stopped;
    const std::string what = fleet::disturbance(watch.conditions());
    if (!what.empty()) // hogs are threads of this process, and so are no others
        std::fprintf(stderr, "warning: %s: latencies may be too long\n", what.c_str());
    if (write_csv(options.csv, csv_of(options, *rounds))) return ExitCode::complete;
    print_latencies(options, *rounds);
    return ExitCode::complete;
}

} // namespace

void add_network_time_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<TimeOptions>();
    CLI::App* command = add_command(
        group, "time",
        "How long networks take on this machine, measured in interleaved rounds with LibTorch.",
        "hdap network time pruned.onnx unpruned.onnx --batch 16\n"
        "  hdap network time pruned.onnx --conditions configs/local-conditions.toml --device avx2");
    command->add_option("NETWORKS", options->networks, "Files, or names of the zoo")->required();
    command->add_option("--batch", options->batch, "Images per inference")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    command->add_option("--threads", options->threads, "Threads per inference")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    add_protocol_options(*command, options->parameters);
    command->add_option(
        "--sustained", options->sustained,
        "Run one network for so long (10m) without a pause instead: clocks fall as a "
        "device warms up. The latency is the last quarter's; --csv has the curve");
    command->add_option(
        "--csv", options->csv,
        "File of all rounds, as hdap fleet import and profile import read it; -: stdout, "
        "and nothing else there");
    command->add_option("--device", options->device, "Name of this device");
    command->add_option("--conditions", options->conditions,
                        "Measure under the conditions that this file (TOML) has for --device");
    command->add_flag("--quiet", options->quiet, "Print the latencies alone");
    command->callback(
        [options, &action] { action = [options](Arguments) { return measure(*options); }; });
}

} // namespace hdap::cli
