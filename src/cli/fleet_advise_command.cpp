#include "commands.hpp"
#include "fleet_file.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/anatomy.hpp"
#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/report/fleet_verdict.hpp"
#include "hdap/storage/user_file.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/settings.hpp"
#include "print_document.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace hdap::cli {
namespace {

using core::ExitCode;

struct AdviseOptions {
    std::string path; ///< a fleet, or the run directory of a study that has been profiled
    bool json = false;
};

/// What a study is advised to do.
struct Advice {
    std::string verdict;
    std::string reason;
    std::string clusters_toml;
    std::size_t clusters = 1;
    std::int64_t devices = 1;    ///< that measure
    std::int64_t candidates = 1; ///< that each of them measures
    std::string central_device;  ///< nearest to the fleet's middle; may be empty
    std::string table;           ///< what it is concluded from; may be empty
};

void print(const Advice& advice) {
    if (!advice.table.empty()) std::printf("%s\n", advice.table.c_str());
    std::printf("%s\n", advice.verdict.c_str());
    if (!advice.reason.empty()) std::printf("%s\n", advice.reason.c_str());
    std::printf("\n%s\n[profile]\ncandidates = %lld   # on %s: %s\n", advice.clusters_toml.c_str(),
                static_cast<long long>(advice.candidates),
                core::counted(advice.devices, "device").c_str(),
                core::counted(advice.devices * advice.candidates, "measurement").c_str());
    if (advice.clusters == 1 && !advice.central_device.empty())
        std::printf("# nearest to the fleet's middle: %s\n",
                    core::printable(advice.central_device).c_str());
}

void print_json(const Advice& advice) {
    print_document({{"verdict", advice.verdict},
                    {"reason", advice.reason},
                    {"clusters_toml", advice.clusters_toml},
                    {"clusters", advice.clusters},
                    {"devices", advice.devices},
                    {"candidates", advice.candidates},
                    {"measurements", advice.devices * advice.candidates},
                    {"central_device", advice.central_device.empty()
                                           ? nlohmann::ordered_json(nullptr)
                                           : nlohmann::ordered_json(advice.central_device)}});
}

/// Devices that are measured for so many clusters; one for a single device.
std::int64_t devices_of(const std::string& clusters_toml, std::size_t clusters,
                        std::int64_t representatives) {
    const bool is_one = clusters_toml.find("single_device") != std::string::npos;
    return is_one ? 1 : static_cast<std::int64_t>(clusters) * representatives;
}

std::string clusters_toml(const std::string& method) {
    return fmt::format("[clusters]\nmethod = \"{}\"\n", method);
}

/// Before anything but benchmarks was measured.
Advice advice_before_profiling(const std::string& path) {
    const fleet::Fleet fleet = fleet_in(storage::open_user_file(path, fleet_in));
    const study::Settings standard;
    const fleet::Clustering clustering = fleet::cluster_devices(fleet, standard.clusters);
    const fleet::FleetAnatomy anatomy = fleet::anatomy_of(fleet);
    Advice advice;
    advice.verdict = fleet::verdict(anatomy);
    const std::string held_out = fleet::held_out_text(clustering);
    advice.clusters = clustering.clusters();
    advice.candidates = standard.profile.candidates;
    if (!anatomy.regret.figures.empty())
        advice.central_device = fleet.device_ids[anatomy.regret.central_device];
    advice.reason =
        fmt::format("{} ({}){}{}.", core::counted(clustering.clusters(), "cluster"),
                    fleet::grouping_text(clustering), held_out.empty() ? "" : ": ", held_out);
    if (fleet::one_device_is_enough(anatomy)) {
        advice.clusters = 1;
        advice.clusters_toml = clusters_toml("single_device");
        return advice;
    }
    advice.clusters_toml = clusters_toml(clustering.clusters() == 1 ? "whole_fleet" : "covering");
    advice.devices = 0; // a small cluster has fewer than are wanted
    for (const auto& devices : clustering.representatives)
        advice.devices += std::ssize(devices);
    return advice;
}

/// With what representatives measured.
Advice advice_after_profiling(const std::filesystem::path& folder) {
    for (const char* const file : {"config.toml", "profile.h5", "surrogates.h5"})
        if (!std::filesystem::exists(folder / file))
            throw core::UsageError(
                fmt::format("{} has no {}; name a fleet, or the run directory of a study that has "
                            "surrogates (hdap surrogate fit)",
                            folder.string(), file));
    const study::Settings settings =
        study::load_settings_file((folder / "config.toml").string(), {});
    const auto profile =
        fleet::read_profile(study::open_stage(folder / "profile.h5", fleet::profile_schema));
    const auto regrets = search::read_regrets(
        study::open_stage(folder / "surrogates.h5", surrogate::surrogates_schema));
    if (regrets.empty())
        throw core::UsageError(fmt::format(
            "{} does not tell what other clusters would be worth: its fleet is one cluster, or "
            "fewer than {} candidates were profiled; name the fleet itself, {}",
            folder.string(), search::fewest_for_regret, (folder / "fleet.h5").string()));
    const report::FleetVerdict verdict = report::fleet_verdict(regrets);
    const search::ClusterAgreement agreement = search::agreement_of_clusters(profile);
    Advice advice;
    advice.table = report::regret_table(regrets);
    advice.verdict = verdict.sentence;
    advice.reason =
        fmt::format("{} Clusters rank the {} with Kendall's tau {} in the median, {} "
                    "at least.",
                    verdict.advice, core::counted(profile.candidates(), "candidate"),
                    core::significant(agreement.median, 3), core::significant(agreement.least, 3));
    advice.clusters = verdict.enough->clusters;
    advice.clusters_toml = report::clusters_toml(*verdict.enough);
    advice.candidates = settings.profile.candidates;
    advice.devices =
        devices_of(advice.clusters_toml, advice.clusters, settings.clusters.representatives);
    return advice;
}

ExitCode advise(const AdviseOptions& options) {
    const Advice advice = std::filesystem::is_directory(options.path)
                              ? advice_after_profiling(options.path)
                              : advice_before_profiling(options.path);
    if (options.json)
        print_json(advice);
    else
        print(advice);
    return ExitCode::complete;
}

} // namespace

void add_fleet_advise_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<AdviseOptions>();
    CLI::App* command =
        add_command(group, "advise",
                    "Whether a fleet matters for the choice of networks, and the [clusters] and "
                    "measurements that are enough: by benchmarks alone, or with a study's profile.",
                    "hdap fleet advise runs/my-study");
    command
        ->add_option("PATH", options->path,
                     "Fleet (hdap fleet import), or run directory of a study with surrogates")
        ->required();
    command->add_flag("--json", options->json, "Print one JSON document");
    command->callback(
        [options, &action] { action = [options](Arguments) { return advise(*options); }; });
}

} // namespace hdap::cli
