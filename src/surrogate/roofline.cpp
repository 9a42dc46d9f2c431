#include "surrogate/roofline.hpp"

#include "hdap/core/statistics.hpp"

#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>

namespace hdap::surrogate {
namespace {

using network::LayerKind;

constexpr double giga = 1e9;

double padded(std::int64_t channels, std::int64_t padding) {
    return static_cast<double>((channels + padding - 1) / padding * padding);
}

WorkKind work_kind(const network::LayerCosts& costs, double kernel_area) {
    switch (costs.kind) {
    case LayerKind::convolution:
        return kernel_area > 1.0 ? WorkKind::convolution : WorkKind::pointwise;
    case LayerKind::depthwise:
        return WorkKind::depthwise;
    case LayerKind::linear:
        return WorkKind::linear;
    default:
        return WorkKind::moving;
    }
}

double joined(double computing, double moving, Overlap overlap) {
    const double larger = std::max(computing, moving);
    if (larger <= 0.0) return 0.0;
    const double ratio = std::min(computing, moving) / larger;
    switch (overlap) {
    case Overlap::none:
        return computing + moving;
    case Overlap::square:
        return larger * std::sqrt(1.0 + ratio * ratio);
    case Overlap::fourth:
        return larger * std::sqrt(std::sqrt(1.0 + ratio * ratio * ratio * ratio));
    case Overlap::full:
        break;
    }
    return larger;
}

/// How much the joined time grows with one of its parts.
double joined_slope(double part, double other, double both, Overlap overlap) {
    if (both <= 0.0) return 0.0;
    const double share = part / both;
    switch (overlap) {
    case Overlap::none:
        return 1.0;
    case Overlap::square:
        return share;
    case Overlap::fourth:
        return share * share * share;
    case Overlap::full:
        break;
    }
    return part >= other ? 1.0 : 0.0;
}

/// The latency of a candidate and its gradient by the log rates.
struct Linearised {
    double latency_ms = 0.0;
    LogRates gradient = LogRates::Zero();
};

Linearised linearised(std::span<const PaddedWork> work, const LogRates& log_rates,
                      RooflineForm form) {
    Linearised sum;
    const LogRates rates = log_rates.array().exp();
    const Overlap overlap = form.overlap;
    for (const PaddedWork& padded : work) {
        const LayerWork& layer = padded.at[form.padding];
        const LayerTimes times = layer_times(layer, rates, overlap);
        sum.latency_ms += times.joined + rates[rate_launch];
        if (layer.kind != WorkKind::moving)
            sum.gradient[static_cast<Eigen::Index>(layer.kind)] +=
                times.computing *
                joined_slope(times.computing, times.moving, times.joined, overlap);
        const double of_moving =
            layer.kind == WorkKind::moving
                ? 1.0
                : joined_slope(times.moving, times.computing, times.joined, overlap);
        sum.gradient[rate_weights] += of_moving * layer.weights * rates[rate_weights];
        sum.gradient[rate_activations] += of_moving * layer.activations * rates[rate_activations];
        sum.gradient[rate_launch] += rates[rate_launch];
    }
    return sum;
}

enum class Loss { log_error, relative_error };

double residual(double predicted_ms, double latency_ms, Loss loss) {
    return loss == Loss::log_error ? std::log(predicted_ms / latency_ms)
                                   : predicted_ms / latency_ms - 1.0;
}

/// One loss of a fit, and where it has got to.
class GaussNewton {
  public:
    GaussNewton(const RooflineData& data, const RatePrior& prior, RooflineForm form, Loss loss,
                LogRates start)
        : data_(data), prior_(prior), form_(form), loss_(loss), rates_(std::move(start)) {}

    void run() {
        constexpr int most_steps = 30;
        constexpr double converged = 1e-4;
        for (int step = 0; step < most_steps; ++step) {
            linearise();
            const double largest = improve();
            if (largest < converged) break;
        }
    }

    [[nodiscard]] RooflineFit result() const {
        const LogRates off = rates_ - prior_.mean;
        const auto count = static_cast<double>(data_.candidates.size());
        return {.rates = rates_,
                .cost = count * std::log(variance_) + off.dot(prior_.precision * off),
                .noise = std::sqrt(variance_),
                .hessian = hessian_};
    }

  private:
    void linearise() {
        const auto count = static_cast<Eigen::Index>(data_.candidates.size());
        Eigen::MatrixXd slopes(count, static_cast<Eigen::Index>(rate_count));
        Eigen::VectorXd residuals(count);
        for (Eigen::Index i = 0; i < count; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const Linearised of = linearised(data_.work.of(data_.candidates[at]), rates_, form_);
            residuals[i] = residual(of.latency_ms, data_.latency_ms[at], loss_);
            slopes.row(i) = of.gradient.transpose() /
                            (loss_ == Loss::log_error ? of.latency_ms : data_.latency_ms[at]);
        }
        weights_ = huber_weights(residuals, smallest_spread);
        const double squares = (weights_.array() * residuals.array().square()).sum();
        const auto n = static_cast<double>(count);
        variance_ = std::max(squares / std::max(n - 0.5 * static_cast<double>(rate_count), n / 4),
                             smallest_noise * smallest_noise);
        hessian_ =
            slopes.transpose() * weights_.asDiagonal() * slopes / variance_ + prior_.precision;
        gradient_ = slopes.transpose() * weights_.cwiseProduct(residuals) / variance_ +
                    prior_.precision * (rates_ - prior_.mean);
    }

    /// Takes the first damped step that does not make it worse; tells how large it was.
    double improve() {
        constexpr int most_tries = 8;
        const double before = cost_at(rates_);
        for (int attempt = 0; attempt < most_tries; ++attempt) {
            RateMatrix damped = hessian_;
            damped.diagonal() *= 1.0 + damping_;
            LogRates step = -damped.ldlt().solve(gradient_);
            step *= std::min(1.0, 1.0 / step.cwiseAbs().maxCoeff());
            if (!step.allFinite()) return 0.0;
            if (cost_at(rates_ + step) <= before) {
                damping_ = std::max(damping_ / 5.0, 1e-8);
                rates_ += step;
                return step.cwiseAbs().maxCoeff();
            }
            damping_ *= 5.0;
        }
        return 0.0;
    }

    [[nodiscard]] double cost_at(const LogRates& rates) const {
        double squares = 0.0;
        for (std::size_t i = 0; i < data_.candidates.size(); ++i) {
            const double of =
                residual(roofline_ms(data_.work.of(data_.candidates[i]), rates, form_),
                         data_.latency_ms[i], loss_);
            squares += weights_[static_cast<Eigen::Index>(i)] * of * of;
        }
        const LogRates off = rates - prior_.mean;
        return squares / variance_ + off.dot(prior_.precision * off);
    }

    static constexpr double smallest_spread = 1e-4;
    static constexpr double smallest_noise = 1e-3;

    const RooflineData& data_;
    const RatePrior& prior_;
    RooflineForm form_;
    Loss loss_;
    LogRates rates_;
    double damping_ = 1e-2;
    double variance_ = 1.0;
    Eigen::VectorXd weights_;
    RateMatrix hessian_ = RateMatrix::Identity();
    LogRates gradient_ = LogRates::Zero();
};

} // namespace

LayerWork layer_work(const network::LayerCosts& costs, std::int64_t batch, std::int64_t padding) {
    const auto images = static_cast<double>(batch);
    const auto inputs = static_cast<double>(std::max<std::int64_t>(costs.input_channels, 1));
    const auto outputs = static_cast<double>(std::max<std::int64_t>(costs.output_channels, 1));
    const double padded_inputs = padded(costs.input_channels, padding);
    const double padded_outputs = padded(costs.output_channels, padding);
    const double pixels = static_cast<double>(costs.output_elements) / outputs;
    const auto macs = static_cast<double>(costs.macs);
    LayerWork work;
    work.kind = work_kind(costs, macs / (pixels * inputs * outputs));
    const bool is_dense = work.kind != WorkKind::depthwise && work.kind != WorkKind::moving;
    const double of_padding = padded_outputs / outputs * (is_dense ? padded_inputs / inputs : 1.0);
    work.macs = macs * of_padding * images / giga;
    work.weights = macs / std::max(pixels, 1.0) * of_padding / giga;
    work.activations = (static_cast<double>(costs.input_elements) * padded_inputs / inputs +
                        static_cast<double>(costs.output_elements) * padded_outputs / outputs) *
                       images / giga;
    return work;
}

LayerTimes layer_times(const LayerWork& work, const LogRates& rates, Overlap overlap) {
    LayerTimes times;
    times.moving = work.weights * rates[rate_weights] + work.activations * rates[rate_activations];
    if (work.kind != WorkKind::moving)
        times.computing = work.macs * rates[static_cast<Eigen::Index>(work.kind)];
    times.joined = joined(times.computing, times.moving, overlap);
    return times;
}

PaddedWork padded_work(const network::LayerCosts& costs, std::int64_t batch) {
    constexpr std::int64_t aligned = 8;
    constexpr std::int64_t of_image = 3;
    PaddedWork work;
    for (std::size_t i = 0; i < paddings.size(); ++i)
        work.at[i] = layer_work(costs, batch, paddings[i]);
    work.is_unaligned = (costs.input_channels % aligned != 0 && costs.input_channels > of_image) ||
                        costs.output_channels % aligned != 0;
    return work;
}

WorkTable work_table(const network::CostModel& costs, std::span<const network::Genome> genomes,
                     std::int64_t batch) {
    WorkTable table;
    for (const network::Genome& genome : genomes) {
        const auto layers = costs.layers(genome);
        table.layers = layers.size();
        for (const network::LayerCosts& layer : layers)
            table.work.push_back(padded_work(layer, batch));
    }
    return table;
}

RatePrior vague_prior(const WorkTable& work, std::span<const double> latency_ms) {
    std::vector<double> macs;
    std::vector<double> elements;
    for (std::size_t i = 0; i < work.candidates(); ++i) {
        macs.push_back(0.0);
        elements.push_back(0.0);
        for (const PaddedWork& padded : work.of(i)) {
            const LayerWork& layer = padded.at.front();
            macs.back() += layer.macs;
            elements.back() += layer.weights + layer.activations;
        }
    }
    const double third = core::median({latency_ms.begin(), latency_ms.end()}) / 3.0;
    RatePrior prior;
    constexpr double none = 1e-12;
    prior.mean.setConstant(std::log(third / std::max(core::median(macs), none)));
    prior.mean[rate_weights] = std::log(third / std::max(core::median(elements), none));
    prior.mean[rate_activations] = prior.mean[rate_weights];
    prior.mean[rate_launch] = std::log(third / static_cast<double>(work.layers));
    constexpr double precision = 1.0 / (2.0 * 2.0);
    constexpr double alike = 4.0;
    prior.precision = RateMatrix::Identity() * precision;
    prior.precision(rate_weights, rate_weights) += alike;
    prior.precision(rate_activations, rate_activations) += alike;
    prior.precision(rate_weights, rate_activations) -= alike;
    prior.precision(rate_activations, rate_weights) -= alike;
    return prior;
}

RatePrior prior_near(const LogRates& rates) {
    constexpr double spread = 0.7;
    constexpr double of_all = 2.0;
    const RateMatrix covariance =
        RateMatrix::Identity() * (spread * spread) + RateMatrix::Constant(of_all * of_all);
    return {.mean = rates, .precision = covariance.ldlt().solve(RateMatrix::Identity())};
}

double roofline_ms(std::span<const PaddedWork> work, const LogRates& log_rates, RooflineForm form) {
    const LogRates rates = log_rates.array().exp();
    double sum = 0.0;
    for (const PaddedWork& layer : work)
        sum += layer_times(layer.at[form.padding], rates, form.overlap).joined;
    return sum + static_cast<double>(work.size()) * rates[rate_launch];
}

RooflineFit fit_roofline(const RooflineData& data, const RatePrior& prior, const LogRates& start,
                         RooflineForm form) {
    GaussNewton by_logs(data, prior, form, Loss::log_error, start);
    by_logs.run();
    GaussNewton relative(data, prior, form, Loss::relative_error, by_logs.result().rates);
    relative.run();
    return relative.result();
}

std::vector<double> left_out_errors(const RooflineData& data, const RooflineFit& fit,
                                    RooflineForm form) {
    constexpr double most_leverage = 0.9;
    const RateMatrix covariance = fit.hessian.ldlt().solve(RateMatrix::Identity());
    std::vector<double> errors;
    for (std::size_t i = 0; i < data.candidates.size(); ++i) {
        const Linearised of = linearised(data.work.of(data.candidates[i]), fit.rates, form);
        const LogRates slope = of.gradient / data.latency_ms[i];
        const double leverage = slope.dot(covariance * slope) / (fit.noise * fit.noise);
        errors.push_back(std::abs(of.latency_ms / data.latency_ms[i] - 1.0) /
                         std::max(1.0 - leverage, 1.0 - most_leverage));
    }
    return errors;
}

Eigen::VectorXd huber_weights(const Eigen::VectorXd& residuals, double smallest_spread) {
    constexpr double efficient = 1.345; // 95 % as good as least squares on normal errors
    constexpr double normal = 1.4826;   // standard deviation ÷ median absolute deviation
    std::vector<double> sizes(static_cast<std::size_t>(residuals.size()));
    for (std::size_t i = 0; i < sizes.size(); ++i)
        sizes[i] = std::abs(residuals[static_cast<Eigen::Index>(i)]);
    const double limit = std::max(efficient * normal * core::median(sizes), smallest_spread);
    Eigen::VectorXd weights(residuals.size());
    for (Eigen::Index i = 0; i < weights.size(); ++i)
        weights[i] = std::abs(residuals[i]) <= limit ? 1.0 : limit / std::abs(residuals[i]);
    return weights;
}

} // namespace hdap::surrogate
