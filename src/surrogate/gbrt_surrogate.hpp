#pragma once

#include "hdap/fleet/profile.hpp"
#include "hdap/surrogate/gbrt.hpp"
#include "hdap/surrogate/surrogate.hpp"
#include "surrogate/forest_kernel.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace hdap::surrogate {

/// What a GbrtSurrogate is made of.
struct GbrtParts {
    std::vector<Forest> forests;                 ///< [cluster] of latency ÷ unpruned latency
    std::vector<double> unpruned_latency_ms;     ///< [cluster]
    std::vector<ErrorMetrics> cross_validation;  ///< [cluster]
    std::vector<std::string> group_names;        ///< [gene]
    std::vector<std::int32_t> unpruned_channels; ///< [gene]
};

/// The surrogate of kind "gbrt": one gradient-boosted forest per cluster, whose features are the
/// keep ratios of a genome, in single precision, and whose target is latency ÷ the cluster's
/// latency of the unpruned network.
class GbrtSurrogate final : public Surrogate {
  public:
    /// Throws DataError when the sizes of the parts differ, there is no cluster, a forest is
    /// invalid, or a latency or a channel count is not positive.
    explicit GbrtSurrogate(GbrtParts parts);

    [[nodiscard]] std::string_view kind() const override { return "gbrt"; }
    [[nodiscard]] const std::vector<ErrorMetrics>& cross_validation() const override {
        return cross_validation_;
    }

    /// Equals unpruned_latency_ms × predict_reference of the keep ratios bit for bit (see
    /// ForestKernel). Throws ConfigError when `threads` < 1.
    void predict(std::span<const network::Genome> genomes, std::span<double> latency_ms,
                 int threads) const override;

    /// Writes flat arrays below `prefix`, cluster after cluster:
    ///   /group_names, /unpruned_channels   [genes]
    ///   /unpruned_latency_ms         [clusters]
    ///   /cross_validation/{mape,rmse_ms,r_squared,kendall_tau}   [clusters]
    ///   /forests                     attribute genes
    ///   /forests/base_score          [clusters]
    ///   /forests/trees               [clusters]: how many trees a cluster's forest has
    ///   /forests/nodes               [all trees]: how many nodes a tree has
    ///   /forests/{feature,threshold,left,right,value}            [all nodes], as in Forest
    void write(storage::Hdf5Writer& file, const std::string& prefix) const override;

    [[nodiscard]] const std::vector<Forest>& forests() const noexcept { return kernel_.forests(); }
    [[nodiscard]] const std::vector<double>& unpruned_latency_ms() const noexcept {
        return unpruned_latency_ms_;
    }
    [[nodiscard]] const std::vector<std::string>& group_names() const noexcept {
        return group_names_;
    }
    [[nodiscard]] const std::vector<std::int32_t>& unpruned_channels() const noexcept {
        return unpruned_channels_;
    }

  private:
    ForestKernel kernel_;
    std::vector<double> unpruned_latency_ms_;
    std::vector<ErrorMetrics> cross_validation_;
    std::vector<std::string> group_names_;
    std::vector<std::int32_t> unpruned_channels_;
};

/// [genome][gene] channels kept ÷ `unpruned_channels`: the forests' features. Genomes must have one
/// count per gene. Complexity: O(genomes × genes), over `threads` OpenMP threads.
std::vector<float> keep_ratios(std::span<const network::Genome> genomes,
                               std::span<const std::int32_t> unpruned_channels, int threads);

/// Fits the forests of all clusters, and cross-validates each.
///
/// The candidates are dealt into `folds` folds (fewer when there are fewer candidates) by a
/// permutation from RandomStream(parameters.seed, StreamId::surrogate_split), the same for all
/// clusters. Every fold is predicted by a forest fitted to the others; the error metrics are those
/// of all these predictions together; with 0 folds, not a number. The forest that is kept is fitted
/// to all candidates.
/// Fits run on `threads` OpenMP threads (0: OpenMP's default); the result does not depend on it.
///
/// Throws ConfigError for parameters out of range, 1 fold or fewer than 0, or `threads` < 0;
/// DataError for a profile that check_profile refuses or that has fewer than 2 candidates.
/// Complexity: O(clusters × folds × trees × depth × candidates × genes).
std::unique_ptr<GbrtSurrogate> fit_gbrt_surrogate(const fleet::Profile& profile,
                                                  const GbrtParameters& parameters, int threads,
                                                  std::int64_t folds = standard_folds);

/// Reads what GbrtSurrogate::write wrote below `prefix`. Every index is checked, so that no file
/// can make a prediction read out of bounds or loop. Throws DataError that names the file, the
/// array and the value.
std::unique_ptr<GbrtSurrogate> read_gbrt_surrogate(const storage::Hdf5Reader& file,
                                                   const std::string& prefix);

} // namespace hdap::surrogate
