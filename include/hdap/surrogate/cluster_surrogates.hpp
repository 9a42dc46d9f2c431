#pragma once

#include "hdap/storage/hdf5.hpp"
#include "hdap/surrogate/error_figures.hpp"
#include "hdap/surrogate/forest_kernel.hpp"
#include "hdap/surrogate/gbrt.hpp"
#include "hdap/surrogate/profile.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hdap::surrogate {

inline constexpr const char* surrogates_schema = "hdap-surrogates/1";

/// Predicts the latency of a candidate on each cluster: one forest per cluster, fitted to latency
/// ÷ the cluster's latency of the unpruned network.
class ClusterSurrogates {
  public:
    ClusterSurrogates() = default;

    /// `forests`, `unpruned_latency_ms` and `cross_validation` have one entry per cluster;
    /// `group_names` names the genes or is empty.
    /// Throws DataError when the sizes differ, there is no cluster, a forest is invalid or a
    /// latency is not positive.
    ClusterSurrogates(std::vector<Forest> forests, std::vector<double> unpruned_latency_ms,
                      std::vector<ErrorFigures> cross_validation,
                      std::vector<std::string> group_names);

    [[nodiscard]] std::size_t clusters() const noexcept { return kernel_.forests().size(); }
    [[nodiscard]] std::size_t genes() const noexcept { return kernel_.columns(); }
    [[nodiscard]] const std::vector<Forest>& forests() const noexcept { return kernel_.forests(); }
    [[nodiscard]] const std::vector<double>& unpruned_latency_ms() const noexcept {
        return unpruned_latency_ms_;
    }
    /// Per cluster, of predictions (ms) for candidates that the predicting forest had not seen.
    [[nodiscard]] const std::vector<ErrorFigures>& cross_validation() const noexcept {
        return cross_validation_;
    }
    [[nodiscard]] const std::vector<std::string>& group_names() const noexcept {
        return group_names_;
    }

    /// latency_ms[row][cluster] of the candidates with the keep ratios `features`, [rows][genes].
    ///
    /// Equals unpruned_latency_ms × predict_reference bit for bit for any `threads` and any
    /// partition of the rows (see ForestKernel).
    /// Throws DataError when sizes do not fit; ConfigError when `threads` < 1.
    void predict_ms(std::span<const float> features, std::size_t rows, std::span<double> latency_ms,
                    int threads) const;

  private:
    ForestKernel kernel_;
    std::vector<double> unpruned_latency_ms_;
    std::vector<ErrorFigures> cross_validation_;
    std::vector<std::string> group_names_;
};

/// Fits the surrogates of all clusters, and cross-validates each.
///
/// The candidates are dealt into `folds` folds (fewer when there are fewer candidates) by a
/// permutation from RandomStream(parameters.seed, StreamId::surrogate_split), the same for all
/// clusters. Every fold is predicted by a forest fitted to the others; the error figures are those
/// of all these predictions together. The forest that is kept is fitted to all candidates.
/// Fits run on `threads` OpenMP threads (0: OpenMP's default); the result does not depend on it.
///
/// Throws ConfigError for parameters out of range, `folds` < 2 or `threads` < 0; DataError for a
/// profile that check_profile refuses or that has fewer than 2 candidates.
/// Complexity: O(clusters × folds × trees × depth × candidates × genes).
ClusterSurrogates fit_surrogates(const Profile& profile, const GbrtParameters& parameters,
                                 std::int64_t folds = 5, int threads = 0);

/// Writes the surrogates as flat arrays, cluster after cluster:
///   /group_names                 [genes] or empty
///   /unpruned_latency_ms         [clusters]
///   /cross_validation/{mape,rmse_ms,r_squared,kendall_tau}   [clusters]
///   /forests                     attribute genes
///   /forests/base_score          [clusters]
///   /forests/trees               [clusters]: how many trees a cluster's forest has
///   /forests/nodes               [all trees]: how many nodes a tree has
///   /forests/{feature,threshold,left,right,value}            [all nodes], as in Forest
void write_surrogates(storage::Hdf5Writer& file, const ClusterSurrogates& surrogates);

/// Reads what write_surrogates wrote; the schema is for storage::read_identity to check.
/// Every index is checked, so that no file can make a prediction read out of bounds or loop.
/// Throws DataError that names the file, the array and the value.
ClusterSurrogates read_surrogates(const storage::Hdf5Reader& file);

} // namespace hdap::surrogate
