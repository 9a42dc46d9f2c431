#include "hdap/search/variants.hpp"

#include <algorithm>
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

} // namespace

std::vector<std::size_t> choose_variants(std::span<const double> latency_ms,
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
    std::sort(variants.begin(), variants.end());
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
