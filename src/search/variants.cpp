#include "hdap/search/variants.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>

namespace hdap::search {
namespace {

/// The fleet's mean latency with a set of variants, as candidates join and leave it.
class FleetMean {
  public:
    FleetMean(std::span<const double> latency_ms, std::span<const double> weight)
        : latency_ms_(latency_ms), weight_(weight) {}

    [[nodiscard]] std::size_t candidates() const { return latency_ms_.size() / weight_.size(); }

    /// The latency of each cluster on the fastest of `variants`.
    [[nodiscard]] std::vector<double> fastest(std::span<const std::size_t> variants) const {
        std::vector<double> best(weight_.size(), std::numeric_limits<double>::infinity());
        for (const std::size_t v : variants)
            for (std::size_t k = 0; k < best.size(); ++k)
                best[k] = std::min(best[k], latency_ms_[v * best.size() + k]);
        return best;
    }

    /// The mean when `candidate` joins variants that give `best`.
    [[nodiscard]] double with(std::span<const double> best, std::size_t candidate) const {
        double mean = 0.0;
        for (std::size_t k = 0; k < best.size(); ++k)
            mean += weight_[k] * std::min(best[k], latency_ms_[candidate * best.size() + k]);
        return mean;
    }

    /// The candidate that gives the smallest mean when it joins, and that mean.
    [[nodiscard]] std::pair<double, std::size_t> best_addition(std::span<const double> best) const {
        std::pair<double, std::size_t> least{std::numeric_limits<double>::infinity(), 0};
        for (std::size_t i = 0; i < candidates(); ++i)
            least = std::min(least, {with(best, i), i});
        return least;
    }

  private:
    std::span<const double> latency_ms_;
    std::span<const double> weight_;
};

/// Replaces one variant by a better one, if there is such a swap.
bool improve(const FleetMean& fleet, std::vector<std::size_t>& variants, double& mean) {
    for (std::size_t& variant : variants) {
        std::vector<std::size_t> others;
        std::copy_if(variants.begin(), variants.end(), std::back_inserter(others),
                     [&](std::size_t v) { return v != variant; });
        const auto [least, candidate] = fleet.best_addition(fleet.fastest(others));
        // Rounding must not make two sets take turns for ever.
        if (least >= mean * (1.0 - 1e-12)) continue;
        variant = candidate;
        mean = least;
        return true;
    }
    return false;
}

/// Sets of clusters are bit masks.
class ExactChoice {
  public:
    ExactChoice(std::span<const double> latency_ms, std::span<const double> weight)
        : sets_(std::size_t{1} << weight.size()), network_(sets_, 0),
          alone_(sets_, std::numeric_limits<double>::infinity()) {
        alone_[0] = 0.0;
        std::vector<double> sum(sets_, 0.0);
        for (std::size_t v = 0; v < latency_ms.size() / weight.size(); ++v)
            for (std::size_t set = 1; set < sets_; ++set) {
                const auto k = static_cast<std::size_t>(std::countr_zero(set));
                sum[set] = sum[set & (set - 1)] + weight[k] * latency_ms[v * weight.size() + k];
                if (sum[set] >= alone_[set]) continue;
                alone_[set] = sum[set];
                network_[set] = v;
            }
    }

    /// The networks of the best way to cut the fleet into at most `count` parts.
    [[nodiscard]] std::vector<std::size_t> best(std::size_t count) const {
        std::vector<std::vector<std::size_t>> part;
        std::vector<double> cost = alone_;
        for (std::size_t parts = 2; parts <= count; ++parts)
            cost = with_one_more_part(cost, part.emplace_back(sets_, 0));
        std::vector<std::size_t> networks;
        std::size_t rest = sets_ - 1;
        for (; !part.empty(); part.pop_back()) {
            const std::size_t chosen = part.back()[rest];
            if (chosen != 0) networks.push_back(network_[chosen]);
            rest &= ~chosen;
        }
        networks.push_back(network_[rest]);
        return networks;
    }

  private:
    /// What sets cost that may get one more network than in `cost`; `chosen` is the part that gets
    /// it, 0 where that does not help. It always holds the lowest cluster, so that each cut is
    /// tried once.
    [[nodiscard]] std::vector<double> with_one_more_part(const std::vector<double>& cost,
                                                         std::vector<std::size_t>& chosen) const {
        std::vector<double> better = cost;
        for (std::size_t set = 1; set < sets_; ++set) {
            const std::size_t lowest = set & (~set + 1);
            for (std::size_t part = set; part > 0; part = (part - 1) & set) {
                if ((part & lowest) == 0 || part == set) continue;
                const double sum = alone_[part] + cost[set & ~part];
                if (sum >= better[set]) continue;
                better[set] = sum;
                chosen[set] = part;
            }
        }
        return better;
    }

    std::size_t sets_;
    std::vector<std::size_t> network_; ///< the best single network of each set
    std::vector<double> alone_;        ///< what a set costs with it
};

std::vector<std::size_t> local_choice(std::span<const double> latency_ms,
                                      std::span<const double> weight, std::size_t count) {
    const FleetMean fleet(latency_ms, weight);
    std::vector<std::size_t> variants;
    double mean = std::numeric_limits<double>::infinity();
    while (variants.size() < std::min(count, fleet.candidates())) {
        const auto [least, candidate] = fleet.best_addition(fleet.fastest(variants));
        if (least >= mean) break; // more variants than differ help nobody
        variants.push_back(candidate);
        mean = least;
        while (improve(fleet, variants, mean)) {
        }
    }
    return variants;
}

} // namespace

std::vector<std::size_t> choose_variants(std::span<const double> latency_ms,
                                         std::span<const double> weight, std::size_t count) {
    constexpr std::size_t most_clusters_exactly = 12;
    auto variants = weight.size() <= most_clusters_exactly
                        ? ExactChoice(latency_ms, weight).best(std::min(count, weight.size()))
                        : local_choice(latency_ms, weight, count);
    std::sort(variants.begin(), variants.end());
    variants.erase(std::unique(variants.begin(), variants.end()), variants.end());
    return variants;
}

std::vector<std::size_t> variant_of_cluster(std::span<const double> latency_ms,
                                            std::size_t clusters,
                                            std::span<const std::size_t> variants) {
    std::vector<std::size_t> chosen(clusters, variants.front());
    for (std::size_t k = 0; k < clusters; ++k)
        for (const std::size_t v : variants)
            if (latency_ms[v * clusters + k] < latency_ms[chosen[k] * clusters + k]) chosen[k] = v;
    return chosen;
}

} // namespace hdap::search
