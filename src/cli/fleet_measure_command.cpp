#include "commands.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/local_conditions.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/study/fleet_measurement.hpp"
#include "print_document.hpp"
#include "protocol_options.hpp"
#include "study_options.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct MeasureOptions {
    std::string config;
    std::vector<std::string> overrides;
    study::MeasuredDevices devices;
    fleet::MeasurementParameters parameters;
    int threads = 0;
    std::string conditions;
    bool json = false;
    bool quiet = false;
};

/// NaN has no place in JSON.
nlohmann::ordered_json number_or_null(double value) {
    return std::isnan(value) ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
}

nlohmann::ordered_json device_json(const fleet::MeasuredFleet& measured, std::size_t i) {
    const auto reliability = fleet::reliability_of_device(measured, i);
    const fleet::HostConditions& conditions = measured.conditions[i];
    nlohmann::ordered_json latencies;
    const std::size_t benchmarks = measured.fleet.benchmarks();
    for (std::size_t b = 0; b < benchmarks; ++b)
        latencies[measured.fleet.benchmark_names[b]] =
            measured.fleet.latency_ms[i * benchmarks + b];
    return {{"device_id", measured.fleet.device_ids[i]},
            {"host", conditions.host},
            {"threads", conditions.threads},
            {"isa_limit", conditions.isa_limit},
            {"cores_used_by_others", number_or_null(conditions.cores_used_by_others)},
            {"split_half_kendall_tau", number_or_null(reliability.kendall_tau)},
            {"split_half_median_difference", reliability.median_difference},
            {"resolution", reliability.resolution()},
            {"latency_ms", latencies}};
}

void print_json(const fleet::MeasuredFleet& measured, const std::string& file) {
    nlohmann::ordered_json devices = nlohmann::ordered_json::array();
    for (std::size_t i = 0; i < measured.fleet.devices(); ++i)
        devices.push_back(device_json(measured, i));
    const nlohmann::ordered_json document{{"file", file},
                                          {"sku", measured.fleet.sku},
                                          {"network", measured.benchmarks.network},
                                          {"batch", measured.benchmarks.batch},
                                          {"rounds", measured.parameters.rounds},
                                          {"runs", measured.parameters.runs},
                                          {"devices", devices}};
    print_document(document);
}

void print_table(const fleet::MeasuredFleet& measured, const std::string& file) {
    const std::size_t benchmarks = measured.fleet.benchmarks();
    std::printf("%s: measured %s of %s on %s, %s of %s, batch %lld\n\n", file.c_str(),
                core::counted(measured.fleet.devices(), "device").c_str(),
                measured.fleet.sku.c_str(), core::counted(benchmarks, "benchmark network").c_str(),
                core::counted(measured.parameters.rounds, "round").c_str(),
                core::counted(measured.parameters.runs, "run").c_str(),
                static_cast<long long>(measured.benchmarks.batch));
    std::printf("%-24s %12s %12s %8s %26s\n", "device", "unpruned ms", "fastest ms", "tau",
                "no differences below");
    for (std::size_t i = 0; i < measured.fleet.devices(); ++i) {
        const auto* const latencies = measured.fleet.latency_ms.data() + i * benchmarks;
        const auto reliability = fleet::reliability_of_device(measured, i);
        const std::string tau = std::isnan(reliability.kendall_tau)
                                    ? "–" // of a single benchmark
                                    : fmt::format("{:.2f}", reliability.kendall_tau);
        std::printf("%-24s %12.4g %12.4g %s %24.2f %%\n", measured.fleet.device_ids[i].c_str(),
                    latencies[0], *std::min_element(latencies, latencies + benchmarks),
                    core::padded_left(tau, 8).c_str(), 100.0 * reliability.resolution());
    }
}

/// The conditions that --conditions has for --device-id.
std::optional<fleet::LocalCondition> condition_of(const MeasureOptions& options) {
    if (options.conditions.empty()) return std::nullopt;
    if (options.devices.device_id.empty())
        throw core::UsageError("--conditions needs --device-id, which names one of them");
    if (options.threads != 0)
        throw core::UsageError("--threads and --conditions both say the number of threads");
    return fleet::local_condition(options.conditions, options.devices.device_id);
}

ExitCode measure(const parallel::Communicator& world, MeasureOptions options) {
    parallel::RunControl control;
    std::optional<fleet::ConditionInForce> condition;
    world.on_every_rank([&] {
        if (const auto chosen = condition_of(options)) {
            options.threads = static_cast<int>(chosen->threads);
            condition.emplace(*chosen);
        }
    });
    core::Log log(
        {.quiet = options.quiet || !world.is_root(), .terminal = core::Log::stderr_is_terminal()});
    const auto launch = parallel::inspect_launch(world, options.threads);
    std::optional<study::Settings> settings;
    world.on_every_rank(
        [&] { settings = study::load_settings_file(options.config, options.overrides); });
    options.parameters.seed = static_cast<std::uint64_t>(settings->seed);
    for (const std::string& binding : launch.bindings)
        log.info("  " + binding);
    if (!launch.idle_cores.empty()) log.warning(launch.idle_cores);
    const auto measured = study::measure_fleet({world, log, control, launch.threads_per_rank},
                                               *settings, options.parameters, options.devices);
    if (!measured) {
        log.info("stopped early; nothing was written, the same command measures again");
        return ExitCode::stopped;
    }
    if (!world.is_root()) return ExitCode::complete;
    for (const fleet::HostConditions& conditions : measured->conditions)
        if (const std::string what = fleet::disturbance(conditions); !what.empty())
            log.warning(what + ": latencies may be too long, measure again when it is idle");
    const std::string file = options.devices.file.string();
    if (options.json)
        print_json(*measured, file);
    else
        print_table(*measured, file);
    return ExitCode::complete;
}

void add_device_options(CLI::App& command, study::MeasuredDevices& devices) {
    command.add_option("--out", devices.file, "HDF5 file to write (hdap-fleet/1)")->required();
    command.add_option("--device-id", devices.device_id,
                       "Name of this device (default: the node's, or the host's)");
    command.add_option("--sku", devices.sku,
                       "What the label on the devices says (default: fleet.recorded.sku)");
    command.add_flag("--append", devices.append, "Add to the devices that are in the file");
    command.add_flag("--replace", devices.replace,
                     "As --append; a device of the same name gives way");
}

} // namespace

void add_fleet_measure_command(CLI::App& app, Action& action) {
    auto options = std::make_shared<MeasureOptions>();
    CLI::App* command = add_command(
        *app.get_subcommand("fleet"), "measure",
        "Measure the benchmark networks of a study on this machine, or on one machine per rank: "
        "each becomes a device of the fleet.",
        "srun --mpi=pmix --ntasks-per-node=1 hdap fleet measure my-study.toml --out fleet.h5");
    command->add_option("CONFIG", options->config, "The study's configuration (TOML)")->required();
    add_override_option(*command, options->overrides);
    add_device_options(*command, options->devices);
    add_protocol_options(*command, options->parameters);
    command
        ->add_option("--threads", options->threads,
                     "Threads per inference (default: OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, or the "
                     "cores each rank is bound to)")
        ->check(CLI::Range(1, 4096));
    command->add_option("--conditions", options->conditions,
                        "Measure under the conditions that this file (TOML) has for --device-id");
    command->add_flag("--json", options->json, "Print what was measured as JSON");
    command->add_flag("--quiet", options->quiet, "Print nothing but errors and the result");
    command->callback([options, &action] {
        action = [options](Arguments arguments) {
            return run_on_all_ranks(arguments, [&](const parallel::Communicator& world) {
                return measure(world, *options);
            });
        };
    });
}

} // namespace hdap::cli
