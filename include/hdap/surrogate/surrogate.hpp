#pragma once

#include "hdap/network/pruning_structure.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/surrogate/error_figures.hpp"

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace hdap::surrogate {

/// Predicts the latency of a candidate on the representatives of every device cluster.
class Surrogate {
  public:
    virtual ~Surrogate() = default;

    /// Its name in the table of kinds, and the root attribute `kind` of its file.
    [[nodiscard]] virtual std::string_view kind() const = 0;

    /// [cluster] error metrics of predictions (ms) for candidates that the predicting model had not
    /// seen.
    [[nodiscard]] virtual const std::vector<ErrorFigures>& cross_validation() const = 0;

    /// Fills `latency_ms`, [genome][cluster]. The bits do not depend on `threads` (at least 1) or
    /// on which genomes are predicted together.
    /// Throws DataError when sizes do not fit.
    virtual void predict(std::span<const network::Genome> genomes, std::span<double> latency_ms,
                         int threads) const = 0;

    /// Writes all that reading it again needs. The caller adds the file's identity and `kind`.
    virtual void write(storage::Hdf5Writer& file) const = 0;

    [[nodiscard]] std::size_t clusters() const { return cross_validation().size(); }
};

} // namespace hdap::surrogate
