#pragma once

#include "hdap/fleet/profile.hpp"
#include "hdap/network/costs.hpp"
#include "hdap/network/pruning_structure.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/surrogate/error_metrics.hpp"
#include "hdap/surrogate/gbrt.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hdap::surrogate {

inline constexpr const char* surrogates_schema = "hdap-surrogates/2";

/// Predicts the latency of a candidate on the representatives of every device cluster.
class Surrogate {
  public:
    virtual ~Surrogate() = default;

    /// Its name in the table of kinds, and the attribute `kind` in its file.
    [[nodiscard]] virtual std::string_view kind() const = 0;

    /// [cluster] error metrics of predictions (ms) for candidates that the predicting model had not
    /// seen.
    [[nodiscard]] virtual const std::vector<ErrorMetrics>& cross_validation() const = 0;

    /// Fills `latency_ms`, [genome][cluster]. The bits do not depend on `threads` (at least 1) or
    /// on which genomes are predicted together.
    /// Throws DataError when sizes do not fit.
    virtual void predict(std::span<const network::Genome> genomes, std::span<double> latency_ms,
                         int threads) const = 0;

    /// Writes all that reading it again needs, but the file's identity and its kind, below
    /// `prefix`: see write_surrogate.
    virtual void write(storage::Hdf5Writer& file, const std::string& prefix) const = 0;

    [[nodiscard]] std::size_t clusters() const { return cross_validation().size(); }

    /// Why it is of this kind, where that was not asked for: "layer_additive is off by 0.31 %, gbrt
    /// by 5.2 %"; else empty.
    [[nodiscard]] const std::string& choice() const noexcept { return choice_; }
    void set_choice(std::string choice) { choice_ = std::move(choice); }

  private:
    std::string choice_;
};

/// The network whose candidates are predicted.
struct PredictedNetwork {
    const network::SearchSpace& space; ///< of the study: candidates of rounds are among its genomes
    const network::CostModel& costs;
    std::int64_t batch = 1; ///< images per inference
};

/// What a surrogate is fitted with.
struct SurrogateParameters {
    std::string kind = "auto"; ///< one of surrogate_kinds()
    GbrtParameters gbrt;
};

/// The kinds of surrogates, the standard one first: "auto", which is that with the least error in
/// cross-validation, the mean over the clusters of their MAPE; of a profile of fewer than 50
/// candidates, and without cross-validation, "layer_additive".
std::vector<std::string> surrogate_kinds();

/// The settings of `parameters`, those of every kind together. `parameters` must outlive them.
std::vector<core::Setting> settings_of(SurrogateParameters& parameters);

/// Of a cross-validation.
inline constexpr std::int64_t standard_folds = 5;

/// Fits a surrogate to a profile of `network`, on `threads` OpenMP threads (0: OpenMP's default);
/// its bits do not depend on them. `folds`: of its cross-validation, 2 or more; 0: none, its errors
/// are not a number. Throws ConfigError for an unknown kind (lists the known ones) and for
/// parameters out of range, DataError for a profile that check_profile refuses or that is too small
/// to be cross-validated.
std::unique_ptr<Surrogate> fit_surrogate(const fleet::Profile& profile,
                                         const SurrogateParameters& parameters,
                                         const PredictedNetwork& network, int threads,
                                         std::int64_t folds = standard_folds);

/// Writes what the surrogate writes below `prefix`, a group or empty for the root, and its
/// attribute `kind`. Those of other quantities lie below QuantityRow::surrogate_path. The caller
/// adds the file's identity.
void write_surrogate(storage::Hdf5Writer& file, const Surrogate& surrogate,
                     const std::string& prefix = "");

/// Reads what write_surrogate wrote there; the schema is for storage::read_identity to check.
/// Throws DataError for an unknown kind (lists the known ones), and when something is missing,
/// misshapen, out of its range or of another network.
std::unique_ptr<Surrogate> read_surrogate(const storage::Hdf5Reader& file,
                                          const PredictedNetwork& network,
                                          const std::string& prefix = "");

} // namespace hdap::surrogate
