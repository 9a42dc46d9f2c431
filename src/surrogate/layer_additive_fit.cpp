#include "surrogate/layer_additive_fit.hpp"

#include "hdap/core/statistics.hpp"
#include "surrogate/non_negative.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace hdap::surrogate {
namespace {

constexpr double infinite = std::numeric_limits<double>::infinity();
constexpr std::array shape_ridges{infinite, 1e-2, 1e-4, 1e-6};
constexpr std::array layer_ridges{infinite, 10.0, 1.0, 0.1, 0.01, 0.001};
constexpr double smallest_spread = 1e-6;

using Clusters = std::span<const ClusterMeasurements>;

RooflineData data_of(const WorkTable& work, const ClusterMeasurements& cluster) {
    return {work, cluster.candidates, cluster.latency_ms};
}

/// The roofline of the first cluster for each padding, overlap by overlap, each from where the one
/// before ended: full overlap alone would end anywhere.
RooflineForm chosen_form(const WorkTable& work, const ClusterMeasurements& cluster, int threads) {
    constexpr double better = 0.98;
    const RooflineData data = data_of(work, cluster);
    const RatePrior prior = vague_prior(work, cluster.latency_ms);
    std::array<std::array<double, paddings.size()>, overlaps.size()> errors{};
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (std::size_t p = 0; p < paddings.size(); ++p) {
        LogRates rates = prior.mean;
        for (std::size_t o = 0; o < overlaps.size(); ++o) {
            const RooflineForm form{p, overlaps[o]};
            const RooflineFit fit = fit_roofline(data, prior, rates, form);
            rates = fit.rates;
            errors[o][p] = core::mean(left_out_errors(data, fit, form));
        }
    }
    RooflineForm best;
    double least = infinite;
    for (std::size_t o = 0; o < overlaps.size(); ++o)
        for (std::size_t p = 0; p < paddings.size(); ++p)
            if (errors[o][p] < better * least) {
                least = errors[o][p];
                best = {p, overlaps[o]};
            }
    return best;
}

/// From the vague prior, through the lesser overlaps.
LogRates first_rates(const WorkTable& work, const ClusterMeasurements& cluster, RooflineForm form) {
    const RooflineData data = data_of(work, cluster);
    const RatePrior prior = vague_prior(work, cluster.latency_ms);
    LogRates rates = prior.mean;
    for (const Overlap overlap : overlaps) {
        rates = fit_roofline(data, prior, rates, {form.padding, overlap}).rates;
        if (overlap == form.overlap) break;
    }
    return rates;
}

/// The same with all latencies of the data longer by one factor, as the measured ones are.
LogRates scaled_to(const RooflineData& data, LogRates rates, RooflineForm form) {
    std::vector<double> predicted;
    for (const std::size_t candidate : data.candidates)
        predicted.push_back(roofline_ms(data.work.of(candidate), rates, form));
    const double measured = core::median({data.latency_ms.begin(), data.latency_ms.end()});
    rates.array() += std::log(measured / core::median(predicted));
    return rates;
}

/// Those of another cluster, near the first's. A device may be slow in one part of the work alone,
/// and a descent from the others does not find that.
LogRates further_rates(const WorkTable& work, const ClusterMeasurements& cluster,
                       const LogRates& first, RooflineForm form) {
    const RooflineData data = data_of(work, cluster);
    const RatePrior prior = prior_near(first);
    std::vector<LogRates> starts(4, first);
    starts[1].head<computing_kinds>().array() += 1.0;
    starts[2][rate_weights] += 1.0;
    starts[2][rate_activations] += 1.0;
    starts[3][rate_launch] += 1.0;
    RooflineFit best;
    best.cost = infinite;
    for (const LogRates& start : starts) {
        RooflineFit fit = fit_roofline(data, prior, scaled_to(data, start, form), form);
        if (fit.cost < best.cost) best = std::move(fit);
    }
    return best.rates;
}

/// [cluster]
std::vector<LogRates> fitted_rates(const WorkTable& work, Clusters clusters, RooflineForm form,
                                   int threads) {
    std::vector<LogRates> rates(clusters.size());
    rates[0] = first_rates(work, clusters[0], form);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (std::size_t k = 1; k < clusters.size(); ++k)
        rates[k] = further_rates(work, clusters[k], rates[0], form);
    return rates;
}

/// The same for fewer measurements, from the rates that all of them have.
std::vector<LogRates> refitted_rates(const WorkTable& work, Clusters clusters, RooflineForm form,
                                     const std::vector<LogRates>& starts) {
    std::vector<LogRates> rates;
    for (std::size_t k = 0; k < clusters.size(); ++k) {
        const RatePrior prior =
            k == 0 ? vague_prior(work, clusters[0].latency_ms) : prior_near(rates[0]);
        rates.push_back(fit_roofline(data_of(work, clusters[k]), prior, starts[k], form).rates);
    }
    return rates;
}

/// One row for each measurement of each cluster in turn.
template <class RowOf>
Eigen::MatrixXd rows_of(const WorkTable& work, Clusters clusters, Eigen::Index columns,
                        RowOf row_of) {
    Eigen::Index rows = 0;
    for (const ClusterMeasurements& cluster : clusters)
        rows += static_cast<Eigen::Index>(cluster.candidates.size());
    Eigen::MatrixXd matrix(rows, columns);
    Eigen::Index row = 0;
    for (std::size_t k = 0; k < clusters.size(); ++k)
        for (std::size_t i = 0; i < clusters[k].candidates.size(); ++i)
            matrix.row(row++) =
                row_of(k, work.of(clusters[k].candidates[i])) / clusters[k].latency_ms[i];
    return matrix;
}

/// [measurement][column] ÷ measured latency.
Eigen::MatrixXd shared_columns(const WorkTable& work, Clusters clusters,
                               const std::vector<LogRates>& rates, RooflineForm form) {
    const auto columns = static_cast<Eigen::Index>(shape_columns().size());
    return rows_of(work, clusters, columns, [&](std::size_t k, std::span<const PaddedWork> layers) {
        const Eigen::RowVectorXd row = column_sums_ms(layers, rates[k], form).transpose();
        return row;
    });
}

/// Weights that are not negative, near `target`, with which the columns add up to 1 in each row.
/// `penalty` [column], of columns scaled to a mean of 1. `huber`: [row].
Eigen::VectorXd weights_near(const Eigen::MatrixXd& scaled, const Eigen::VectorXd& target,
                             const Eigen::VectorXd& penalty, const Eigen::VectorXd& huber,
                             std::vector<bool>& free) {
    Eigen::MatrixXd hessian = scaled.transpose() * huber.asDiagonal() * scaled;
    hessian.diagonal() += penalty;
    return non_negative_minimum(hessian, scaled.transpose() * huber + penalty.cwiseProduct(target),
                                free);
}

/// Of the columns that all layers of a kind share: the ridge is towards the roofline.
Eigen::VectorXd shared_weights(const Eigen::MatrixXd& columns, double ridge) {
    constexpr int rounds = 4;
    constexpr double none = 1e-12;
    const Eigen::VectorXd roofline = roofline_weights();
    if (std::isinf(ridge)) return roofline;
    const Eigen::VectorXd mean = columns.colwise().mean();
    std::vector<Eigen::Index> used;
    for (Eigen::Index c = 0; c < mean.size(); ++c)
        if (mean[c] > none) used.push_back(c);
    const Eigen::VectorXd scale = mean(used);
    const Eigen::MatrixXd scaled = columns(Eigen::all, used) * scale.cwiseInverse().asDiagonal();
    const Eigen::VectorXd target = roofline(used).cwiseProduct(scale);
    const Eigen::VectorXd penalty =
        Eigen::VectorXd::Constant(target.size(), ridge * static_cast<double>(columns.rows()));
    Eigen::VectorXd huber = Eigen::VectorXd::Ones(columns.rows());
    Eigen::VectorXd found;
    std::vector<bool> free;
    for (int round = 0; round < rounds; ++round) {
        found = weights_near(scaled, target, penalty, huber, free);
        const Eigen::VectorXd sums = scaled * found;
        huber = huber_weights(sums.array() - 1.0, smallest_spread);
    }
    Eigen::VectorXd weights = Eigen::VectorXd::Zero(mean.size());
    weights(used) = found.cwiseQuotient(scale);
    return weights;
}

/// What a layer may differ in from others of its kind.
struct LayerTerm {
    std::size_t layer = 0;
    std::size_t column = 0;
};

/// Layers that compute much: more or less rounded, and more or less memory.
std::vector<LayerTerm> own_terms(std::span<const PaddedWork> layers) {
    std::vector<LayerTerm> terms;
    for (std::size_t l = 0; l < layers.size(); ++l) {
        const WorkKind kind = layers[l].at.front().kind;
        if (kind == WorkKind::moving || kind == WorkKind::depthwise) continue;
        for (const std::size_t padding : {0U, 4U, 5U})
            terms.push_back({l, column_of(kind, ShapeForm::computing, padding)});
        terms.push_back({l, column_of(kind, ShapeForm::moving)});
    }
    return terms;
}

/// [measurement][each layer's present time, then each of `terms`] ÷ measured latency.
Eigen::MatrixXd layer_columns(const WorkTable& work, Clusters clusters,
                              const std::vector<LogRates>& log_rates, RooflineForm form,
                              const Eigen::VectorXd& shared, const std::vector<LayerTerm>& terms) {
    const auto& columns = shape_columns();
    const auto layers = static_cast<Eigen::Index>(work.layers);
    const auto size = layers + static_cast<Eigen::Index>(terms.size());
    return rows_of(work, clusters, size, [&](std::size_t k, std::span<const PaddedWork> of) {
        const LogRates rates = log_rates[k].array().exp();
        Eigen::RowVectorXd row = Eigen::RowVectorXd::Zero(size);
        for (Eigen::Index l = 0; l < layers; ++l)
            for (std::size_t c = 0; c < columns.size(); ++c)
                if (const double weight = shared[static_cast<Eigen::Index>(c)]; weight > 0.0)
                    row[l] += weight *
                              column_ms(columns[c], of[static_cast<std::size_t>(l)], rates, form);
        for (std::size_t t = 0; t < terms.size(); ++t)
            row[layers + static_cast<Eigen::Index>(t)] =
                column_ms(columns[terms[t].column], of[terms[t].layer], rates, form);
        return row;
    });
}

/// Of layers: the ridge is towards what their kind takes.
class LayerWeights {
  public:
    LayerWeights(const Eigen::MatrixXd& columns, std::size_t layers)
        : scale_(columns.colwise().mean().transpose().cwiseMax(1e-9)),
          target_(Eigen::VectorXd::Zero(columns.cols())),
          rows_(static_cast<double>(columns.rows())) {
        target_.head(static_cast<Eigen::Index>(layers)).setOnes();
        const Eigen::MatrixXd scaled = columns * scale_.cwiseInverse().asDiagonal();
        const Eigen::VectorXd sums = columns * target_;
        const Eigen::VectorXd huber = huber_weights(sums.array() - 1.0, smallest_spread);
        hessian_ = scaled.transpose() * huber.asDiagonal() * scaled;
        linear_ = scaled.transpose() * huber;
    }

    [[nodiscard]] Eigen::VectorXd weights(double ridge) {
        if (std::isinf(ridge)) return target_;
        // The same relative spread of what each column makes of a latency.
        const Eigen::VectorXd penalty = ridge * rows_ * scale_.mean() * scale_.cwiseInverse();
        Eigen::MatrixXd hessian = hessian_;
        hessian.diagonal() += penalty;
        const Eigen::VectorXd towards = penalty.cwiseProduct(target_).cwiseProduct(scale_);
        return non_negative_minimum(hessian, linear_ + towards, free_).cwiseQuotient(scale_);
    }

  private:
    Eigen::VectorXd scale_;
    Eigen::VectorXd target_;
    double rows_;
    Eigen::MatrixXd hessian_;
    Eigen::VectorXd linear_;
    std::vector<bool> free_;
};

/// The measurements of each cluster whose candidates are of a fold, or of all others.
std::vector<ClusterMeasurements> part_of(Clusters clusters, std::size_t folds, std::size_t fold,
                                         bool held_out) {
    std::vector<ClusterMeasurements> parts;
    for (const ClusterMeasurements& cluster : clusters) {
        ClusterMeasurements& part = parts.emplace_back();
        for (std::size_t i = 0; i < cluster.candidates.size(); ++i)
            if ((i % folds == fold) == held_out) {
                part.candidates.push_back(cluster.candidates[i]);
                part.latency_ms.push_back(cluster.latency_ms[i]);
            }
    }
    return parts;
}

/// The part of a cross-validation that one fold is held out of.
struct Fold {
    std::vector<ClusterMeasurements> seen;
    std::vector<ClusterMeasurements> held_out;
    std::vector<LogRates> rates;
    std::vector<Eigen::VectorXd> by_shape; ///< [ridge] predicted ÷ measured, row by row
    std::vector<Eigen::VectorXd> by_layer;
};

/// The plainest option, unless a richer one is better by more than a standard error and 1 %; of few
/// measurements by two. `errors`: [option][measurement].
std::size_t plainest_good(const std::vector<std::vector<double>>& errors) {
    constexpr std::size_t few = 30;
    constexpr double worth_it = 0.01;
    std::size_t best = 0;
    for (std::size_t option = 1; option < errors.size(); ++option) {
        std::vector<double> gains;
        for (std::size_t i = 0; i < errors[option].size(); ++i)
            gains.push_back(errors[best][i] - errors[option][i]);
        const double gain = core::mean(gains);
        double squares = 0.0;
        for (const double of : gains)
            squares += (of - gain) * (of - gain);
        const auto count = static_cast<double>(gains.size());
        const double standard_error = std::sqrt(squares) / count;
        const double needed = (gains.size() < few ? 2.0 : 1.0) * standard_error;
        if (gain > needed && gain > worth_it * core::mean(errors[best])) best = option;
    }
    return best;
}

/// [option][measurement] of all folds, in turn.
std::vector<std::vector<double>> errors_of(const std::vector<Fold>& folds,
                                           std::vector<Eigen::VectorXd> Fold::*predictions) {
    std::vector<std::vector<double>> errors((folds.front().*predictions).size());
    for (const Fold& fold : folds)
        for (std::size_t option = 0; option < errors.size(); ++option)
            for (const double ratio : (fold.*predictions)[option])
                errors[option].push_back(std::abs(ratio - 1.0));
    return errors;
}

/// [cluster][measurement] in the order of the clusters' own.
std::vector<std::vector<double>>
held_out_predictions(Clusters clusters, const std::vector<Fold>& folds, std::size_t option) {
    std::vector<std::vector<double>> predicted;
    for (const ClusterMeasurements& cluster : clusters)
        predicted.emplace_back(cluster.candidates.size());
    for (std::size_t f = 0; f < folds.size(); ++f) {
        const Eigen::VectorXd& ratios = folds[f].by_layer[option];
        Eigen::Index row = 0;
        for (std::size_t k = 0; k < clusters.size(); ++k)
            for (std::size_t i = f; i < clusters[k].candidates.size(); i += folds.size())
                predicted[k][i] = ratios[row++] * clusters[k].latency_ms[i];
    }
    return predicted;
}

/// Each layer's own share of what its kind takes, and its own terms.
Eigen::MatrixXd composed(const Eigen::VectorXd& shared, const std::vector<LayerTerm>& terms,
                         const Eigen::VectorXd& of_layers, std::size_t layers) {
    const auto rows = static_cast<Eigen::Index>(layers);
    Eigen::MatrixXd weights = of_layers.head(rows) * shared.transpose();
    for (std::size_t t = 0; t < terms.size(); ++t)
        weights(static_cast<Eigen::Index>(terms[t].layer),
                static_cast<Eigen::Index>(terms[t].column)) +=
            of_layers[rows + static_cast<Eigen::Index>(t)];
    return weights;
}

} // namespace

LayerFunction::LayerFunction(std::shared_ptr<const LayerAdditiveModel> model)
    : model_(std::move(model)) {
    for (const LogRates& log_rates : model_->log_rates)
        rates_.emplace_back(log_rates.array().exp());
    const auto& columns = shape_columns();
    for (Eigen::Index layer = 0; layer < model_->weights.rows(); ++layer) {
        std::vector<Term>& terms = terms_.emplace_back();
        for (std::size_t c = 0; c < columns.size(); ++c)
            if (const double weight = model_->weights(layer, static_cast<Eigen::Index>(c));
                weight > 0.0)
                terms.push_back({&columns[c], weight});
    }
}

void LayerFunction::fill(std::size_t layer, const PaddedWork& work,
                         std::span<double> latency_ms) const {
    for (std::size_t k = 0; k < latency_ms.size(); ++k) {
        latency_ms[k] = 0.0;
        for (const Term& term : terms_[layer])
            latency_ms[k] += term.weight * column_ms(*term.column, work, rates_[k], model_->form);
    }
}

namespace {

/// The folds, each with rates that know nothing of what it holds out.
std::vector<Fold> dealt(const WorkTable& work, Clusters clusters, const LayerAdditiveModel& model,
                        std::size_t folds, int threads) {
    std::vector<Fold> parts(folds);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (std::size_t f = 0; f < folds; ++f) {
        parts[f].seen = part_of(clusters, folds, f, false);
        parts[f].held_out = part_of(clusters, folds, f, true);
        parts[f].rates = refitted_rates(work, parts[f].seen, model.form, model.log_rates);
    }
    return parts;
}

double chosen_shape_ridge(const WorkTable& work, RooflineForm form, std::vector<Fold>& folds,
                          int threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (Fold& fold : folds) {
        const auto seen = shared_columns(work, fold.seen, fold.rates, form);
        const auto held_out = shared_columns(work, fold.held_out, fold.rates, form);
        for (const double ridge : shape_ridges)
            fold.by_shape.emplace_back(held_out * shared_weights(seen, ridge));
    }
    return shape_ridges.at(plainest_good(errors_of(folds, &Fold::by_shape)));
}

/// The place of the ridge among layer_ridges.
std::size_t chosen_layer_ridge(const WorkTable& work, RooflineForm form, double shape_ridge,
                               const std::vector<LayerTerm>& terms, std::vector<Fold>& folds,
                               int threads) {
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (Fold& fold : folds) {
        const Eigen::VectorXd shared =
            shared_weights(shared_columns(work, fold.seen, fold.rates, form), shape_ridge);
        LayerWeights layers(layer_columns(work, fold.seen, fold.rates, form, shared, terms),
                            work.layers);
        const auto held_out = layer_columns(work, fold.held_out, fold.rates, form, shared, terms);
        for (const double ridge : layer_ridges)
            fold.by_layer.emplace_back(held_out * layers.weights(ridge));
    }
    return plainest_good(errors_of(folds, &Fold::by_layer));
}

} // namespace

LayerAdditiveFit fit_layer_additive(const WorkTable& work, Clusters clusters, std::size_t folds,
                                    int threads) {
    LayerAdditiveFit fit;
    LayerAdditiveModel& model = fit.model;
    model.form = chosen_form(work, clusters.front(), threads);
    model.log_rates = fitted_rates(work, clusters, model.form, threads);
    const std::vector<LayerTerm> terms = own_terms(work.of(0));
    std::vector<Fold> parts = dealt(work, clusters, model, folds, threads);
    fit.ridges.shapes = chosen_shape_ridge(work, model.form, parts, threads);
    const std::size_t option =
        chosen_layer_ridge(work, model.form, fit.ridges.shapes, terms, parts, threads);
    fit.ridges.layers = layer_ridges.at(option);
    fit.held_out_ms = held_out_predictions(clusters, parts, option);

    const Eigen::VectorXd shared = shared_weights(
        shared_columns(work, clusters, model.log_rates, model.form), fit.ridges.shapes);
    LayerWeights layers(layer_columns(work, clusters, model.log_rates, model.form, shared, terms),
                        work.layers);
    model.weights = composed(shared, terms, layers.weights(fit.ridges.layers), work.layers);
    return fit;
}

} // namespace hdap::surrogate
