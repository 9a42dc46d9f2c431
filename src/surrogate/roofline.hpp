#pragma once

#include "hdap/network/costs.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <Eigen/Core>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hdap::surrogate {

/// Layers that devices are faster or slower on, by kind.
enum class WorkKind : std::uint8_t {
    convolution, ///< with a kernel of more than one pixel
    pointwise,   ///< convolution without
    depthwise,
    linear,
    moving, ///< no multiply-accumulates: pooling, addition, concatenation
};
inline constexpr std::size_t computing_kinds = 4; ///< all but `moving`

/// What a layer makes a device do with a batch, channels rounded up to a multiple of `padding`.
struct LayerWork {
    WorkKind kind = WorkKind::moving;
    double macs = 0.0;        ///< multiply-accumulates, in 10⁹
    double weights = 0.0;     ///< elements, in 10⁹
    double activations = 0.0; ///< elements read and written, in 10⁹
};
LayerWork layer_work(const network::LayerCosts& costs, std::int64_t batch, std::int64_t padding);

/// Where is what among the rates of a device, of which mostly the logs are kept: ms per 10⁹
/// multiply-accumulates of each kind, per 10⁹ elements of weights, of activations, and per layer.
inline constexpr std::size_t rate_weights = computing_kinds;
inline constexpr std::size_t rate_activations = computing_kinds + 1;
inline constexpr std::size_t rate_launch = computing_kinds + 2;
inline constexpr std::size_t rate_count = computing_kinds + 3;
using LogRates = Eigen::Matrix<double, rate_count, 1>;
using RateMatrix = Eigen::Matrix<double, rate_count, rate_count>;

/// How computing and moving memory overlap: the norm that joins their times. From their sum, where
/// one waits for the other, to the longer of them, where it hides the other.
enum class Overlap : std::uint8_t { none, square, fourth, full };
inline constexpr std::array overlaps{Overlap::none, Overlap::square, Overlap::fourth,
                                     Overlap::full};

/// The times in ms of a layer's parts on a device.
struct LayerTimes {
    double computing = 0.0;
    double moving = 0.0;
    double joined = 0.0; ///< of both, by the overlap; without the launch
};
/// `rates`: not their logs.
LayerTimes layer_times(const LayerWork& work, const LogRates& rates, Overlap overlap);

/// The multiples that devices may round channels up to.
inline constexpr std::array<std::int64_t, 6> paddings{1, 4, 8, 16, 32, 64};

/// The work of a layer by each of `paddings`.
struct PaddedWork {
    std::array<LayerWork, paddings.size()> at;
    bool is_unaligned = false; ///< whether it reads or writes channels that are no multiple of 8
};
PaddedWork padded_work(const network::LayerCosts& costs, std::int64_t batch);

/// The work of all layers of candidates.
struct WorkTable {
    std::size_t layers = 0;
    std::vector<PaddedWork> work; ///< [candidate][layer]

    [[nodiscard]] std::size_t candidates() const { return layers == 0 ? 0 : work.size() / layers; }
    [[nodiscard]] std::span<const PaddedWork> of(std::size_t candidate) const {
        return std::span(work).subspan(candidate * layers, layers);
    }
};
WorkTable work_table(const network::CostModel& costs, std::span<const network::Genome> genomes,
                     std::int64_t batch);

/// What the devices of an SKU have in common.
struct RooflineForm {
    std::size_t padding = 0; ///< its place among `paddings`
    Overlap overlap = Overlap::none;
    bool operator==(const RooflineForm&) const = default;
};

/// What is believed of the rates before a measurement: a normal distribution of their logs.
struct RatePrior {
    LogRates mean;
    RateMatrix precision;
};

/// Compute, memory and launch each take a third of the median latency, within a factor of e² or so;
/// weights and activations are moved about equally fast.
RatePrior vague_prior(const WorkTable& work, std::span<const double> latency_ms);

/// Near the `rates` of another device of the SKU, but for a common factor.
RatePrior prior_near(const LogRates& rates);

/// A fitted roofline (Williams, Waterman and Patterson, CACM 2009).
struct RooflineFit {
    LogRates rates;
    double cost = 0.0;  ///< −2 log posterior, up to a constant: the lower the better
    double noise = 0.0; ///< relative standard deviation of what is left
    RateMatrix hessian; ///< of the cost's half
};

/// Some of the candidates of a table, and their latencies.
struct RooflineData {
    const WorkTable& work;
    std::span<const std::size_t> candidates;
    std::span<const double> latency_ms; ///< [candidate of the list], positive
};

/// The latency in ms of a candidate.
double roofline_ms(std::span<const PaddedWork> work, const LogRates& log_rates, RooflineForm form);

/// The most likely rates by damped Gauss–Newton steps (Levenberg 1944) from `start`, with Huber's
/// weights on errors: first of the logs, which are never flat, then relative ones. Deterministic.
/// Complexity: O(60 · candidates · layers).
RooflineFit fit_roofline(const RooflineData& data, const RatePrior& prior, const LogRates& start,
                         RooflineForm form);

/// [candidate of the list] what each would be off by, relative, if it had been left out: by the
/// leverage of each on its own prediction, to first order.
std::vector<double> left_out_errors(const RooflineData& data, const RooflineFit& fit,
                                    RooflineForm form);

/// Weights of residuals that grow no further than linearly beyond 1.345 times their spread (Huber
/// 1964; the spread by the median absolute residual, at least `smallest_spread`).
Eigen::VectorXd huber_weights(const Eigen::VectorXd& residuals, double smallest_spread);

} // namespace hdap::surrogate
