// The stages that come before the search: fleet, clusters, profile, surrogates.
#include "hdap/core/random.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/device_model.hpp"
#include "hdap/fleet/synthesis.hpp"
#include "hdap/study/random_networks.hpp"
#include "stages.hpp"

#include <algorithm>
#include <numeric>

namespace hdap::study {
namespace {

fleet::WorkKind work_kind(network::LayerKind kind) {
    switch (kind) {
    case network::LayerKind::convolution:
        return fleet::WorkKind::convolution;
    case network::LayerKind::depthwise:
        return fleet::WorkKind::depthwise;
    case network::LayerKind::linear:
        return fleet::WorkKind::linear;
    case network::LayerKind::pooling:
        return fleet::WorkKind::pooling;
    case network::LayerKind::elementwise:
    case network::LayerKind::copy:
        break; // both are bound by memory
    }
    return fleet::WorkKind::addition;
}

/// A candidate as the device model sees it.
std::vector<fleet::LayerWork> layer_works(const network::CostModel& costs,
                                          const network::Genome& genome) {
    std::vector<fleet::LayerWork> works;
    for (const network::LayerCosts& layer : costs.layers(genome))
        works.push_back({.kind = work_kind(layer.kind),
                         .macs = layer.macs,
                         .input_channels = layer.input_channels,
                         .output_channels = layer.output_channels,
                         .weight_elements = layer.parameters,
                         .input_elements = layer.input_elements,
                         .output_elements = layer.output_elements});
    return works;
}

fleet::Fleet read_fleet_of(const RunDirectory& run) {
    return fleet::read_fleet(open_stage(run / "fleet.h5", fleet::fleet_schema));
}

} // namespace

void make_fleet(const StudyContext& context, const Workpiece& workpiece, const RunDirectory& run,
                const storage::FileIdentity& identity) {
    const Settings& settings = context.settings;
    const auto genomes = benchmark_genomes(settings, workpiece.space);
    const auto names = benchmark_names(settings);
    std::vector<fleet::BenchmarkNetwork> benchmarks;
    std::vector<std::int32_t> flat;
    for (std::size_t b = 0; b < genomes.size(); ++b) {
        benchmarks.push_back(
            {.name = names[b], .layers = layer_works(workpiece.costs, genomes[b])});
        flat.insert(flat.end(), genomes[b].begin(), genomes[b].end());
    }
    const auto model = fleet::device_model(settings.fleet.synthesis.preset);
    const fleet::Fleet made =
        fleet::synthesize_fleet(model, settings.fleet.synthesis, benchmarks, settings.fleet.batch,
                                static_cast<int>(settings.fleet.runs));
    write_stage(run / "fleet.h5", identity, [&](storage::Hdf5Writer& file) {
        fleet::write_fleet(file, made);
        file.write<std::int32_t>("/benchmark_genomes", flat,
                                 {genomes.size(), workpiece.space.groups().size()});
        file.attribute("/benchmark_genomes", "unit", "channels");
        file.attribute("/", "batch", settings.fleet.batch);
    });
    context.log.info("fleet: " + std::to_string(made.devices()) + " devices (" + made.sku +
                     "), each measured on " + std::to_string(made.benchmarks()) +
                     " benchmark networks");
}

void make_clusters(const StudyContext& context, const RunDirectory& run,
                   const storage::FileIdentity& identity) {
    const fleet::Fleet devices = read_fleet_of(run);
    const auto clustering = fleet::cluster_devices(devices, context.settings.clusters);
    write_stage(run / "clusters.h5", identity,
                [&](storage::Hdf5Writer& file) { fleet::write_clustering(file, clustering); });
    const auto devices_of = [&](std::int32_t cluster) {
        return std::count(clustering.cluster_of_device.begin(), clustering.cluster_of_device.end(),
                          cluster);
    };
    const auto noise = devices_of(-1);
    std::ptrdiff_t largest = 0;
    for (std::size_t k = 0; k < clustering.clusters(); ++k)
        largest = std::max(largest, devices_of(static_cast<std::int32_t>(k)));
    const double share = static_cast<double>(largest) / static_cast<double>(devices.devices());
    context.log.info("clusters: " + std::to_string(clustering.clusters()) + ", eps " +
                     core::significant(clustering.eps) + ", largest " +
                     core::significant(100.0 * share, 3) + " % of the fleet, " +
                     std::to_string(noise) + " noise devices");
    if (clustering.no_dense_group)
        context.log.warning("no dense group of devices was found, so the whole fleet is one "
                            "cluster; try a larger clusters.eps or a smaller clusters.min_points");
}

void make_profile(const StudyContext& context, const Workpiece& workpiece, const RunDirectory& run,
                  const storage::FileIdentity& identity) {
    const Settings& settings = context.settings;
    const fleet::Fleet devices = read_fleet_of(run);
    const auto clustering =
        fleet::read_clustering(open_stage(run / "clusters.h5", fleet::clusters_schema));
    const auto model = fleet::device_model(settings.fleet.synthesis.preset);
    const auto genomes = profile_genomes(settings, workpiece.space);
    surrogate::Profile profile;
    profile.candidates = genomes.size();
    profile.genes = workpiece.space.groups().size();
    profile.clusters = clustering.clusters();
    profile.latency_ms.assign(profile.clusters * profile.candidates, 0.0);
    for (const auto& group : workpiece.space.groups())
        profile.group_names.push_back(group.name);
    for (std::size_t i = 0; i < genomes.size(); ++i) {
        profile.genomes.insert(profile.genomes.end(), genomes[i].begin(), genomes[i].end());
        for (const double ratio : workpiece.space.keep_ratios(genomes[i]))
            profile.features.push_back(static_cast<float>(ratio));
        const auto works = layer_works(workpiece.costs, genomes[i]);
        for (std::size_t k = 0; k < profile.clusters; ++k) {
            double sum = 0.0;
            for (const std::int32_t device : clustering.representatives[k]) {
                // Benchmarks use the stream's first numbers, so candidates begin behind them.
                core::RandomStream noise(static_cast<std::uint64_t>(settings.seed),
                                         core::StreamId::measurement_noise,
                                         static_cast<std::uint32_t>(device),
                                         static_cast<std::uint32_t>(devices.benchmarks() + i));
                sum += fleet::measured_latency_ms(
                    model, devices.conditions[static_cast<std::size_t>(device)], works,
                    settings.fleet.batch, static_cast<int>(settings.profile.runs), noise);
            }
            profile.latency_ms[k * profile.candidates + i] =
                sum / static_cast<double>(clustering.representatives[k].size());
        }
    }
    for (std::size_t k = 0; k < profile.clusters; ++k)
        profile.unpruned_latency_ms.push_back(profile.latency_ms[k * profile.candidates]);
    write_stage(run / "profile.h5", identity,
                [&](storage::Hdf5Writer& file) { surrogate::write_profile(file, profile); });
    context.log.info("profile: " + std::to_string(profile.candidates) +
                     " random candidates on the representatives of each cluster");
}

void make_surrogates(const StudyContext& context, const RunDirectory& run,
                     const storage::FileIdentity& identity) {
    const auto profile =
        surrogate::read_profile(open_stage(run / "profile.h5", surrogate::profile_schema));
    const auto surrogates = surrogate::fit_surrogates(profile, context.settings.surrogate.gbrt);
    write_stage(run / "surrogates.h5", identity,
                [&](storage::Hdf5Writer& file) { surrogate::write_surrogates(file, surrogates); });
    // By the weight of each cluster, as results.h5 has it.
    const auto weights =
        fleet::read_clustering(open_stage(run / "clusters.h5", fleet::clusters_schema))
            .cluster_weight;
    double mape = 0.0;
    double tau = 0.0;
    const auto& errors = surrogates.cross_validation();
    for (std::size_t k = 0; k < errors.size(); ++k) {
        mape += weights[k] * errors[k].mape;
        tau += weights[k] * errors[k].kendall_tau;
    }
    context.log.info("surrogates: " + std::to_string(errors.size()) +
                     " forests, cross-validated MAPE " + core::significant(100.0 * mape, 3) +
                     " %, Kendall tau " + core::significant(tau, 3));
}

FleetSimulation::FleetSimulation(const Settings& settings, const Workpiece& workpiece,
                                 const fleet::Fleet& fleet)
    : workpiece_(workpiece), model_(fleet::device_model(settings.fleet.synthesis.preset)),
      batch_(settings.fleet.batch) {
    constexpr std::size_t most = 20'000;
    const std::size_t count = std::min(most, fleet.devices());
    for (std::size_t i = 0; i < count; ++i) {
        devices_.push_back(i * fleet.devices() / count);
        conditions_.push_back(fleet.conditions[devices_.back()]);
    }
}

std::vector<double> FleetSimulation::device_latencies_ms(const network::Genome& genome) const {
    const auto works = layer_works(workpiece_.costs, genome);
    std::vector<double> latencies;
    latencies.reserve(conditions_.size());
    for (const fleet::DeviceCondition& condition : conditions_)
        latencies.push_back(fleet::latency_ms(model_, condition, works, batch_));
    return latencies;
}

double FleetSimulation::mean_latency_ms(const network::Genome& genome) const {
    const auto latencies = device_latencies_ms(genome);
    return std::accumulate(latencies.begin(), latencies.end(), 0.0) /
           static_cast<double>(latencies.size());
}

} // namespace hdap::study
