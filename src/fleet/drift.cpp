#include "hdap/fleet/drift.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/completion.hpp"
#include "hdap/fleet/noise.hpp"
#include "representatives.hpp"
#include "weighing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

namespace hdap::fleet {
namespace {

/// Of a cluster's devices, how many it reaches around.
constexpr double reach_share = 0.99;

/// |z| that chance passes in one of a hundred cases; of several tests, in one of all.
double critical_z(std::size_t tests) {
    // Bonferroni, by the tail 2 φ(z) ÷ z of the normal distribution.
    const double wanted = 0.01 / static_cast<double>(std::max<std::size_t>(tests, 1));
    double z = 1.0;
    constexpr double step = 0.001;
    while (std::erfc(z / std::sqrt(2.0)) > wanted)
        z += step;
    return z;
}

/// The columns of the benchmarks that both fleets have.
struct CommonBenchmarks {
    std::vector<std::size_t> before;
    std::vector<std::size_t> now;
};

/// Whether two benchmarks of one name are one network, as far as the fleets know.
bool are_one_network(const Fleet& before, std::size_t b, const Fleet& now, std::size_t other) {
    return before.benchmark_genomes.empty() || now.benchmark_genomes.empty() ||
           before.benchmark_genomes[b] == now.benchmark_genomes[other];
}

CommonBenchmarks common_benchmarks(const Fleet& before, const Fleet& now) {
    CommonBenchmarks common;
    for (std::size_t b = 0; b < before.benchmarks(); ++b) {
        const auto found = std::ranges::find(now.benchmark_names, before.benchmark_names[b]);
        if (found == now.benchmark_names.end()) continue;
        const auto other = static_cast<std::size_t>(found - now.benchmark_names.begin());
        if (!are_one_network(before, b, now, other)) continue;
        common.before.push_back(b);
        common.now.push_back(other);
    }
    return common;
}

void check_comparable(const Fleet& before, const Clustering& clustering, const Fleet& now,
                      const CommonBenchmarks& common) {
    check_fleet(before, "old fleet");
    check_fleet(now, "new fleet");
    if (before.sku != now.sku)
        throw core::DataError(
            fmt::format("the fleets are of two SKUs, '{}' and '{}'", before.sku, now.sku));
    if (clustering.devices() != before.devices())
        throw core::DataError(fmt::format("the clusters are of {} devices, the old fleet has {}",
                                          clustering.devices(), before.devices()));
    const std::size_t needed = clustering.metric == SignatureMetric::shape ? 2 : 1;
    if (common.now.size() < needed)
        throw core::DataError(fmt::format(
            "the fleets share {} by name and network, and at least {} needed; measure the old "
            "fleet's again, such as '{}'",
            core::counted(common.now.size(), "benchmark"), needed == 1 ? "1 is" : "2 are",
            before.benchmark_names.front()));
}

/// [device][benchmark] latencies on some benchmarks, estimates among them.
std::vector<double> columns_of(const Fleet& fleet, const std::vector<std::size_t>& benchmarks) {
    const auto complete = completed_latencies(fleet.latency_ms, fleet.benchmarks());
    std::vector<double> columns;
    columns.reserve(fleet.devices() * benchmarks.size());
    for (std::size_t i = 0; i < fleet.devices(); ++i)
        for (const std::size_t b : benchmarks)
            columns.push_back(complete[i * fleet.benchmarks() + b]);
    return columns;
}

/// Log latencies relative to the old fleet's medians, and by `shape` without the device's mean.
std::vector<double> signatures_relative_to(const std::vector<double>& medians,
                                           const std::vector<double>& latency_ms,
                                           SignatureMetric metric) {
    const std::size_t benchmarks = medians.size();
    std::vector<double> signatures(latency_ms.size());
    for (std::size_t first = 0; first < latency_ms.size(); first += benchmarks) {
        double mean = 0.0;
        for (std::size_t b = 0; b < benchmarks; ++b) {
            signatures[first + b] = std::log(latency_ms[first + b] / medians[b]);
            mean += signatures[first + b] / static_cast<double>(benchmarks);
        }
        if (metric == SignatureMetric::shape)
            for (std::size_t b = 0; b < benchmarks; ++b)
                signatures[first + b] -= mean;
    }
    return signatures;
}

std::vector<double> medians_of(const std::vector<double>& latency_ms, std::size_t benchmarks) {
    std::vector<double> medians;
    for (std::size_t b = 0; b < benchmarks; ++b) {
        std::vector<double> column;
        for (std::size_t i = b; i < latency_ms.size(); i += benchmarks)
            column.push_back(latency_ms[i]);
        medians.push_back(core::median(std::move(column)));
    }
    return medians;
}

/// The 99 % quantile of chi-squared (Wilson and Hilferty, PNAS 17, 1931).
double chi_squared_99(std::size_t degrees_of_freedom) {
    constexpr double z_99 = 2.3263;
    const auto degrees = static_cast<double>(degrees_of_freedom);
    const double variance = 2.0 / (9.0 * degrees);
    return degrees * std::pow(1.0 - variance + z_99 * std::sqrt(variance), 3.0);
}

/// How far a device is from itself on another day, at most, by the spread of its runs.
double reach_of_noise(const Fleet& fleet, const std::vector<std::size_t>& benchmarks) {
    const auto noise = noise_of_runs(fleet);
    double variance = 0.0;
    for (const std::size_t b : benchmarks)
        variance += noise ? noise->variance[b] / static_cast<double>(benchmarks.size()) : 0.0;
    return std::max(std::sqrt(2.0 * variance * chi_squared_99(benchmarks.size())),
                    smallest_automatic_eps);
}

/// The clusters as places: where their representatives were, and how far their devices.
class ClusterPlaces {
  public:
    /// None reaches less far than `least_reach`.
    ClusterPlaces(const Clustering& clustering, PointView signatures, double least_reach)
        : dimension_(signatures.dimension) {
        for (const auto& devices : clustering.representatives) {
            const auto centre = centre_of(signatures, devices);
            centres_.insert(centres_.end(), centre.begin(), centre.end());
        }
        std::vector<std::vector<double>> distances(clustering.clusters());
        for (std::size_t i = 0; i < signatures.size(); ++i)
            if (clustering.cluster_of_device[i] >= 0) {
                const auto k = static_cast<std::size_t>(clustering.cluster_of_device[i]);
                distances[k].push_back(distance(signatures[i], k));
            }
        for (auto& of_cluster : distances) {
            // About what the F distribution has of the devices' mean square.
            const double few = 1.0 + 4.0 / static_cast<double>(of_cluster.size());
            reach_.push_back(
                std::max(few * core::quantile(std::move(of_cluster), reach_share), least_reach));
        }
    }

    [[nodiscard]] std::size_t size() const { return reach_.size(); }
    [[nodiscard]] double reach(std::size_t cluster) const { return reach_[cluster]; }

    [[nodiscard]] double distance(const double* signature, std::size_t cluster) const {
        return std::sqrt(
            squared_distance(signature, centres_.data() + cluster * dimension_, dimension_));
    }

    [[nodiscard]] std::size_t nearest(const double* signature) const {
        std::size_t nearest = 0;
        for (std::size_t k = 1; k < size(); ++k)
            if (distance(signature, k) < distance(signature, nearest)) nearest = k;
        return nearest;
    }

  private:
    std::size_t dimension_;
    std::vector<double> centres_; ///< [cluster][benchmark]
    std::vector<double> reach_;   ///< [cluster] of 99 % of its devices
};

/// [new device] its number in the old fleet, or −1.
std::vector<std::int64_t> old_numbers(const Fleet& before, const Fleet& now) {
    std::unordered_map<std::string, std::int64_t> number;
    for (std::size_t i = 0; i < before.devices(); ++i)
        number[before.device_ids[i]] = static_cast<std::int64_t>(i);
    std::vector<std::int64_t> old;
    for (const std::string& id : now.device_ids) {
        const auto found = number.find(id);
        old.push_back(found == number.end() ? -1 : found->second);
    }
    return old;
}

/// z of the difference between two shares of so many devices.
double z_of_shares(double old_share, double old_devices, double new_share, double new_devices) {
    const double pooled =
        (old_share * old_devices + new_share * new_devices) / (old_devices + new_devices);
    const double variance = pooled * (1.0 - pooled) * (1.0 / old_devices + 1.0 / new_devices);
    return variance > 0.0 ? (new_share - old_share) / std::sqrt(variance) : 0.0;
}

/// z of how many joined against how many left, by McNemar's test.
double z_of_moves(std::int64_t joined, std::int64_t left) {
    const auto moved = static_cast<double>(joined + left);
    return moved > 0.0 ? static_cast<double>(joined - left) / std::sqrt(moved) : 0.0;
}

/// Puts together what changed, once the new devices are in their clusters.
class DriftBuilder {
  public:
    DriftBuilder(const Fleet& before, const Clustering& old, const Fleet& now,
                 const CommonBenchmarks& common)
        : before_(before), old_(old), now_(now), benchmarks_(common.now.size()),
          old_ms_(columns_of(before, common.before)), new_ms_(columns_of(now, common.now)),
          old_log_(mean_log_latency(old_ms_, benchmarks_)),
          new_log_(mean_log_latency(new_ms_, benchmarks_)),
          medians_(medians_of(old_ms_, benchmarks_)),
          old_signatures_(signatures_relative_to(medians_, old_ms_, old.metric)),
          new_signatures_(signatures_relative_to(medians_, new_ms_, old.metric)),
          places_(old, {old_signatures_, benchmarks_}, reach_of_noise(before, common.before)) {
        drift_.old_number = old_numbers(before, now);
        drift_.overall = mean_log_latency(new_ms_, benchmarks_);
        old_overall_ = mean_log_latency(old_ms_, benchmarks_);
    }

    FleetDrift build() {
        count_devices();
        assign_devices();
        find_staying();
        add_clusters();
        tell_levels();
        weigh();
        return std::move(drift_);
    }

  private:
    void count_devices() {
        drift_.common_benchmarks = benchmarks_;
        drift_.common_devices = static_cast<std::size_t>(
            std::ranges::count_if(drift_.old_number, [](std::int64_t i) { return i >= 0; }));
        drift_.new_devices = now_.devices() - drift_.common_devices;
        drift_.gone_devices = before_.devices() - drift_.common_devices;
    }

    void assign_devices() {
        Clustering& made = drift_.clustering;
        // The old devices by the same rule, so that a fleet that is the same has not moved.
        old_assigned_ = nearest_clusters(old_signatures_);
        made.assigned_cluster = nearest_clusters(new_signatures_);
        made.cluster_of_device = made.assigned_cluster;
        for (std::size_t i = 0; i < now_.devices(); ++i)
            if (is_outside(new_signatures_, i, made.assigned_cluster[i]))
                made.cluster_of_device[i] = -1;
        drift_.outside_share = outside_share(new_signatures_, made.assigned_cluster);
        drift_.outside_before = outside_share(old_signatures_, old_assigned_);
        drift_.outside_changed = is_more_outside();
    }

    /// A device more or less tells nothing of a small fleet.
    [[nodiscard]] bool is_more_outside() const {
        const auto devices = static_cast<double>(now_.devices());
        const double expected = std::max(drift_.outside_before, 1.0 - reach_share);
        const double variance = devices * expected * (1.0 - expected) *
                                (1.0 + devices / static_cast<double>(before_.devices()));
        return devices * drift_.outside_share >
               devices * expected + critical_z(1) * std::sqrt(variance) + 1.0;
    }

    [[nodiscard]] double outside_share(const std::vector<double>& coordinates,
                                       const std::vector<std::int32_t>& assigned) const {
        double outside = 0.0;
        for (std::size_t i = 0; i < assigned.size(); ++i)
            outside += is_outside(coordinates, i, assigned[i]) ? 1.0 : 0.0;
        return outside / static_cast<double>(assigned.size());
    }

    [[nodiscard]] bool is_outside(const std::vector<double>& coordinates, std::size_t device,
                                  std::int32_t cluster) const {
        const auto k = static_cast<std::size_t>(cluster);
        return places_.distance(PointView{coordinates, benchmarks_}[device], k) > places_.reach(k);
    }

    void find_staying() {
        drift_.stays.assign(now_.devices(), false);
        for (std::size_t i = 0; i < now_.devices(); ++i) {
            if (drift_.old_number[i] < 0) continue;
            const auto old = static_cast<std::size_t>(drift_.old_number[i]);
            const std::int32_t cluster = drift_.clustering.assigned_cluster[i];
            const bool is_inside = drift_.clustering.cluster_of_device[i] >= 0;
            drift_.stays[i] = old_assigned_[old] == cluster &&
                              (is_inside || is_outside(old_signatures_, old, cluster));
        }
    }

    [[nodiscard]] std::vector<std::int32_t>
    nearest_clusters(const std::vector<double>& coordinates) const {
        const PointView signatures{coordinates, benchmarks_};
        std::vector<std::int32_t> nearest(signatures.size());
#pragma omp parallel for schedule(static)
        for (std::size_t i = 0; i < nearest.size(); ++i)
            nearest[i] = static_cast<std::int32_t>(places_.nearest(signatures[i]));
        return nearest;
    }

    void add_clusters() {
        drift_.clusters.resize(old_.clusters());
        add_moves();
        const double threshold = critical_z(old_.clusters());
        const auto old_share = shares_of(old_assigned_, old_.clusters());
        const auto new_share = counted_shares();
        const bool same_devices = drift_.new_devices + drift_.gone_devices == 0;
        for (std::size_t k = 0; k < old_.clusters(); ++k) {
            ClusterDrift& cluster = drift_.clusters[k];
            cluster.old_share = old_share[k];
            cluster.new_share = new_share[k];
            const double z = same_devices
                                 ? z_of_moves(cluster.joined, cluster.left)
                                 : z_of_shares(old_share[k], static_cast<double>(before_.devices()),
                                               new_share[k], static_cast<double>(now_.devices()));
            cluster.share_changed = std::abs(z) > threshold;
            add_movement(k);
        }
    }

    /// [cluster] of all new devices, though some may count to none.
    [[nodiscard]] std::vector<double> counted_shares() const {
        std::vector<double> shares(old_.clusters(), 0.0);
        for (std::size_t i = 0; i < now_.devices(); ++i)
            if (!passes_by(i))
                shares[static_cast<std::size_t>(drift_.clustering.assigned_cluster[i])] += 1.0;
        for (double& share : shares)
            share /= static_cast<double>(now_.devices());
        return shares;
    }

    void add_moves() {
        for (std::size_t i = 0; i < now_.devices(); ++i) {
            if (drift_.old_number[i] < 0) continue;
            const auto old = static_cast<std::size_t>(drift_.old_number[i]);
            const std::int32_t from = old_assigned_[old];
            const std::int32_t to = passes_by(i) ? -1 : drift_.clustering.assigned_cluster[i];
            if (from == to) continue;
            drift_.moved.push_back({now_.device_ids[i], from, to});
            ++drift_.clusters[static_cast<std::size_t>(from)].left;
            if (to >= 0) ++drift_.clusters[static_cast<std::size_t>(to)].joined;
        }
    }

    /// Whether the cluster is only the nearest one to a device: it was not in it, and is not now.
    [[nodiscard]] bool passes_by(std::size_t device) const {
        const std::int64_t old = drift_.old_number[device];
        const bool was_in_it = old >= 0 && old_assigned_[static_cast<std::size_t>(old)] ==
                                               drift_.clustering.assigned_cluster[device];
        return !was_in_it && drift_.clustering.cluster_of_device[device] < 0;
    }

    /// Medians, so that a few devices that went elsewhere do not move the middle.
    void add_movement(std::size_t cluster) {
        const auto of_cluster = [&](const std::vector<std::int32_t>& assigned) {
            std::vector<std::size_t> devices;
            for (std::size_t i = 0; i < assigned.size(); ++i)
                if (assigned[i] == static_cast<std::int32_t>(cluster)) devices.push_back(i);
            return devices;
        };
        const auto old_devices = of_cluster(old_assigned_);
        auto new_devices = of_cluster(drift_.clustering.assigned_cluster);
        std::erase_if(new_devices, [&](std::size_t device) { return passes_by(device); });
        ClusterDrift& drift = drift_.clusters[cluster];
        drift.moved = std::numeric_limits<double>::quiet_NaN();
        drift.overall_ratio = drift.moved;
        if (old_devices.empty() || new_devices.empty()) return;
        const auto old_middle = middle_of(old_signatures_, old_devices);
        const auto new_middle = middle_of(new_signatures_, new_devices);
        const double distance =
            std::sqrt(squared_distance(old_middle.data(), new_middle.data(), benchmarks_));
        drift.moved = distance / std::sqrt(static_cast<double>(benchmarks_));
        drift.overall_ratio =
            std::exp(median_of(drift_.overall, new_devices) - median_of(old_overall_, old_devices));
        drift.is_valid = distance <= std::max(places_.reach(cluster), smallest_automatic_eps);
    }

    [[nodiscard]] std::vector<double> middle_of(const std::vector<double>& signatures,
                                                const std::vector<std::size_t>& devices) const {
        std::vector<double> middle;
        for (std::size_t b = 0; b < benchmarks_; ++b) {
            std::vector<double> column;
            for (const std::size_t device : devices)
                column.push_back(signatures[device * benchmarks_ + b]);
            middle.push_back(core::median(std::move(column)));
        }
        return middle;
    }

    static double median_of(const std::vector<double>& of_device,
                            const std::vector<std::size_t>& devices) {
        std::vector<double> values;
        for (const std::size_t device : devices)
            values.push_back(of_device[device]);
        return core::median(std::move(values));
    }

    /// What latencies are told at: representatives need not have been measured as they were in the
    /// old fleet, whose clusters may be kept from one before.
    void tell_levels() {
        constexpr double rounding = 1e-9;
        for (const auto& devices : old_.representatives) {
            double sum = 0.0;
            double since = 0.0;
            for (const std::int32_t device : devices) {
                sum += old_overall_[static_cast<std::size_t>(device)];
                since += std::log(old_.device_ratio[static_cast<std::size_t>(device)]);
            }
            const auto count = static_cast<double>(devices.size());
            drift_.told_at.push_back(sum / count -
                                     (std::abs(since) > rounding ? since / count : 0.0));
        }
    }

    /// The new devices told from the old clusters' representatives, as these were measured.
    void weigh() {
        Clustering& made = drift_.clustering;
        made.method = old_.method;
        made.metric = old_.metric;
        made.facts = old_.facts;
        made.cluster_weight = shares_of(made.assigned_cluster, old_.clusters());
        for (std::size_t i = 0; i < now_.devices(); ++i)
            made.device_ratio.push_back(
                std::exp(drift_.overall[i] -
                         drift_.told_at[static_cast<std::size_t>(made.assigned_cluster[i])]));
        made.blend_of_device = made.assigned_cluster;
        for (std::size_t i = 0; i < old_.clusters() * old_.clusters(); ++i)
            made.blends.push_back(i / old_.clusters() == i % old_.clusters() ? 1.0 : 0.0);
        add_means(made, old_.clusters());
    }

    const Fleet& before_;
    const Clustering& old_;
    const Fleet& now_;
    std::size_t benchmarks_;
    std::vector<double> old_ms_; ///< [device][common benchmark]
    std::vector<double> new_ms_;
    std::vector<double> old_log_; ///< [device] mean log latency
    std::vector<double> new_log_;
    std::vector<double> medians_; ///< [common benchmark] of the old fleet
    std::vector<double> old_signatures_;
    std::vector<double> new_signatures_;
    std::vector<double> old_overall_; ///< [old device] mean log latency
    ClusterPlaces places_;
    std::vector<std::int32_t> old_assigned_; ///< [old device]
    FleetDrift drift_;
};

} // namespace

FleetDrift drift_of(const Fleet& before, const Clustering& clustering, const Fleet& now) {
    const CommonBenchmarks common = common_benchmarks(before, now);
    check_comparable(before, clustering, now, common);
    return DriftBuilder(before, clustering, now, common).build();
}

} // namespace hdap::fleet
