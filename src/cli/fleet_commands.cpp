#include "commands.hpp"
#include "fleet_file.hpp"
#include "hdap/core/memory.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/ticks.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/storage/user_file.hpp"
#include "option_checks.hpp"
#include "setting_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct ClusterOptions {
    std::string fleet;
    std::string output;
    fleet::ClusteringParameters parameters;
};

void print_clusters(const fleet::Fleet& devices, const fleet::Clustering& clustering) {
    const auto noise =
        std::count(clustering.cluster_of_device.begin(), clustering.cluster_of_device.end(), -1);
    std::printf("%s of %s, %s; %s\n", core::counted(clustering.clusters(), "cluster").c_str(),
                core::counted(devices.devices(), "device").c_str(),
                core::counted(noise, "noise device").c_str(),
                fleet::grouping_text(clustering).c_str());
    const std::string held_out = fleet::held_out_text(clustering);
    if (!held_out.empty()) std::printf("%s\n", held_out.c_str());
    std::printf("\n");
    constexpr std::size_t most_shown = 12;
    const std::size_t shown = std::min(devices.benchmarks(), most_shown);
    std::printf("%-8s %8s %10s   latency relative to the fleet's median%s\n", "cluster", "devices",
                "weight",
                shown < devices.benchmarks()
                    ? fmt::format(", of the first {} benchmarks", shown).c_str()
                    : "");
    const auto signatures = fleet::latency_signatures(devices, fleet::SignatureMetric::level);
    for (std::size_t k = 0; k < clustering.clusters(); ++k) {
        std::vector<double> sums(devices.benchmarks(), 0.0);
        std::vector<double> measured(devices.benchmarks(), 0.0);
        std::size_t members = 0;
        for (std::size_t i = 0; i < devices.devices(); ++i) {
            if (clustering.cluster_of_device[i] != static_cast<std::int32_t>(k)) continue;
            ++members;
            for (std::size_t b = 0; b < sums.size(); ++b) {
                const double signature = signatures[i * sums.size() + b];
                if (std::isnan(signature)) continue;
                sums[b] += signature;
                measured[b] += 1.0;
            }
        }
        std::printf("%-8zu %8zu %9.2f%%  ", k, members, 100.0 * clustering.cluster_weight[k]);
        for (std::size_t b = 0; b < shown; ++b)
            if (measured[b] > 0.0)
                std::printf(" %.3f", std::exp(sums[b] / measured[b]));
            else
                std::printf(" %5s", "-"); // no device of it was measured there
        std::printf("\n");
    }
    print_missing(devices);
}

ExitCode cluster(const ClusterOptions& options) {
    if (!options.output.empty()) check_output_file("--out", options.output, {options.fleet});
    const auto devices = fleet_in(storage::open_user_file(options.fleet, fleet_in));
    constexpr std::size_t worth_telling = 1'000'000'000;
    const std::size_t needed = fleet::clustering_bytes(devices.devices(), devices.benchmarks());
    if (needed > worth_telling)
        std::fprintf(stderr, "clustering %s takes about %s of memory beside the fleet\n",
                     core::counted(devices.devices(), "device").c_str(),
                     core::memory_text(needed).c_str());
    const auto clustering = fleet::cluster_devices(devices, options.parameters);
    if (!options.output.empty()) {
        storage::Hdf5Writer file;
        storage::write_identity(
            file, {.schema = fleet::clusters_schema, .config_sha256 = "", .input_sha256 = ""});
        fleet::write_clustering(file, clustering);
        fleet::write_distribution(file, fleet::distribution_of(clustering));
        storage::write_sealed(options.output, file.finish());
    }
    print_clusters(devices, clustering);
    const std::string doubt = fleet::grouping_warning(clustering);
    if (!doubt.empty()) print_warning(options.fleet + ": " + doubt);
    const std::string ticks = fleet::tick_warning(devices, clustering);
    if (!ticks.empty()) print_warning(options.fleet + ": " + ticks);
    warn_of_doubts(options.fleet, devices);
    return ExitCode::complete;
}

void add_cluster(CLI::App& group, Action& action) {
    auto options = std::make_shared<ClusterOptions>();
    CLI::App* command = add_command(group, "cluster", "Cluster a fleet by its latencies.",
                                    "hdap fleet cluster fleet.h5 --error 0.02 --out clusters.h5");
    command->add_option("FLEET", options->fleet, "Fleet (hdap fleet import)")->required();
    command->add_option("--out", options->output, "HDF5 file to write (hdap-clusters/3)");
    add_setting_options(*command, settings_of(options->parameters));
    command->callback(
        [options, &action] { action = [options](Arguments) { return cluster(*options); }; });
}

} // namespace

void add_fleet_commands(CLI::App& app, Action& action) {
    CLI::App* group = app.add_subcommand("fleet", "Fleets of devices and their clusters");
    group->require_subcommand(1);
    add_fleet_import_command(*group, action);
    add_fleet_verify_command(*group, action);
    add_fleet_drift_command(*group, action);
    add_fleet_advise_command(*group, action);
    add_cluster(*group, action);
    add_fleet_info_command(*group, action);
}

} // namespace hdap::cli
