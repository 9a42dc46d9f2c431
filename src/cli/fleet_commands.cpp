#include "commands.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/fleet/fleet.hpp"
#include "hdap/fleet/measured_fleet.hpp"
#include "hdap/fleet/plausibility.hpp"
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

fleet::Fleet fleet_in(const storage::Hdf5Reader& content) {
    storage::read_identity(content, fleet::fleet_schema);
    return fleet::read_fleet(content);
}

void read_for_info(const storage::Hdf5Reader& content) {
    fleet_in(content);
    if (fleet::is_measured(content)) fleet::read_measured_fleet(content);
}

/// Behind what stdout has got so far.
void warn(const std::string& sentence) {
    std::fflush(stdout);
    std::fprintf(stderr, "warning: %s\n", sentence.c_str());
}

void warn_of_doubts(const std::string& file, const fleet::Fleet& devices) {
    for (const std::string& doubt : fleet::doubts_about(devices))
        warn(file + ": " + doubt);
}

/// What a measured fleet says about its own latencies.
void print_reliability(const fleet::MeasuredFleet& measured) {
    std::vector<double> tau;
    std::vector<double> resolution;
    for (std::size_t i = 0; i < measured.fleet.devices(); ++i) {
        const auto reliability = fleet::reliability_of_device(measured, i);
        if (!std::isnan(reliability.kendall_tau)) tau.push_back(reliability.kendall_tau);
        resolution.push_back(reliability.resolution());
    }
    std::printf("\nmeasured in %s; ", core::counted(measured.parameters.rounds, "round").c_str());
    if (!tau.empty()) // a single benchmark has no rank
        std::printf("between even and odd rounds Kendall's tau is %.2f in the median, %.2f at "
                    "worst;\n",
                    core::quantile(tau, 0.5), core::quantile(tau, 0.0));
    std::printf("differences below %.2g %% in the median, %.2g %% at worst, are not differences\n",
                100.0 * core::quantile(resolution, 0.5), 100.0 * core::quantile(resolution, 1.0));
}

/// How much is missing, where something is.
void print_missing(const fleet::Fleet& devices) {
    const std::size_t missing = fleet::missing_latencies(devices);
    if (missing == 0) return;
    const std::size_t all = devices.latency_ms.size();
    std::printf("\n%s of %s latencies are missing (%.2g %%); clusters are found with estimates in "
                "their place\n",
                core::grouped(missing).c_str(), core::grouped(all).c_str(),
                100.0 * static_cast<double>(missing) / static_cast<double>(all));
}

ExitCode info(const std::string& path) {
    const auto file = storage::open_user_file(path, read_for_info);
    const auto devices = fleet_in(file);
    std::printf("%s: %s of %s%s\n\n", path.c_str(),
                core::counted(devices.devices(), "device").c_str(), devices.sku.c_str(),
                devices.attributes.empty() ? "" : ", with attributes");
    const bool complete = fleet::missing_latencies(devices) == 0;
    std::printf("%-32s %10s %10s %10s %10s %10s   %s%s\n", "latency (ms)", "mean", "p5", "median",
                "p95", "max", "p95 / median", complete ? "" : "  devices");
    for (std::size_t b = 0; b < devices.benchmarks(); ++b) {
        const std::vector<double> column = fleet::measured_latencies(devices, b);
        const double median = core::quantile(column, 0.5);
        const double p95 = core::quantile(column, 0.95);
        std::printf("%-32s %10.4g %10.4g %10.4g %10.4g %10.4g   ",
                    devices.benchmark_names[b].c_str(), core::mean(column),
                    core::quantile(column, 0.05), median, p95, core::quantile(column, 1.0));
        if (complete)
            std::printf("%.3f\n", p95 / median);
        else
            std::printf("%-12.3f  %s\n", p95 / median, core::grouped(column.size()).c_str());
    }
    print_missing(devices);
    const std::string ticks = fleet::ticks_text(devices, fleet::latency_ticks(devices));
    if (!ticks.empty()) std::printf("\n%s\n", ticks.c_str());
    warn_of_doubts(path, devices);
    if (fleet::is_measured(file)) print_reliability(fleet::read_measured_fleet(file));
    return ExitCode::complete;
}

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
    if (clustering.facts.no_dense_group)
        warn("no dense group of devices was found, so the whole fleet is one cluster; try a larger "
             "--eps or a smaller --min-points");
    const std::string ticks = fleet::tick_warning(devices, clustering);
    if (!ticks.empty()) warn(options.fleet + ": " + ticks);
    warn_of_doubts(options.fleet, devices);
    return ExitCode::complete;
}

void add_cluster(CLI::App& group, Action& action) {
    auto options = std::make_shared<ClusterOptions>();
    CLI::App* command = add_command(group, "cluster", "Cluster a fleet by its latencies.",
                                    "hdap fleet cluster fleet.h5 --metric shape --out clusters.h5");
    command->add_option("FLEET", options->fleet, "Fleet (hdap fleet import)")->required();
    command->add_option("--out", options->output, "HDF5 file to write (hdap-clusters/2)");
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
    add_cluster(*group, action);
    auto path = std::make_shared<std::string>();
    CLI::App* command = add_command(*group, "info", "How the latencies of a fleet spread.",
                                    "hdap fleet info fleet.h5");
    command->add_option("FLEET", *path, "Fleet (hdap-fleet/1)")->required();
    command->callback([path, &action] { action = [path](Arguments) { return info(*path); }; });
}

} // namespace hdap::cli
