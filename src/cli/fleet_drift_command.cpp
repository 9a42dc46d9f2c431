#include "commands.hpp"
#include "fleet_file.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/drift.hpp"
#include "hdap/storage/user_file.hpp"
#include "hdap/study/deployed_network.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/settings.hpp"
#include "hdap/study/study.hpp"
#include "print_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct DriftOptions {
    std::string before; ///< a run directory or a fleet
    std::string now;
    std::string deployed; ///< id of front.csv; empty: the best one
    bool json = false;
};

/// A fleet and the clusters that it was in.
struct ClusteredFleet {
    fleet::Fleet fleet;
    fleet::Clustering clustering;
};

fleet::Fleet read_fleet_file(const std::string& path) {
    return fleet_in(storage::open_user_file(path, fleet_in));
}

ClusteredFleet read_before(const std::string& path) {
    if (!std::filesystem::is_directory(path)) {
        fleet::Fleet fleet = read_fleet_file(path);
        fleet::Clustering clustering = fleet::cluster_devices(fleet, {});
        return {std::move(fleet), std::move(clustering)};
    }
    const std::filesystem::path folder = path;
    for (const char* const file : {"fleet.h5", "clusters.h5"})
        if (!std::filesystem::exists(folder / file))
            throw core::UsageError(fmt::format(
                "{} has no {}; name the run directory of a study, or a fleet", path, file));
    return {
        fleet::read_fleet(study::open_stage(folder / "fleet.h5", fleet::fleet_schema)),
        fleet::read_clustering(study::open_stage(folder / "clusters.h5", fleet::clusters_schema))};
}

std::string percent(double share) {
    return core::significant(100.0 * share, 3);
}

/// What a cluster's row says last.
std::string state_of(const fleet::ClusterDrift& cluster) {
    if (std::isnan(cluster.moved)) return "no device is left";
    if (!cluster.is_valid) return "measure anew: its devices respond otherwise";
    return cluster.share_changed ? "valid; another share" : "valid";
}

void print_clusters(const fleet::FleetDrift& drift) {
    std::printf("%-8s %10s %10s %8s %8s %10s %10s   %s\n", "cluster", "before, %", "now, %",
                "joined", "left", "moved, %", "slower, %", "surrogate");
    for (std::size_t k = 0; k < drift.clusters.size(); ++k) {
        const fleet::ClusterDrift& cluster = drift.clusters[k];
        std::printf("%-8zu %10s %10s %8lld %8lld %10s %10s   %s\n", k,
                    percent(cluster.old_share).c_str(), percent(cluster.new_share).c_str(),
                    static_cast<long long>(cluster.joined), static_cast<long long>(cluster.left),
                    percent(cluster.moved).c_str(), percent(cluster.overall_ratio - 1.0).c_str(),
                    state_of(cluster).c_str());
    }
    double elsewhere = 1.0;
    for (const fleet::ClusterDrift& cluster : drift.clusters)
        elsewhere -= cluster.new_share;
    constexpr double rounding = 1e-9;
    if (elsewhere > rounding)
        std::printf("%-8s %10s %10s\n", "none", "", percent(elsewhere).c_str());
}

bool mixture_changed(const fleet::FleetDrift& drift) {
    return std::ranges::any_of(drift.clusters, &fleet::ClusterDrift::share_changed);
}

void print_conclusion(const fleet::FleetDrift& drift) {
    const auto valid = std::ranges::count_if(drift.clusters, &fleet::ClusterDrift::is_valid);
    std::printf("\n%s; surrogates of %lld of %s hold.\n",
                mixture_changed(drift) ? "The mixture has changed by more than chance would have it"
                                       : "The mixture is the same, as far as can be told",
                static_cast<long long>(valid),
                core::counted(drift.clusters.size(), "cluster").c_str());
    if (drift.outside_changed)
        std::printf("%s %% of the devices respond as no cluster does (%s %% before): they need "
                    "clusters of their own.\n",
                    percent(drift.outside_share).c_str(), percent(drift.outside_before).c_str());
}

/// How a study of the new fleet keeps what still holds, where there is such a study.
void print_continuation(const DriftOptions& options, const fleet::FleetDrift& drift) {
    const std::filesystem::path folder = options.before;
    for (const char* const file : {"config.toml", "profile.h5"})
        if (!std::filesystem::exists(folder / file)) return;
    const auto valid = std::ranges::count_if(drift.clusters, &fleet::ClusterDrift::is_valid);
    if (valid == 0) return;
    const auto settings = study::load_settings_file(folder / "config.toml", {});
    const bool has_file = !settings.fleet.fleet_file.empty();
    std::printf("\nTo keep %s and measure only what is new%s:\n"
                "  hdap run %s --set clusters.keep=%s%s --out NEW-RUN\n",
                core::counted(static_cast<std::size_t>(valid), "cluster").c_str(),
                has_file ? "" : " (set what the new fleet is)", (folder / "config.toml").c_str(),
                folder.c_str(),
                has_file ? fmt::format(" --set fleet.file={}", options.now).c_str() : "");
}

void print_deployed(const study::DeployedNetwork& deployed) {
    std::printf("\n%s takes %s ms over the fleet, predicted, %s ms before.\n", deployed.id.c_str(),
                core::significant(deployed.now_ms).c_str(),
                core::significant(deployed.then_ms).c_str());
    if (deployed.better_id == deployed.id)
        std::printf("It is still the fastest of the front that is as accurate.\n");
    else
        std::printf("%s is as accurate and faster now: %s ms.\n", deployed.better_id.c_str(),
                    core::significant(deployed.better_ms).c_str());
    for (const study::LaterBound& bound : deployed.broken)
        std::printf("It breaks %s: %s.\n", bound.constraint.c_str(),
                    core::significant(bound.value).c_str());
}

nlohmann::ordered_json document_of(const fleet::FleetDrift& drift,
                                   const std::optional<study::DeployedNetwork>& deployed) {
    nlohmann::ordered_json document{
        {"common_devices", drift.common_devices},    {"new_devices", drift.new_devices},
        {"gone_devices", drift.gone_devices},        {"common_benchmarks", drift.common_benchmarks},
        {"mixture_changed", mixture_changed(drift)}, {"outside_share", drift.outside_share},
        {"outside_before", drift.outside_before},    {"outside_changed", drift.outside_changed}};
    for (const fleet::ClusterDrift& cluster : drift.clusters)
        document["clusters"].push_back({{"old_share", cluster.old_share},
                                        {"new_share", cluster.new_share},
                                        {"share_changed", cluster.share_changed},
                                        {"joined", cluster.joined},
                                        {"left", cluster.left},
                                        {"moved", cluster.moved},
                                        {"overall_ratio", cluster.overall_ratio},
                                        {"valid", cluster.is_valid}});
    document["moved"] = nlohmann::ordered_json::array();
    for (const fleet::MovedDevice& device : drift.moved)
        document["moved"].push_back(
            {{"device", device.device_id}, {"from", device.from}, {"to", device.to}});
    if (!deployed) return document;
    document["deployed"] = {{"id", deployed->id},
                            {"then_ms", deployed->then_ms},
                            {"now_ms", deployed->now_ms},
                            {"best_id", deployed->better_id},
                            {"best_ms", deployed->better_ms}};
    document["deployed"]["broken"] = nlohmann::ordered_json::array();
    for (const study::LaterBound& bound : deployed->broken)
        document["deployed"]["broken"].push_back(
            {{"constraint", bound.constraint}, {"value", bound.value}, {"limit", bound.limit}});
    return document;
}

ExitCode drift(const DriftOptions& options) {
    const ClusteredFleet before = read_before(options.before);
    const fleet::Fleet now = read_fleet_file(options.now);
    const fleet::FleetDrift drift = fleet::drift_of(before.fleet, before.clustering, now);
    const std::filesystem::path folder = options.before;
    const bool has_front = std::filesystem::exists(folder / "search.h5") &&
                           std::filesystem::exists(folder / "results.h5");
    if (!options.deployed.empty() && !has_front)
        throw core::UsageError("--deployed names a network of the front of a complete study of one "
                               "round, and " +
                               options.before + " has none");
    std::optional<study::DeployedNetwork> deployed;
    if (has_front)
        deployed = study::deployed_network(options.before, options.deployed,
                                           fleet::distribution_of(drift.clustering));
    if (options.json) {
        print_document(document_of(drift, deployed));
        return ExitCode::complete;
    }
    std::printf("%s before, %s now; %s in both, on %s\n\n",
                core::counted(before.fleet.devices(), "device").c_str(),
                core::counted(now.devices(), "device").c_str(),
                core::grouped(drift.common_devices).c_str(),
                core::counted(drift.common_benchmarks, "benchmark").c_str());
    print_clusters(drift);
    print_conclusion(drift);
    if (deployed) print_deployed(*deployed);
    print_continuation(options, drift);
    return ExitCode::complete;
}

} // namespace

void add_fleet_drift_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<DriftOptions>();
    CLI::App* command = add_command(
        group, "drift",
        "What has changed in a fleet: its clusters matched, devices that moved, surrogates that "
        "still hold, and whether a study's network is still the best one. Ends with the command "
        "of a study that goes on with what still holds (clusters.keep).",
        "hdap fleet drift runs/my-study fleet-of-today.h5");
    command
        ->add_option("OLD", options->before,
                     "Run directory of a study, or a fleet, which is clustered")
        ->required();
    command->add_option("NEW", options->now, "Fleet (hdap fleet import)")->required();
    command->add_option("--deployed", options->deployed,
                        "Network of the study's front.csv that is in use (default: its best one)");
    command->add_flag("--json", options->json, "Print one JSON document");
    command->callback(
        [options, &action] { action = [options](Arguments) { return drift(*options); }; });
}

} // namespace hdap::cli
