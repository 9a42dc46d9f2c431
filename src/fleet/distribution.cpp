#include "hdap/fleet/distribution.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace hdap::fleet {
namespace {

/// How much larger than the smallest one in it a ratio of a bin may be.
constexpr double bin_width = 1e-4;

/// Shares are sums of a few rounded products, so a share that is this much short of a quantile has
/// reached it. One device of the largest fleet is a share of 1e-8.
constexpr double share_rounding = 1e-12;

/// The mean of ascending ratios. Exact where all are equal.
double mean_of(std::span<const double> ratios) {
    double excess = 0.0;
    for (const double ratio : ratios)
        excess += ratio - ratios.front();
    return ratios.front() + excess / static_cast<double>(ratios.size());
}

/// Appends the bins of one cluster with the `ratios`, ascending.
void append_bins(std::span<const double> ratios, FleetDistribution& fleet) {
    for (std::size_t first = 0; first < ratios.size();) {
        const double end = ratios[first] * (1.0 + bin_width);
        const auto last = static_cast<std::size_t>(
            std::upper_bound(ratios.begin() + static_cast<std::ptrdiff_t>(first), ratios.end(),
                             end) -
            ratios.begin());
        fleet.bin_ratio.push_back(mean_of(ratios.subspan(first, last - first)));
        fleet.bin_devices.push_back(static_cast<std::int64_t>(last));
        first = last;
    }
    fleet.first_bin.push_back(fleet.bin_ratio.size());
}

void check_clusters(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms) {
    if (cluster_latency_ms.size() != fleet.clusters() || fleet.clusters() == 0)
        throw core::InternalError(fmt::format("latencies on {} clusters for a fleet of {}",
                                              cluster_latency_ms.size(), fleet.clusters()));
}

/// A prediction may be a little below zero where a surrogate knows next to nothing.
double sane(double latency_ms) {
    return std::max(0.0, latency_ms);
}

std::int64_t devices_of(const FleetDistribution& fleet, std::size_t cluster) {
    return fleet.bin_devices[fleet.first_bin[cluster + 1] - 1];
}

/// How many devices of a cluster take at most `limit_ms`.
std::int64_t devices_within(const FleetDistribution& fleet, std::size_t cluster, double latency_ms,
                            double limit_ms) {
    const auto first =
        fleet.bin_ratio.begin() + static_cast<std::ptrdiff_t>(fleet.first_bin[cluster]);
    const auto last =
        fleet.bin_ratio.begin() + static_cast<std::ptrdiff_t>(fleet.first_bin[cluster + 1]);
    const auto slower = std::partition_point(
        first, last, [&](double ratio) { return latency_ms * ratio <= limit_ms; });
    if (slower == first) return 0;
    return fleet.bin_devices[static_cast<std::size_t>(slower - fleet.bin_ratio.begin()) - 1];
}

/// The share of the fleet that takes at most `limit_ms`. Never falls as the limit rises: every
/// operation is monotonic, rounding too.
double share_within(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms,
                    double limit_ms) {
    double share = 0.0;
    for (std::size_t k = 0; k < fleet.clusters(); ++k)
        share +=
            fleet.cluster_weight[k] *
            (static_cast<double>(devices_within(fleet, k, sane(cluster_latency_ms[k]), limit_ms)) /
             static_cast<double>(devices_of(fleet, k)));
    return share;
}

/// The latencies of the fleet's fastest and slowest device.
std::pair<double, double> range_ms(const FleetDistribution& fleet,
                                   std::span<const double> cluster_latency_ms) {
    double fastest = std::numeric_limits<double>::infinity();
    double slowest = 0.0;
    for (std::size_t k = 0; k < fleet.clusters(); ++k) {
        const double latency = sane(cluster_latency_ms[k]);
        fastest = std::min(fastest, latency * fleet.bin_ratio[fleet.first_bin[k]]);
        slowest = std::max(slowest, latency * fleet.bin_ratio[fleet.first_bin[k + 1] - 1]);
    }
    return {fastest, slowest};
}

} // namespace

FleetDistribution distribution_of(const Clustering& clustering) {
    FleetDistribution fleet{.cluster_weight = clustering.cluster_weight,
                            .cluster_mean_ratio = clustering.cluster_mean_ratio,
                            .first_bin = {0},
                            .bin_ratio = {},
                            .bin_devices = {}};
    std::vector<std::vector<double>> ratios(clustering.clusters());
    for (std::size_t i = 0; i < clustering.devices(); ++i)
        if (clustering.assigned_cluster[i] >= 0)
            ratios[static_cast<std::size_t>(clustering.assigned_cluster[i])].push_back(
                clustering.device_ratio[i]);
    for (std::size_t k = 0; k < ratios.size(); ++k) {
        if (ratios[k].empty())
            throw core::DataError(fmt::format("cluster {} stands for no device", k));
        std::sort(ratios[k].begin(), ratios[k].end());
        append_bins(ratios[k], fleet);
    }
    return fleet;
}

double latency_quantile_ms(const FleetDistribution& fleet,
                           std::span<const double> cluster_latency_ms, double q) {
    check_clusters(fleet, cluster_latency_ms);
    if (!(q > 0.0 && q <= 1.0))
        throw core::InternalError(fmt::format("the quantile {} is not in (0, 1]", q));
    const auto reached = [&](double limit_ms) {
        return share_within(fleet, cluster_latency_ms, limit_ms) >= q * (1.0 - share_rounding);
    };
    // Doubles that are not negative have the order of their bits. Only at a device's latency does
    // the share rise, so the smallest double that reaches q is one.
    const auto [fastest, slowest] = range_ms(fleet, cluster_latency_ms);
    auto low = std::bit_cast<std::int64_t>(fastest);
    auto high = std::bit_cast<std::int64_t>(slowest);
    while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (reached(std::bit_cast<double>(middle)))
            high = middle;
        else
            low = middle + 1;
    }
    return std::bit_cast<double>(high);
}

double share_slower_than(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms,
                         double limit_ms) {
    check_clusters(fleet, cluster_latency_ms);
    double share = 0.0;
    for (std::size_t k = 0; k < fleet.clusters(); ++k) {
        const std::int64_t devices = devices_of(fleet, k);
        const std::int64_t within = devices_within(fleet, k, sane(cluster_latency_ms[k]), limit_ms);
        share += fleet.cluster_weight[k] *
                 (static_cast<double>(devices - within) / static_cast<double>(devices));
    }
    return share;
}

namespace {

const std::string group = "/distribution/";

/// Checks what a file holds. Messages begin with the file and the data set.
class DistributionCheck {
  public:
    DistributionCheck(const FleetDistribution& fleet, const std::string& file)
        : fleet_(fleet), file_(file) {}

    void run() const {
        require(fleet_.clusters() > 0, "cluster_weight", "no clusters");
        require(fleet_.first_bin.front() == 0 && fleet_.first_bin.back() == fleet_.bin_ratio.size(),
                "first_bin", "expected it to begin with 0 and to end with the number of bins");
        double sum = 0.0;
        for (std::size_t k = 0; k < fleet_.clusters(); ++k) {
            check_cluster(k);
            sum += fleet_.cluster_weight[k];
        }
        require(std::abs(sum - 1.0) <= 1e-9, "cluster_weight",
                fmt::format("the weights sum to {}, expected 1", sum));
    }

  private:
    void require(bool holds, const char* name, const std::string& message) const {
        if (!holds) throw core::DataError(fmt::format("{}: {}{}: {}", file_, group, name, message));
    }

    void check_cluster(std::size_t k) const {
        const double weight = fleet_.cluster_weight[k];
        const double mean = fleet_.cluster_mean_ratio[k];
        require(weight > 0.0 && weight <= 1.0, "cluster_weight",
                fmt::format("cluster {} has weight {}", k, weight));
        require(std::isfinite(mean) && mean > 0.0, "cluster_mean_ratio",
                fmt::format("cluster {} has ratio {}", k, mean));
        const std::size_t first = fleet_.first_bin[k];
        const std::size_t last = fleet_.first_bin[k + 1];
        require(first < last && last <= fleet_.bin_ratio.size(), "first_bin",
                fmt::format("cluster {} has the bins from {} to before {}", k, first, last));
        for (std::size_t b = first; b < last; ++b)
            check_bin(b, b == first);
    }

    void check_bin(std::size_t b, bool first) const {
        const double ratio = fleet_.bin_ratio[b];
        const std::int64_t devices = fleet_.bin_devices[b];
        require(std::isfinite(ratio) && ratio > (first ? 0.0 : fleet_.bin_ratio[b - 1]),
                "bin_ratio", fmt::format("bin {} has ratio {}, expected ascending ones", b, ratio));
        require(devices > (first ? 0 : fleet_.bin_devices[b - 1]), "bin_devices",
                fmt::format("bin {} has {} devices in and before it, expected more than the bin "
                            "before",
                            b, devices));
    }

    const FleetDistribution& fleet_;
    const std::string& file_;
};

std::vector<std::size_t> read_first_bin(const storage::Hdf5Reader& file, std::size_t clusters) {
    std::vector<std::size_t> first_bin;
    for (const std::int64_t bin : file.read<std::int64_t>(group + "first_bin", {clusters + 1}))
        // A negative one becomes larger than any number of bins.
        first_bin.push_back(static_cast<std::size_t>(bin));
    return first_bin;
}

} // namespace

void write_distribution(storage::Hdf5Writer& file, const FleetDistribution& fleet) {
    file.write(group + "cluster_weight", fleet.cluster_weight);
    file.write(group + "cluster_mean_ratio", fleet.cluster_mean_ratio);
    file.write(group + "first_bin",
               std::vector<std::int64_t>(fleet.first_bin.begin(), fleet.first_bin.end()));
    file.write(group + "bin_ratio", fleet.bin_ratio);
    file.write(group + "bin_devices", fleet.bin_devices);
}

FleetDistribution read_distribution(const storage::Hdf5Reader& file) {
    FleetDistribution fleet;
    fleet.cluster_weight = file.read<double>(group + "cluster_weight");
    fleet.cluster_mean_ratio = file.read<double>(group + "cluster_mean_ratio", {fleet.clusters()});
    fleet.first_bin = read_first_bin(file, fleet.clusters());
    fleet.bin_ratio = file.read<double>(group + "bin_ratio");
    fleet.bin_devices = file.read<std::int64_t>(group + "bin_devices", {fleet.bin_ratio.size()});
    DistributionCheck(fleet, file.name()).run();
    return fleet;
}

} // namespace hdap::fleet
