#include "hdap/fleet/profiling.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>
#include <utility>

namespace hdap::fleet {
namespace {

/// The representatives of all clusters, cluster after cluster.
std::vector<std::int32_t> representatives_of(const Representatives& representatives) {
    std::vector<std::int32_t> devices;
    for (const auto& cluster : representatives.devices)
        devices.insert(devices.end(), cluster.begin(), cluster.end());
    return devices;
}

/// What was measured of one quantity.
struct Table {
    Quantity quantity;
    std::vector<double> cluster_means; ///< [cluster][genome]
};

/// The representatives of one cluster, and what was measured on them.
struct MeasuredCluster {
    std::span<const double> values; ///< [device][genome]
    std::vector<double> divisor;    ///< [device]
};

/// The mean over the devices that measured a genome; not a number where none did.
double mean_of(const MeasuredCluster& cluster, std::size_t genomes, std::size_t genome) {
    double sum = 0.0;
    std::size_t measured = 0;
    for (std::size_t device = 0; device < cluster.divisor.size(); ++device) {
        const double value = cluster.values[device * genomes + genome];
        if (std::isnan(value)) continue;
        sum += value / cluster.divisor[device];
        ++measured;
    }
    return measured == 0 ? std::numeric_limits<double>::quiet_NaN()
                         : sum / static_cast<double>(measured);
}

/// [cluster][genome] means over the representatives.
std::vector<double> cluster_means(const Representatives& representatives, std::size_t genomes,
                                  std::span<const double> values, Quantity quantity) {
    std::vector<double> means;
    std::size_t first = 0;
    for (std::size_t k = 0; k < representatives.devices.size(); ++k) {
        const std::size_t devices = representatives.devices[k].size();
        const bool divided = row_of(quantity).goes_by_ratio && !representatives.ratio.empty();
        const MeasuredCluster cluster{.values = values.subspan(first * genomes, devices * genomes),
                                      .divisor = divided ? representatives.ratio[k]
                                                         : std::vector<double>(devices, 1.0)};
        for (std::size_t i = 0; i < genomes; ++i)
            means.push_back(mean_of(cluster, genomes, i));
        first += devices;
    }
    return means;
}

/// The first cluster, if any, on which a genome was not measured.
std::optional<std::size_t> missing_cluster(const std::vector<double>& means, std::size_t genomes,
                                           std::size_t genome) {
    for (std::size_t k = 0; k * genomes < means.size(); ++k)
        if (std::isnan(means[k * genomes + genome])) return k;
    return std::nullopt;
}

/// The genomes of which all was measured on every cluster.
std::vector<std::size_t> measured_everywhere(const std::vector<Table>& tables,
                                             std::size_t genomes) {
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < genomes; ++i)
        if (std::ranges::none_of(tables, [&](const Table& table) {
                return missing_cluster(table.cluster_means, genomes, i).has_value();
            }))
            kept.push_back(i);
    return kept;
}

void check_measured(const Representatives& representatives, const network::SearchSpace& space,
                    const std::vector<network::Genome>& genomes, const std::vector<Table>& tables) {
    if (genomes.empty() || genomes.front() != space.unpruned())
        throw core::InternalError("the first network of a profile is not the unpruned one");
    for (const Table& table : tables)
        if (const auto k = missing_cluster(table.cluster_means, genomes.size(), 0))
            throw core::DataError(fmt::format(
                "the unpruned network was not measured{} on any of the {} representatives of "
                "cluster {}; all latencies are relative to its own, so measure it there first",
                row_of(table.quantity).in_words, representatives.devices[*k].size(), *k));
    const std::size_t kept = measured_everywhere(tables, genomes.size()).size();
    if (kept < fewest_profiled)
        throw core::DataError(fmt::format(
            "{} of {} candidates were measured on a representative of every cluster, but the "
            "surrogates need at least {}; measure more candidates, or ask for more representatives "
            "(clusters.representatives)",
            kept, genomes.size(), fewest_profiled));
}

} // namespace

MeasuredProfile profile_of(const Representatives& representatives,
                           const network::SearchSpace& space, std::vector<network::Genome> genomes,
                           const std::vector<double>& measured,
                           std::span<const Quantity> quantities) {
    const std::size_t devices = representatives_of(representatives).size();
    const std::size_t size = devices * genomes.size();
    if (quantities.empty() || quantities.front() != Quantity::latency ||
        measured.size() != quantities.size() * size)
        throw core::InternalError(
            fmt::format("{} measurements of {} quantities of {} candidates on {} devices",
                        measured.size(), quantities.size(), genomes.size(), devices));
    std::vector<Table> tables;
    for (std::size_t q = 0; q < quantities.size(); ++q)
        tables.push_back({quantities[q], cluster_means(representatives, genomes.size(),
                                                       std::span(measured).subspan(q * size, size),
                                                       quantities[q])});
    check_measured(representatives, space, genomes, tables);
    const auto kept = measured_everywhere(tables, genomes.size());
    Profile profile;
    for (const auto& group : space.groups())
        profile.group_names.push_back(group.name);
    profile.clusters = representatives.devices.size();
    for (std::size_t t = 0; t < tables.size(); ++t)
        for (std::size_t k = 0; k < profile.clusters; ++k)
            for (const std::size_t i : kept)
                (t == 0 ? profile.latency_ms : profile.others[tables[t].quantity])
                    .push_back(tables[t].cluster_means[k * genomes.size() + i]);
    for (const std::size_t i : kept)
        profile.genomes.push_back(std::move(genomes[i]));
    return {std::move(profile), genomes.size() - kept.size()};
}

namespace {

std::optional<MeasuredProfile> measure_genomes(LatencySource& source,
                                               const Representatives& representatives,
                                               const network::SearchSpace& space,
                                               std::vector<network::Genome> genomes,
                                               std::int64_t runs, const parallel::Job& job,
                                               const std::vector<Quantity>& quantities) {
    const std::vector<std::int32_t> devices = representatives_of(representatives);
    const auto values = source.latencies_ms(
        {.genomes = genomes, .devices = devices, .runs = runs, .quantities = quantities}, job);
    if (!values) return std::nullopt;
    MeasuredProfile measured;
    job.communicator.on_every_rank([&] {
        measured = profile_of(representatives, space, std::move(genomes), *values, quantities);
    });
    return measured;
}

} // namespace

std::optional<MeasuredProfile>
measure_profile(LatencySource& source, const Representatives& representatives,
                const network::SearchSpace& space, std::vector<network::Genome> wanted,
                std::int64_t runs, const parallel::Job& job, std::vector<Quantity> quantities) {
    return measure_genomes(source, representatives, space, source.candidates(std::move(wanted)),
                           runs, job, quantities);
}

namespace {

/// The clusters that are not known.
Representatives representatives_to_measure(const Representatives& all, const KnownRows& known) {
    Representatives left;
    for (std::size_t k = 0; k < all.devices.size(); ++k) {
        if (known.row_of_cluster[k] >= 0) continue;
        left.devices.push_back(all.devices[k]);
        if (!all.ratio.empty()) left.ratio.push_back(all.ratio[k]);
    }
    return left;
}

/// [candidate of `part`] its place in `all`.
std::vector<std::size_t> places_in(const std::vector<network::Genome>& all,
                                   const std::vector<network::Genome>& part) {
    std::vector<std::size_t> places;
    std::size_t place = 0;
    for (const network::Genome& genome : part) {
        while (place < all.size() && all[place] != genome)
            ++place;
        if (place == all.size())
            throw core::InternalError("a candidate was measured that is not known");
        places.push_back(place++);
    }
    return places;
}

/// [cluster][candidate of `measured`]
std::vector<double> joined_rows(const KnownRows& known, std::span<const std::size_t> places,
                                const std::vector<double>& known_values,
                                const std::vector<double>& measured_values) {
    std::vector<double> values;
    std::size_t next = 0;
    for (const std::int32_t row : known.row_of_cluster)
        for (const std::size_t place : places)
            values.push_back(
                row < 0 ? measured_values[next++]
                        : known_values[static_cast<std::size_t>(row) * known.profile.candidates() +
                                       place]);
    return values;
}

/// Without candidates that are not known, and with the quantities alone that are asked for.
Profile known_alone(const KnownRows& known, std::span<const Quantity> quantities) {
    Profile none;
    none.group_names = known.profile.group_names;
    none.genomes = known.profile.genomes;
    for (const Quantity quantity : quantities.subspan(1))
        none.others[quantity] = {};
    return none;
}

} // namespace

Profile with_known_rows(const KnownRows& known, const Profile& measured) {
    const auto places = places_in(known.profile.genomes, measured.genomes);
    Profile joined;
    joined.group_names = known.profile.group_names;
    joined.genomes = measured.genomes;
    joined.clusters = known.row_of_cluster.size();
    joined.latency_ms = joined_rows(known, places, known.profile.latency_ms, measured.latency_ms);
    for (const auto& [quantity, values] : measured.others)
        joined.others[quantity] =
            joined_rows(known, places, known.profile.others.at(quantity), values);
    return joined;
}

std::optional<MeasuredProfile> measure_rest_of_profile(LatencySource& source,
                                                       const Representatives& representatives,
                                                       const network::SearchSpace& space,
                                                       const KnownRows& known, std::int64_t runs,
                                                       const parallel::Job& job,
                                                       std::vector<Quantity> quantities) {
    const Representatives left = representatives_to_measure(representatives, known);
    if (left.devices.empty())
        return MeasuredProfile{with_known_rows(known, known_alone(known, quantities)), 0};
    auto measured =
        measure_genomes(source, left, space, known.profile.genomes, runs, job, quantities);
    if (measured)
        job.communicator.on_every_rank(
            [&] { measured->profile = with_known_rows(known, measured->profile); });
    return measured;
}

} // namespace hdap::fleet
