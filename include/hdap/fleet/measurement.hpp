#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace hdap::fleet {

/// How latencies are measured on a machine whose speed wanders.
struct MeasurementParameters {
    std::int64_t rounds = 8; ///< rounds over all networks; [2, 10000]
    std::int64_t runs = 5;   ///< runs of each network in a round; [1, 10000]
    /// At most this many runs of each network before the first round; [0, 10000].
    std::int64_t warmup = 20;
    /// A network's latency is this quantile of its rounds' latencies; [0, 1].
    double quantile = 0.25;
    std::uint64_t seed = 1; ///< of the order in the rounds
};

/// Throws ConfigError when a parameter is out of its range: names it, its value and the range.
void check_measurement(const MeasurementParameters& parameters);

/// The time of a clock that never jumps, in ms; what it counts from is its own business.
using Clock = std::function<double()>;

/// CLOCK_MONOTONIC.
double monotonic_ms();

/// What is measured, and by what.
struct Measurable {
    std::size_t networks = 0;
    std::function<void(std::size_t)> run; ///< one inference of network i
    Clock clock = monotonic_ms;
};

/// How far a measurement is, in visits: each is the runs of one network in one round.
struct MeasurementProgress {
    std::int64_t round = 0; ///< from 1 on; 0: warming up
    std::int64_t visits = 0;
    std::int64_t total_visits = 0;
};

/// Called before every visit; whether to go on.
using MeasurementObserver = std::function<bool(const MeasurementProgress&)>;

/// The latency of every network in every round, [round][network]: the fastest of its runs there.
using RoundLatencies = std::vector<double>;

/// Measures all networks in interleaved rounds, so that what slows the machine for a while slows
/// some rounds of all networks and not one network.
///
/// Before the first round each network runs until three runs in a row bring no gain of 1 %, or
/// `warmup` runs are over. The order in a round is measurement_order's. Of the runs of a visit the
/// fastest counts: the others were disturbed, or found the caches cold.
///
/// Returns nothing when `observer` said to stop. Throws as check_measurement; InternalError when
/// there is no network or `clock` goes backwards.
std::optional<RoundLatencies> measure_rounds(const Measurable& measurable,
                                             const MeasurementParameters& parameters,
                                             const MeasurementObserver& observer = {});

/// The order of the networks in round `round`: a permutation of 0 … networks − 1.
///
/// Rounds come in blocks of as many rounds as there are networks. In a block every network is at
/// every place once, and in two blocks it follows every other network twice: none always profits
/// from what another one left in the caches (Williams, "Experimental designs balanced for the
/// estimation of residual effects of treatments", Australian Journal of Scientific Research A 2,
/// 1949). Which network plays which part is drawn anew for every two blocks.
/// Complexity: O(networks). Throws InternalError for no networks.
std::vector<std::size_t> measurement_order(std::size_t networks, std::int64_t round,
                                           std::uint64_t seed);

/// [network]: the `quantile` of its rounds' latencies, between two of them by linear interpolation.
/// Throws InternalError when there is no round, sizes do not fit or `quantile` is not in [0, 1].
/// Complexity: O(rounds · networks).
std::vector<double> latency_estimates(std::span<const double> round_latency_ms,
                                      std::size_t networks, double quantile);

/// How far a table of latencies can be trusted: what the even rounds say against the odd ones.
struct SplitHalfReliability {
    /// Rank correlation of the two halves' latencies; NaN for a single network.
    double kendall_tau = 0.0;
    /// Median over the networks of |even − odd| ÷ their mean: 0.01 is 1 %.
    double median_difference = 0.0;

    /// Two latencies that are nearer than this share are not known to differ. With normal noise
    /// that falls with √rounds, the halves' difference has twice the standard deviation of an
    /// estimate and thus a median of 1.35 of them; estimates that differ by chance alone do so
    /// by less than 1.96 · √2 = 2.8 of them in 19 of 20 cases.
    [[nodiscard]] double resolution() const noexcept { return 2.0 * median_difference; }
};

/// Throws as latency_estimates, and InternalError for fewer than two rounds.
SplitHalfReliability split_half_reliability(std::span<const double> round_latency_ms,
                                            std::size_t networks, double quantile);

/// What a network took during a part of a measurement under continuous load.
struct SustainedWindow {
    double end_s = 0.0;     ///< since the beginning
    std::int64_t runs = 0;  ///< that ended in it; at least 1
    double median_ms = 0.0; ///< of these
    double p90_ms = 0.0;
};

/// Runs network 0 without a pause for `duration_s` or longer, and tells what it took in `windows`
/// parts of that time; those in which no run ended are left out. Clocks fall as a device warms up,
/// so that the first part is not the last. Nothing when `observer`, called before every run, said
/// to stop. Throws ConfigError for a duration that is not positive, InternalError when the clock
/// goes backwards. Memory for the runs of one part.
std::optional<std::vector<SustainedWindow>>
measure_sustained(const Measurable& measurable, double duration_s, std::int64_t windows,
                  const MeasurementObserver& observer = {});

/// The latency that a device settles at: the median of the last quarter's medians, in ms.
double sustained_latency_ms(std::span<const SustainedWindow> windows);

} // namespace hdap::fleet
