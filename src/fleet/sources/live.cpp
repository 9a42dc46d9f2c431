#include "fleet/sources/live.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/fleet/host_conditions.hpp"
#include "hdap/fleet/measurement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <span>

namespace hdap::fleet {
namespace {

/// The candidates that each rank measures, as all ranks know them: those of rank r are
/// [first[r], first[r + 1]) of `genes`, in genomes.
struct Share {
    std::vector<std::uint64_t> first;
    std::vector<std::int32_t> genes;
};

/// On the root; `queue_of_rank`: null for a rank whose device lacks nothing.
Share share_of(std::span<const DeviceQueue* const> queue_of_rank) {
    Share share;
    for (const DeviceQueue* const queue : queue_of_rank) {
        share.first.push_back(share.genes.size());
        if (queue == nullptr) continue;
        for (const CandidateToMeasure& candidate : queue->candidates)
            share.genes.insert(share.genes.end(), candidate.genome.begin(), candidate.genome.end());
    }
    share.first.push_back(share.genes.size());
    return share;
}

/// The genomes of a rank.
std::vector<network::Genome> genomes_of(const Share& share, int rank, std::size_t genes) {
    const auto r = static_cast<std::size_t>(rank);
    std::vector<network::Genome> genomes;
    for (std::size_t at = share.first[r]; at < share.first[r + 1]; at += genes) {
        const auto row = std::span(share.genes).subspan(at, genes);
        genomes.emplace_back(row.begin(), row.end());
    }
    return genomes;
}

/// [candidate] in ms on this machine, measured together; NaN where it was asked to stop.
std::vector<double> measure_in_rounds(std::span<const network::Genome> genomes,
                                      const LatencySourceParameters& parameters, std::int64_t runs,
                                      const network::Prunable& network, const parallel::Job& job) {
    if (genomes.empty()) return {};
    std::vector<std::function<void()>> inferences;
    for (const network::Genome& genome : genomes)
        inferences.push_back(
            parameters.runner(network.prune(genome), parameters.batch, job.threads));
    MeasurementParameters protocol;
    protocol.rounds = std::max<std::int64_t>(2, runs);
    protocol.seed = parameters.seed;
    const auto rounds = measure_rounds(
        {.networks = inferences.size(), .run = [&](std::size_t i) { inferences[i](); }}, protocol,
        [&](const MeasurementProgress&) { return !job.control.stop_requested(); });
    if (!rounds) return std::vector(genomes.size(), std::numeric_limits<double>::quiet_NaN());
    return latency_estimates(*rounds, genomes.size(), protocol.quantile);
}

/// [candidate] in ms; not a number where it was asked to stop, or there is no anchor.
struct Measured {
    std::vector<double> latency_ms;
    std::vector<double> anchor_ms; ///< of the unpruned network beside it
};

/// In turns with each other and the unpruned network.
Measured measure_anchored(std::span<const network::Genome> genomes,
                          const LatencySourceParameters& parameters, std::int64_t runs,
                          const network::Prunable& network, const parallel::Job& job) {
    if (genomes.empty()) return {};
    std::vector<network::Genome> lot(genomes.begin(), genomes.end());
    const auto anchor =
        static_cast<std::size_t>(std::ranges::find(lot, network.space.unpruned()) - lot.begin());
    if (anchor == lot.size()) lot.push_back(network.space.unpruned());
    std::vector<double> latencies = measure_in_rounds(lot, parameters, runs, network, job);
    const double anchor_ms = latencies[anchor];
    latencies.resize(genomes.size());
    return {std::move(latencies), std::vector(genomes.size(), anchor_ms)};
}

/// Under continuous load.
Measured measure_under_load(std::span<const network::Genome> genomes,
                            const LatencySourceParameters& parameters,
                            const network::Prunable& network, const parallel::Job& job) {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    constexpr std::int64_t parts = 60;
    Measured measured{{}, std::vector(genomes.size(), unknown)};
    for (const network::Genome& genome : genomes) {
        const auto inference =
            parameters.runner(network.prune(genome), parameters.batch, job.threads);
        const auto curve = measure_sustained(
            {.networks = 1, .run = [&](std::size_t) { inference(); }}, parameters.sustained.seconds,
            parts, [&](const MeasurementProgress&) { return !job.control.stop_requested(); });
        measured.latency_ms.push_back(curve ? sustained_latency_ms(*curve) : unknown);
    }
    return measured;
}

/// What is told of measurements in the log.
struct Told {
    std::string origin;
    std::int64_t runs;
};

/// Logs what all ranks measured of one lot, in the order of the ranks. On the root.
void log_lot(std::span<const DeviceQueue* const> queue_of_rank, std::size_t first, std::size_t most,
             const Measured& measured, const Told& told, MeasurementLog& log) {
    std::size_t at = 0;
    for (const DeviceQueue* const queue : queue_of_rank) {
        if (queue == nullptr) continue;
        const std::size_t end = std::min(first + most, queue->candidates.size());
        for (std::size_t i = first; i < end; ++i, ++at) {
            if (std::isnan(measured.latency_ms[at])) continue;
            CandidateMeasurement measurement;
            measurement.candidate = queue->candidates[i].name;
            measurement.device = queue->device;
            measurement.latency_ms = measured.latency_ms[at];
            measurement.anchor_ms = measured.anchor_ms[at];
            measurement.runs = told.runs;
            measurement.origin = told.origin;
            log.append(measurement);
        }
    }
}

} // namespace

bool measure_live(const std::vector<DeviceQueue>& queues, Quantity quantity,
                  const LatencySourceParameters& parameters, std::int64_t runs,
                  const network::Prunable& network, MeasurementLog* log, const parallel::Job& job) {
    const bool under_load = quantity == Quantity::sustained_latency;
    const parallel::Communicator& communicator = job.communicator;
    const std::vector<std::string> devices =
        device_of_each_rank(communicator, ConditionWatch().conditions());
    std::vector<const DeviceQueue*> queue_of_rank;
    Share share;
    communicator.on_root([&] {
        for (const std::string& device : devices) {
            const auto its = std::find_if(queues.begin(), queues.end(), [&](const auto& queue) {
                return queue.device == device;
            });
            queue_of_rank.push_back(its == queues.end() ? nullptr : &*its);
        }
        share = share_of(queue_of_rank);
    });
    communicator.broadcast(share.first);
    communicator.broadcast(share.genes);
    const std::size_t genes = network.space.groups().size();
    const auto mine = genomes_of(share, communicator.rank(), genes);
    std::size_t longest = 0;
    for (std::size_t r = 0; r + 1 < share.first.size(); ++r)
        longest = std::max(longest, (share.first[r + 1] - share.first[r]) / genes);
    // Each is logged before the next one takes its minutes.
    const std::size_t most =
        under_load ? 1 : static_cast<std::size_t>(parameters.command.networks_at_once);
    const Told told = under_load ? Told{"live, continuous load", 1} : Told{"live", runs};
    core::Progress progress(job.log);
    for (std::size_t first = 0; first < longest; first += most) {
        if (communicator.any(job.control.stop_requested())) return false;
        progress.show({.stage = "measure",
                       .position = {},
                       .done = static_cast<std::int64_t>(first),
                       .total = static_cast<std::int64_t>(longest),
                       .unit = "candidates on each rank",
                       .detail = {}});
        Measured measured;
        communicator.on_every_rank([&] {
            const auto begin = std::min(first, mine.size());
            const auto lot = std::span(mine).subspan(begin, std::min(most, mine.size() - begin));
            measured = under_load ? measure_under_load(lot, parameters, network, job)
                                  : measure_anchored(lot, parameters, runs, network, job);
        });
        const Measured all{communicator.all_gather(measured.latency_ms),
                           communicator.all_gather(measured.anchor_ms)};
        communicator.on_root([&] { log_lot(queue_of_rank, first, most, all, told, *log); });
    }
    return !communicator.any(job.control.stop_requested());
}

} // namespace hdap::fleet
