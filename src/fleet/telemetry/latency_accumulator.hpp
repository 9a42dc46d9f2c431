#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace hdap::fleet {

/// The latencies of one device on one benchmark, in memory that does not grow with their number:
/// up to `exact_runs` as they are, more of them in bins of 0.1 % width. Neither depends on the
/// order in which they come.
class LatencyAccumulator {
  public:
    static constexpr std::size_t exact_runs = 256;

    /// `latency_ms` is positive and finite.
    void add(double latency_ms);

    /// All of `other`.
    void add(const LatencyAccumulator& other);

    [[nodiscard]] std::int64_t runs() const noexcept { return runs_; }

    /// The quantile `q` in [0, 1] in ms, between two latencies by linear interpolation; of bins, to
    /// 0.05 %. Throws InternalError when there is none. Complexity: O(runs log runs), O(bins).
    [[nodiscard]] double quantile_ms(double q) const;

    /// All latencies in the order in which they came; empty where there are only bins.
    [[nodiscard]] std::span<const double> exact() const {
        return bins_.empty() ? std::span<const double>(values_) : std::span<const double>();
    }

  private:
    using Bin = std::pair<std::int32_t, std::int64_t>; ///< number, latencies in it

    void fold();
    [[nodiscard]] double binned_quantile_ms(double q) const;

    std::int64_t runs_ = 0;
    std::vector<double> values_; ///< not in bins yet
    std::vector<Bin> bins_;      ///< ascending
};

/// Which run numbers there were. Numbers that follow each other take no memory.
class RunSet {
  public:
    /// False when `run` is in it already. Complexity: O(log gaps).
    bool insert(std::int64_t run);

  private:
    std::map<std::int64_t, std::int64_t> intervals_; ///< first to last; never next to each other
};

} // namespace hdap::fleet
