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

/// Appends the bins of one part with the `ratios`, ascending.
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

double blended_ms(std::span<const double> cluster_latency_ms, const std::vector<double>& blends,
                  std::size_t row) {
    double latency = 0.0;
    const std::size_t first = row * cluster_latency_ms.size();
    for (std::size_t k = 0; k < cluster_latency_ms.size(); ++k)
        latency += cluster_latency_ms[k] * blends[first + k];
    return latency;
}

/// [part] the latency of a device of ratio 1. A prediction may be a little below zero where a
/// surrogate knows next to nothing.
std::vector<double> part_latencies_ms(const FleetDistribution& fleet,
                                      std::span<const double> cluster_latency_ms) {
    std::vector<double> latencies(fleet.parts());
    for (std::size_t p = 0; p < latencies.size(); ++p)
        latencies[p] = std::max(0.0, blended_ms(cluster_latency_ms, fleet.part_blend, p));
    return latencies;
}

std::size_t bins_of(const FleetDistribution& fleet, std::size_t part) {
    return fleet.first_bin[part + 1] - fleet.first_bin[part];
}

/// In the first `bins` of a part.
std::int64_t devices_in(const FleetDistribution& fleet, std::size_t part, std::size_t bins) {
    return bins == 0 ? 0 : fleet.bin_devices[fleet.first_bin[part] + bins - 1];
}

/// How many of a part's bins take at most `limit_ms`. The answer is in [low, high].
std::size_t bins_within(const FleetDistribution& fleet, std::size_t part, double latency_ms,
                        double limit_ms, std::size_t low, std::size_t high) {
    const auto first = fleet.bin_ratio.begin() + static_cast<std::ptrdiff_t>(fleet.first_bin[part]);
    const auto slower = std::partition_point(
        first + static_cast<std::ptrdiff_t>(low), first + static_cast<std::ptrdiff_t>(high),
        [&](double ratio) { return latency_ms * ratio <= limit_ms; });
    return static_cast<std::size_t>(slower - first);
}

/// The share of the fleet in the first `bins` [part] of each part. Never falls as there are more:
/// every operation is monotonic, rounding too.
double share_of(const FleetDistribution& fleet, std::span<const std::size_t> bins) {
    double share = 0.0;
    for (std::size_t p = 0; p < fleet.parts(); ++p)
        share +=
            fleet.part_weight[p] * (static_cast<double>(devices_in(fleet, p, bins[p])) /
                                    static_cast<double>(devices_in(fleet, p, bins_of(fleet, p))));
    return share;
}

/// Between two latencies: how many bins of each part take at most the one and the other.
struct BinBracket {
    std::vector<std::size_t> low;
    std::vector<std::size_t> high;

    /// The bins that are slower than the one and not slower than the other.
    [[nodiscard]] std::size_t between() const {
        std::size_t bins = 0;
        for (std::size_t p = 0; p < low.size(); ++p)
            bins += high[p] - low[p];
        return bins;
    }
};

/// The latency of the one bin in the bracket.
double only_bin_ms(const FleetDistribution& fleet, std::span<const double> part_latency_ms,
                   const BinBracket& bracket) {
    for (std::size_t p = 0; p < fleet.parts(); ++p)
        if (bracket.high[p] > bracket.low[p])
            return part_latency_ms[p] * fleet.bin_ratio[fleet.first_bin[p] + bracket.low[p]];
    throw core::InternalError("a quantile between no devices");
}

/// The latencies of the fleet's fastest and slowest device.
std::pair<double, double> range_ms(const FleetDistribution& fleet,
                                   std::span<const double> part_latency_ms) {
    double fastest = std::numeric_limits<double>::infinity();
    double slowest = 0.0;
    for (std::size_t p = 0; p < fleet.parts(); ++p) {
        const double latency = part_latency_ms[p];
        fastest = std::min(fastest, latency * fleet.bin_ratio[fleet.first_bin[p]]);
        slowest = std::max(slowest, latency * fleet.bin_ratio[fleet.first_bin[p + 1] - 1]);
    }
    return {fastest, slowest};
}

/// The devices of one blend.
struct Part {
    std::int32_t cluster = -1;  ///< that stands for them
    std::vector<double> ratios; ///< theirs
};

/// [blend] the devices that are told from it.
std::vector<Part> parts_of(const Clustering& clustering) {
    std::vector<Part> parts(clustering.blends.size() / clustering.clusters());
    for (std::size_t i = 0; i < clustering.devices(); ++i) {
        if (clustering.assigned_cluster[i] < 0) continue;
        Part& part = parts[static_cast<std::size_t>(clustering.blend_of_device[i])];
        part.cluster = clustering.assigned_cluster[i];
        part.ratios.push_back(clustering.device_ratio[i]);
    }
    return parts;
}

} // namespace

FleetDistribution distribution_of(const Clustering& clustering) {
    FleetDistribution fleet;
    fleet.cluster_weight = clustering.cluster_weight;
    fleet.cluster_blend = clustering.cluster_blend;
    fleet.first_bin = {0};
    const std::size_t clusters = clustering.clusters();
    std::vector<Part> parts = parts_of(clustering);
    std::vector<double> devices(clusters, 0.0);
    for (const Part& part : parts)
        if (part.cluster >= 0)
            devices[static_cast<std::size_t>(part.cluster)] +=
                static_cast<double>(part.ratios.size());
    for (std::size_t b = 0; b < parts.size(); ++b) {
        auto& [cluster, ratios] = parts[b];
        if (ratios.empty()) continue;
        const auto own = static_cast<std::size_t>(cluster);
        fleet.part_weight.push_back(clustering.cluster_weight[own] *
                                    (static_cast<double>(ratios.size()) / devices[own]));
        fleet.part_cluster.push_back(cluster);
        const auto row = clustering.blends.begin() + static_cast<std::ptrdiff_t>(b * clusters);
        fleet.part_blend.insert(fleet.part_blend.end(), row,
                                row + static_cast<std::ptrdiff_t>(clusters));
        std::sort(ratios.begin(), ratios.end());
        append_bins(ratios, fleet);
    }
    for (std::size_t k = 0; k < clusters; ++k)
        if (devices[k] == 0.0 && clustering.cluster_weight[k] > 0.0)
            throw core::DataError(fmt::format("cluster {} stands for no device", k));
    return fleet;
}

double cluster_mean_ms(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms,
                       std::size_t cluster) {
    check_clusters(fleet, cluster_latency_ms);
    return blended_ms(cluster_latency_ms, fleet.cluster_blend, cluster);
}

double mean_latency_ms(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms) {
    double mean = 0.0;
    for (std::size_t k = 0; k < fleet.clusters(); ++k)
        mean += fleet.cluster_weight[k] * cluster_mean_ms(fleet, cluster_latency_ms, k);
    return mean;
}

double latency_quantile_ms(const FleetDistribution& fleet,
                           std::span<const double> cluster_latency_ms, double q) {
    check_clusters(fleet, cluster_latency_ms);
    if (!(q > 0.0 && q <= 1.0))
        throw core::InternalError(fmt::format("the quantile {} is not in (0, 1]", q));
    const std::vector<double> part_ms = part_latencies_ms(fleet, cluster_latency_ms);
    // Only at a device's latency does the share rise, so the quantile is one. Doubles that are not
    // negative have the order of their bits: bisection ends even where many are all but equal.
    const auto [fastest, slowest] = range_ms(fleet, part_ms);
    auto low = std::bit_cast<std::int64_t>(fastest) - 1;
    auto high = std::bit_cast<std::int64_t>(slowest);
    BinBracket bracket{std::vector<std::size_t>(fleet.parts(), 0), {}};
    for (std::size_t p = 0; p < fleet.parts(); ++p)
        bracket.high.push_back(bins_of(fleet, p));
    std::vector<std::size_t> bins(fleet.parts());
    while (low + 1 < high) {
        const std::int64_t middle = low + (high - low) / 2;
        const auto limit_ms = std::bit_cast<double>(middle);
        for (std::size_t p = 0; p < fleet.parts(); ++p)
            bins[p] = bins_within(fleet, p, part_ms[p], limit_ms, bracket.low[p], bracket.high[p]);
        const bool reached = share_of(fleet, bins) >= q * (1.0 - share_rounding);
        (reached ? high : low) = middle;
        (reached ? bracket.high : bracket.low).swap(bins);
        if (bracket.between() == 1) return only_bin_ms(fleet, part_ms, bracket);
    }
    return std::bit_cast<double>(high);
}

double share_slower_than(const FleetDistribution& fleet, std::span<const double> cluster_latency_ms,
                         double limit_ms) {
    check_clusters(fleet, cluster_latency_ms);
    const std::vector<double> part_ms = part_latencies_ms(fleet, cluster_latency_ms);
    double share = 0.0;
    for (std::size_t p = 0; p < fleet.parts(); ++p) {
        const std::size_t bins = bins_of(fleet, p);
        const std::int64_t devices = devices_in(fleet, p, bins);
        const std::int64_t within =
            devices_in(fleet, p, bins_within(fleet, p, part_ms[p], limit_ms, 0, bins));
        share += fleet.part_weight[p] *
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
        require(fleet_.parts() > 0, "part_weight", "no parts");
        check_weights("cluster_weight", fleet_.cluster_weight);
        check_weights("part_weight", fleet_.part_weight);
        check_blends("cluster_blend", fleet_.cluster_blend);
        check_blends("part_blend", fleet_.part_blend);
        require(fleet_.first_bin.front() == 0 && fleet_.first_bin.back() == fleet_.bin_ratio.size(),
                "first_bin", "expected it to begin with 0 and to end with the number of bins");
        for (std::size_t p = 0; p < fleet_.parts(); ++p) {
            const std::int32_t cluster = fleet_.part_cluster[p];
            require(cluster >= 0 && static_cast<std::size_t>(cluster) < fleet_.clusters(),
                    "part_cluster",
                    fmt::format("part {} is of cluster {} of {}", p, cluster, fleet_.clusters()));
            check_bins(p);
        }
    }

  private:
    void require(bool holds, const char* name, const std::string& message) const {
        if (!holds) throw core::DataError(fmt::format("{}: {}{}: {}", file_, group, name, message));
    }

    void check_weights(const char* name, const std::vector<double>& weights) const {
        double sum = 0.0;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            require(weights[i] > 0.0 && weights[i] <= 1.0, name,
                    fmt::format("the weight at {} is {}, expected above 0 and at most 1", i,
                                weights[i]));
            sum += weights[i];
        }
        require(std::abs(sum - 1.0) <= 1e-9, name,
                fmt::format("the weights sum to {}, expected 1", sum));
    }

    /// A row is of the clusters' latencies, of which one counts at least.
    void check_blends(const char* name, const std::vector<double>& blends) const {
        for (std::size_t first = 0; first < blends.size(); first += fleet_.clusters()) {
            const auto row = std::span(blends).subspan(first, fleet_.clusters());
            for (const double count : row)
                require(std::isfinite(count) && count >= 0.0, name,
                        fmt::format("row {} has {}, expected no number below 0",
                                    first / fleet_.clusters(), count));
            require(std::ranges::any_of(row, [](double count) { return count > 0.0; }), name,
                    fmt::format("row {} has zeros only", first / fleet_.clusters()));
        }
    }

    void check_bins(std::size_t part) const {
        const std::size_t first = fleet_.first_bin[part];
        const std::size_t last = fleet_.first_bin[part + 1];
        require(first < last && last <= fleet_.bin_ratio.size(), "first_bin",
                fmt::format("part {} has the bins from {} to before {}", part, first, last));
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

std::vector<std::size_t> read_first_bin(const storage::Hdf5Reader& file, std::size_t parts) {
    std::vector<std::size_t> first_bin;
    for (const std::int64_t bin : file.read<std::int64_t>(group + "first_bin", {parts + 1}))
        // A negative one becomes larger than any number of bins.
        first_bin.push_back(static_cast<std::size_t>(bin));
    return first_bin;
}

} // namespace

void write_distribution(storage::Hdf5Writer& file, const FleetDistribution& fleet) {
    file.write(group + "cluster_weight", fleet.cluster_weight);
    file.write(group + "cluster_blend", fleet.cluster_blend, {fleet.clusters(), fleet.clusters()});
    file.write(group + "part_weight", fleet.part_weight);
    file.write(group + "part_cluster", fleet.part_cluster);
    file.write(group + "part_blend", fleet.part_blend, {fleet.parts(), fleet.clusters()});
    file.write(group + "first_bin",
               std::vector<std::int64_t>(fleet.first_bin.begin(), fleet.first_bin.end()));
    file.write(group + "bin_ratio", fleet.bin_ratio);
    file.write(group + "bin_devices", fleet.bin_devices);
}

FleetDistribution read_distribution(const storage::Hdf5Reader& file) {
    FleetDistribution fleet;
    fleet.cluster_weight = file.read<double>(group + "cluster_weight");
    fleet.cluster_blend =
        file.read<double>(group + "cluster_blend", {fleet.clusters(), fleet.clusters()});
    fleet.part_weight = file.read<double>(group + "part_weight");
    fleet.part_cluster = file.read<std::int32_t>(group + "part_cluster", {fleet.parts()});
    fleet.part_blend = file.read<double>(group + "part_blend", {fleet.parts(), fleet.clusters()});
    fleet.first_bin = read_first_bin(file, fleet.parts());
    fleet.bin_ratio = file.read<double>(group + "bin_ratio");
    fleet.bin_devices = file.read<std::int64_t>(group + "bin_devices", {fleet.bin_ratio.size()});
    DistributionCheck(fleet, file.name()).run();
    return fleet;
}

} // namespace hdap::fleet
