// The stages that come before the search: fleet, clusters, profile, surrogates.
#include "fleet_regret.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/dbscan_team.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/fleet/plausibility.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/fleet/profiling.hpp"
#include "hdap/fleet/random_networks.hpp"
#include "hdap/fleet/ticks.hpp"
#include "hdap/report/fleet_verdict.hpp"
#include "hdap/study/on_every_rank.hpp"
#include "hdap/surrogate/surrogate.hpp"
#include "rounds.hpp"
#include "stage_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace hdap::study {
namespace {

/// Writes a stage's output. On the root.
void write_output(const StudyRun& run, Stage stage,
                  const std::function<void(storage::Hdf5Writer&)>& content) {
    write_stage(run.output(stage), identity_of(run, stage), content);
}

fleet::Clustering read_clusters(const StudyRun& run) {
    return fleet::read_clustering(open_stage(run.output(Stage::clusters), fleet::clusters_schema));
}

/// Who is measured: thousands of ranks need not know the whole fleet for that. Collective.
fleet::Representatives representatives_on_every_rank(const StudyRun& run) {
    std::vector<std::int32_t> devices;
    std::vector<double> ratios;
    std::vector<std::uint64_t> sizes;
    run.communicator().on_root([&] {
        const fleet::Clustering clustering = read_clusters(run);
        for (const auto& cluster : clustering.representatives) {
            devices.insert(devices.end(), cluster.begin(), cluster.end());
            for (const std::int32_t device : cluster)
                ratios.push_back(clustering.device_ratio[static_cast<std::size_t>(device)]);
            sizes.push_back(cluster.size());
        }
    });
    run.communicator().broadcast(devices);
    run.communicator().broadcast(ratios);
    run.communicator().broadcast(sizes);
    fleet::Representatives representatives;
    std::ptrdiff_t first = 0;
    for (const std::uint64_t size : sizes) {
        const std::ptrdiff_t end = first + static_cast<std::ptrdiff_t>(size);
        representatives.devices.emplace_back(devices.begin() + first, devices.begin() + end);
        representatives.ratio.emplace_back(ratios.begin() + first, ratios.begin() + end);
        first = end;
    }
    return representatives;
}

/// Random candidates of the study, or of the round where each measures its own; before them the
/// study's own network, which all latencies are compared with.
std::vector<network::Genome> genomes_to_profile(const StudyRun& run) {
    const Settings& settings = run.settings();
    const bool is_of_round = is_of_each_round(settings, Stage::profile);
    auto genomes = fleet::profile_genomes(is_of_round ? run.space : run.own().space,
                                          round_seed(settings, is_of_round ? run.round : 1),
                                          settings.profile.candidates);
    if (genomes.front() != run.own().space.unpruned())
        genomes.insert(genomes.begin(), run.own().space.unpruned());
    return genomes;
}

/// What of the former study's profile counts: nothing where there is none, no cluster was kept, or
/// its candidates were measured otherwise. Collective.
std::optional<fleet::KnownRows>
known_rows_on_every_rank(const StudyRun& run, const std::vector<network::Genome>& candidates) {
    const std::string& kept_run = run.settings().kept_run;
    if (kept_run.empty()) return std::nullopt;
    const auto file = open_on_every_rank(run.communicator(), profile_of_former(kept_run).string(),
                                         storage::Seal::required);
    std::optional<fleet::KnownRows> known;
    run.communicator().on_every_rank([&] {
        known.emplace(fleet::KnownRows{fleet::read_profile(file), {}});
    });
    run.communicator().on_root([&] {
        const auto former = read_clusters(run).former_cluster;
        const auto kept = std::ranges::count_if(former, [](std::int32_t k) { return k >= 0; });
        if (kept == 0) return;
        if (std::ranges::max(former) >= static_cast<std::int64_t>(known->profile.clusters))
            throw core::DataError(file.name() + " is not the one that the clusters were made with");
        const std::string why =
            why_measured_anew(run.settings(), run.own().space, known->profile, candidates);
        if (why.empty()) known->row_of_cluster = former;
        run.job.log.info(fmt::format("profile: {} of {} surrogates {}", kept,
                                     core::counted(former.size(), "cluster's", "clusters'"),
                                     why.empty()
                                         ? "are kept, as " + kept_run + " has measured them"
                                         : "could be kept, but are measured anew, as " + why));
    });
    run.communicator().broadcast(known->row_of_cluster);
    if (known->row_of_cluster.empty()) return std::nullopt;
    return known;
}

void describe_kept(const StudyRun& run, const fleet::Clustering& clustering) {
    if (!run.inputs.former) return;
    const auto is_kept = [&](std::int32_t cluster) {
        return cluster >= 0 && clustering.former_cluster[static_cast<std::size_t>(cluster)] >= 0;
    };
    const auto devices =
        static_cast<std::size_t>(std::ranges::count_if(clustering.cluster_of_device, is_kept));
    const auto made = static_cast<std::size_t>(std::ranges::count(clustering.former_cluster, -1));
    run.job.log.info(fmt::format("clusters: {} of the {} of {} are kept, with {}{}",
                                 clustering.clusters() - made, run.inputs.former->clusters,
                                 run.inputs.former->folder.string(),
                                 core::counted(devices, "device"),
                                 made > 0 ? "; " + core::counted(made, "is new", "are new") : ""));
}

void describe_clusters(const StudyRun& run, const fleet::Clustering& clustering) {
    std::vector<std::size_t> devices(clustering.clusters(), 0);
    std::size_t noise = 0;
    for (const std::int32_t cluster : clustering.cluster_of_device)
        ++(cluster < 0 ? noise : devices[static_cast<std::size_t>(cluster)]);
    const double largest = static_cast<double>(*std::max_element(devices.begin(), devices.end())) /
                           static_cast<double>(clustering.devices());
    run.job.log.info(fmt::format("clusters: {} ({}), largest {} % of the fleet, {}",
                                 clustering.clusters(), fleet::grouping_text(clustering),
                                 core::significant(100.0 * largest, 3),
                                 core::counted(noise, "noise device")));
    const std::string held_out = fleet::held_out_text(clustering);
    if (!held_out.empty()) run.job.log.info("clusters: " + held_out);
    const std::string doubt = fleet::grouping_warning(clustering);
    if (!doubt.empty()) run.job.log.warning(doubt);
}

/// By the weight of each cluster, as results.h5 has it. `what`: what they predict.
void describe_surrogates(const StudyRun& run, const surrogate::Surrogate& surrogate,
                         const std::string& what) {
    const auto weights = read_clusters(run).cluster_weight;
    double mape = 0.0;
    double tau = 0.0;
    const auto& errors = surrogate.cross_validation();
    for (std::size_t k = 0; k < errors.size(); ++k) {
        mape += weights[k] * errors[k].mape;
        tau += weights[k] * errors[k].kendall_tau;
    }
    run.job.log.info(fmt::format(
        "surrogates{}: {} of {}, cross-validated MAPE {} %, Kendall "
        "tau {}{}",
        what, surrogate.kind(), core::counted(errors.size(), "cluster"),
        core::significant(100.0 * mape, 3), core::significant(tau, 3),
        surrogate.choice().empty() ? "" : fmt::format(" (auto: {})", surrogate.choice())));
}

/// Nothing when asked to stop. Collective.
std::optional<fleet::MeasuredProfile> measured_profile(const StudyRun& run) {
    const Settings& settings = run.settings();
    fleet::LatencySource& source = *run.inputs.source;
    const auto representatives = representatives_on_every_rank(run);
    auto wanted = genomes_to_profile(run);
    if (const auto known = known_rows_on_every_rank(run, source.candidates(wanted)))
        return fleet::measure_rest_of_profile(source, representatives, run.own().space, *known,
                                              settings.profile.runs, run.job,
                                              quantities_of(settings));
    return fleet::measure_profile(source, representatives, run.own().space, std::move(wanted),
                                  settings.profile.runs, run.job, quantities_of(settings));
}

} // namespace

bool make_fleet(StudyRun& run) {
    const auto devices = run.inputs.source->fleet(run.job);
    if (!devices) return false;
    run.communicator().on_root([&] {
        write_output(run, Stage::fleet, [&](storage::Hdf5Writer& file) {
            fleet::write_fleet(file, *devices);
            file.attribute("/", "batch", run.settings().fleet.batch);
        });
        run.job.log.info(fmt::format("fleet: {} ({}), each measured on {}",
                                     core::counted(devices->devices(), "device"), devices->sku,
                                     core::counted(devices->benchmarks(), "benchmark network")));
        const std::size_t missing = fleet::missing_latencies(*devices);
        if (missing > 0)
            run.job.log.info(fmt::format("{} of {} latencies of the fleet are missing; clusters "
                                         "are found with estimates in their place",
                                         core::grouped(missing),
                                         core::grouped(devices->latency_ms.size())));
        // A simulated fleet is what its settings say.
        if (run.settings().fleet.source != "simulated")
            for (const std::string& doubt : fleet::doubts_about(*devices))
                run.job.log.warning(doubt);
        if (run.settings().fleet.fleet_file.empty() &&
            static_cast<std::int64_t>(devices->benchmarks()) < run.settings().fleet.benchmarks)
            run.job.log.warning(fmt::format(
                "only {} of {} benchmark networks (fleet.benchmarks) were measured on half of the "
                "devices or more, so that devices are told apart by few latencies; measure the "
                "same candidates on all of them",
                devices->benchmarks(), run.settings().fleet.benchmarks));
    });
    return true;
}

bool make_clusters(StudyRun& run) {
    const parallel::Communicator& ranks = run.communicator();
    ranks.on_every_rank([&] {
        const fleet::DbscanTeam team(ranks);
        if (!ranks.is_root()) return team.serve();
        const auto devices =
            fleet::read_fleet(open_stage(run.output(Stage::fleet), fleet::fleet_schema));
        const auto clustering =
            run.inputs.former
                ? continued_clusters(*run.inputs.former, run.settings(), devices)
                : fleet::cluster_devices(devices, run.settings().clusters, team.dbscan());
        write_output(run, Stage::clusters, [&](storage::Hdf5Writer& file) {
            fleet::write_clustering(file, clustering);
            fleet::write_distribution(file, fleet::distribution_of(clustering));
            if (run.inputs.former)
                file.attribute("/", kept_attribute, run.inputs.former->clusters_key);
        });
        describe_clusters(run, clustering);
        describe_kept(run, clustering);
        const std::string ticks = fleet::tick_warning(devices, clustering);
        if (!ticks.empty()) run.job.log.warning(ticks);
    });
    return true;
}

bool make_profile(StudyRun& run) {
    const auto measured = measured_profile(run);
    if (!measured) return false;
    run.communicator().on_root([&] {
        write_output(run, Stage::profile, [&](storage::Hdf5Writer& file) {
            fleet::write_profile(file, measured->profile);
            file.attribute("/", network_attribute, run.inputs.graph_key);
            if (run.inputs.former)
                file.attribute("/", kept_attribute, run.inputs.former->profile_key);
        });
        run.job.log.info(fmt::format("profile: {} on the representatives of each cluster",
                                     core::counted(measured->profile.candidates(), "candidate")));
        if (measured->left_out > 0)
            run.job.log.warning(fmt::format("profile: left out, as not measured on every "
                                            "cluster: {}",
                                            core::counted(measured->left_out, "candidate")));
    });
    return true;
}

bool make_surrogates(StudyRun& run) {
    run.communicator().on_root([&] {
        const auto profile =
            fleet::read_profile(open_stage(run.output(Stage::profile), fleet::profile_schema));
        const auto& parameters = run.settings().surrogate;
        const surrogate::PredictedNetwork network = predicted_network(run);
        const auto surrogate = surrogate::fit_surrogate(profile, parameters, network, 0);
        std::map<fleet::Quantity, std::unique_ptr<surrogate::Surrogate>> others;
        for (const auto& [quantity, values] : profile.others)
            others[quantity] = surrogate::fit_surrogate(
                fleet::profile_of_quantity(profile, quantity), parameters, network, 0);
        const auto regrets = fleet_regrets(run, profile, std::string(surrogate->kind()));
        write_output(run, Stage::surrogates, [&](storage::Hdf5Writer& file) {
            surrogate::write_surrogate(file, *surrogate);
            search::write_regrets(file, regrets);
            for (const auto& [quantity, other] : others)
                surrogate::write_surrogate(file, *other,
                                           std::string(fleet::row_of(quantity).surrogate_path));
        });
        describe_surrogates(run, *surrogate, "");
        for (const auto& [quantity, other] : others)
            describe_surrogates(run, *other, std::string(fleet::row_of(quantity).in_words));
        if (!regrets.empty()) run.job.log.info(report::fleet_verdict(regrets).sentence);
    });
    return true;
}

} // namespace hdap::study
