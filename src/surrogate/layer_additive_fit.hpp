#pragma once

#include "surrogate/layer_shapes.hpp"
#include "surrogate/roofline.hpp"

#include <Eigen/Core>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace hdap::surrogate {

/// A latency that is a sum over layers, each a function of its own channels:
///     y_k = Σ_l Σ_c weights(l, c) · column_c(layer l, rates of cluster k).
/// What the layers are made of is shared by all devices of an SKU; how fast each part runs is the
/// cluster's own. Nothing is negative, and nothing falls as channels are added, but for
/// `unaligned`.
struct LayerAdditiveModel {
    RooflineForm form;
    std::vector<LogRates> log_rates; ///< [cluster]
    Eigen::MatrixXd weights;         ///< [layer][column of shape_columns()]
};

/// What layers take by a model, without the terms that weigh nothing.
class LayerFunction {
  public:
    explicit LayerFunction(std::shared_ptr<const LayerAdditiveModel> model);

    /// Fills `latency_ms` [cluster] with what a layer takes. Complexity: O(clusters · its terms).
    void fill(std::size_t layer, const PaddedWork& work, std::span<double> latency_ms) const;

  private:
    struct Term {
        const ShapeColumn* column;
        double weight;
    };
    std::shared_ptr<const LayerAdditiveModel> model_;
    std::vector<LogRates> rates_;          ///< [cluster] not their logs
    std::vector<std::vector<Term>> terms_; ///< [layer]
};

/// The candidates that were measured on a cluster, at least two.
struct ClusterMeasurements {
    std::vector<std::size_t> candidates; ///< in the work table, ascending
    std::vector<double> latency_ms;      ///< positive
};

/// How far a model is from the plainest, a roofline: penalties of what differs, infinite for
/// nothing.
struct AdditiveRidges {
    double shapes = 0.0; ///< of the weights that all layers of a kind share
    double layers = 0.0; ///< of those of each layer
};

/// A model, how it was chosen, and how well it does.
struct LayerAdditiveFit {
    LayerAdditiveModel model;
    AdditiveRidges ridges;
    /// [cluster][measurement] by models that had not seen the candidate.
    std::vector<std::vector<double>> held_out_ms;
};

/// Fits the model to the measurements of all clusters.
///
/// 1. Padding and overlap: those with which the first cluster's roofline is off by least on
///    candidates that are left out; a longer overlap or a wider padding must be 2 % better.
/// 2. Rates: of the first cluster, from a vague prior; of each further one, near the first's but
/// for
///    a common factor, from four starts. So fifteen measurements do.
/// 3. What layers of a kind are made of, by non-negative least squares on relative errors with
///    Huber's weights, with a ridge towards the roofline; then what each layer is made of, with a
///    ridge towards its kind. Both ridges by cross-validation over `folds` parts of the candidates:
///    the plainer one, unless another is better by more than a standard error and 1 %.
///
/// Clusters should come with the one of most measurements first. Deterministic; `threads` ≥ 1.
/// Complexity: O(folds · (measurements · (layers · columns + columns²) + columns³)), where the
/// columns are up to a hundred shared ones, and five for each layer.
LayerAdditiveFit fit_layer_additive(const WorkTable& work,
                                    std::span<const ClusterMeasurements> clusters,
                                    std::size_t folds, int threads);

} // namespace hdap::surrogate
