#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <vector>

namespace hdap::ablation {

/// From `low` to `high`, both included.
struct Interval {
    double low = std::numeric_limits<double>::quiet_NaN();
    double high = std::numeric_limits<double>::quiet_NaN();
};

/// How sure the interval of a median is.
inline constexpr double confidence_level = 0.95;

/// Bootstrap confidence intervals of medians: percentile method (Efron and Tibshirani, "An
/// Introduction to the Bootstrap", 1993, chapter 13), level 0.95, 10,000 resamples.
///
/// Not BCa: its acceleration comes from the jackknife, which is not consistent for medians.
/// A resample is drawn as ranks, which depend on the number of values alone. So the interval
/// depends on nothing but the values, and all metrics of as many cells share one drawing.
class MedianBootstrap {
  public:
    static constexpr std::size_t resamples = 10'000;

    /// The interval of the median of values in ascending order; NaN without values.
    /// Complexity: O(resamples · n) the first time for n values, O(resamples) afterwards.
    Interval interval(std::span<const double> sorted);

  private:
    /// The ranks of a resample's two middle values; equal for an odd number of values.
    using MiddleRanks = std::pair<std::uint32_t, std::uint32_t>;

    static std::vector<MiddleRanks> draw(std::size_t count);

    std::map<std::size_t, std::vector<MiddleRanks>> drawn_; ///< by number of values
};

/// The middle of a sample and its spread. NaN where no value is there.
struct Summary {
    std::size_t count = 0;   ///< finite values
    std::size_t missing = 0; ///< the others, which are left out
    double median = std::numeric_limits<double>::quiet_NaN();
    double q1 = std::numeric_limits<double>::quiet_NaN();
    double q3 = std::numeric_limits<double>::quiet_NaN(); ///< q3 − q1 is the IQR
    Interval median_interval;                             ///< of level 0.95
};

/// Summarises the finite ones of `values`.
Summary summarize(std::span<const double> values, MedianBootstrap& bootstrap);

/// What the signed ranks of paired differences say.
struct SignedRankTest {
    std::size_t nonzero = 0; ///< differences that are not zero
    double positive_ranks = 0.0;
    double negative_ranks = 0.0;
    double p = 1.0;      ///< two-sided; 1 when no difference is left
    bool exact = true;   ///< false: the normal approximation was used
    double effect = 0.0; ///< matched-pairs rank-biserial correlation, −1 to 1
};

/// The most differences, zeros not counted, whose distribution is enumerated.
inline constexpr std::size_t most_exact_differences = 50;

/// The signed-rank test of Wilcoxon ("Individual Comparisons by Ranking Methods", Biometrics
/// Bulletin 1(6), 1945), two-sided, for finite differences.
///
/// Zeros are treated as by Pratt ("Remarks on Zeros and Ties in the Wilcoxon Signed Rank
/// Procedures", JASA 54, 1959): they get ranks like all others, and then their ranks are dropped.
/// Ties get their mean rank. Up to 50 non-zero differences p is exact, also with ties: all
/// assignments of signs to the ranks are counted. Above that the normal approximation is used,
/// with the variance that these ranks have and a continuity correction of one half.
/// Absolute differences within `resolution` of each other are ties, and zeros within it of 0:
/// a difference of computed metrics has rounding errors. The effect is that of Kerby, "The Simple
/// Difference Formula", Comprehensive Psychology 3, 2014: (positive − negative) ÷ (positive +
/// negative) ranks.
/// Complexity: O(n log n + m·R) for m ≤ 50 non-zero differences whose ranks sum up to R ≤ m·n.
SignedRankTest signed_rank_test(std::span<const double> differences, double resolution = 0.0);

/// The estimate of the shift by Hodges and Lehmann ("Estimates of Location Based on Rank Tests",
/// Ann. Math. Stat. 34(2), 1963): the median of the means of all pairs of differences, each with
/// itself included. Differences must be finite; NaN without any.
/// Complexity: O(n log n) time, O(n) memory.
double hodges_lehmann(std::span<const double> differences);

/// The interval of level 0.95 that belongs to that estimate and to the signed-rank test: from the
/// k-th smallest to the k-th largest of these means, where k is the largest number such that fewer
/// than k positive ranks sum up with a probability of at most 0.025 (Lehmann, "Nonparametrics",
/// 1975, section 4.4). Without ties it holds 0 exactly when p is 0.05 or more. Up to 50 differences
/// exact, above by the normal approximation. NaN for fewer than 6: none has that level.
/// Complexity: O(n log n + n³) up to 50 differences, O(n log n) above.
Interval hodges_lehmann_interval(std::span<const double> differences);

/// How values spread that come in groups, as variances.
struct VarianceComponents {
    double between = std::numeric_limits<double>::quiet_NaN(); ///< of groups' expected values
    double within = std::numeric_limits<double>::quiet_NaN();  ///< of values in a group
};

/// The variances of the model value = m + group's effect + rest, both effects random: the estimates
/// of the analysis of variance (Searle, Casella and McCulloch, "Variance Components", 1992, section
/// 3.6), `between` at least 0. Groups may differ in size. NaN unless there are two groups, and a
/// group with two values. Values must be finite.
VarianceComponents variance_components(std::span<const std::vector<double>> groups);

/// The p-values adjusted by the step-down method of Holm ("A Simple Sequentially Rejective
/// Multiple Test Procedure", Scand. J. Statist. 6, 1979), in the order given. A NaN stays one and
/// does not count as a test.
std::vector<double> holm_adjusted(std::span<const double> p_values);

} // namespace hdap::ablation
