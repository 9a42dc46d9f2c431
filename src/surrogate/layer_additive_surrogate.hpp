#pragma once

#include "hdap/surrogate/surrogate.hpp"
#include "surrogate/layer_additive_fit.hpp"
#include "surrogate/layer_tables.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace hdap::surrogate {

/// The surrogate of kind "layer_additive": LayerAdditiveModel, from tables.
class LayerAdditiveSurrogate final : public Surrogate {
  public:
    /// Throws DataError when the parts are of another network, of differing sizes, or hold numbers
    /// that are not finite, or negative weights.
    LayerAdditiveSurrogate(LayerAdditiveModel model, AdditiveRidges ridges,
                           std::vector<ErrorMetrics> cross_validation,
                           const PredictedNetwork& network);

    [[nodiscard]] std::string_view kind() const override { return "layer_additive"; }
    [[nodiscard]] const std::vector<ErrorMetrics>& cross_validation() const override {
        return cross_validation_;
    }

    /// Equals LayerTables::sum_plainly of add_layer_ms bit for bit. Throws ConfigError when
    /// `threads` < 1.
    void predict(std::span<const network::Genome> genomes, std::span<double> latency_ms,
                 int threads) const override;

    /// Writes below `prefix`:
    ///   /log_rates      [clusters, 7]  logs of ms per 10⁹ multiply-accumulates by kind, per 10⁹
    ///                                  elements of weights and of activations, and per layer
    ///   /weights        [layers, columns]
    ///   /columns, /layers              what they are
    ///   /cross_validation/{mape,rmse_ms,r_squared,kendall_tau}   [clusters]
    /// and the attributes padding, overlap, batch, shape_ridge, layer_ridge (0: none).
    void write(storage::Hdf5Writer& file, const std::string& prefix) const override;

    [[nodiscard]] const LayerAdditiveModel& model() const noexcept { return *model_; }
    [[nodiscard]] const LayerTables& tables() const noexcept { return tables_; }

  private:
    AdditiveRidges ridges_;
    std::vector<ErrorMetrics> cross_validation_;
    std::vector<std::string> layer_names_;
    std::int64_t batch_;
    std::shared_ptr<const LayerAdditiveModel> model_; ///< that the tables ask, too
    LayerTables tables_;
};

/// Fits it to a profile, cross-validated over `folds` parts of the candidates: over five that
/// choose how plain it is where `folds` is 0; its errors are then not numbers. Throws DataError for
/// a profile that check_profile refuses, of another network or of fewer than 3 candidates,
/// ConfigError for 1 fold, fewer than 0, or `threads` < 0.
std::unique_ptr<Surrogate> fit_layer_additive_surrogate(const fleet::Profile& profile,
                                                        const PredictedNetwork& network,
                                                        int threads, std::int64_t folds);

/// Reads what LayerAdditiveSurrogate::write wrote below `prefix`. Throws DataError that names the
/// file, the array and the value, and where it is of another network or batch.
std::unique_ptr<Surrogate> read_layer_additive_surrogate(const storage::Hdf5Reader& file,
                                                         const PredictedNetwork& network,
                                                         const std::string& prefix);

} // namespace hdap::surrogate
