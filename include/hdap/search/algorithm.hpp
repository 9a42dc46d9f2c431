#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/search/evaluation_log.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace hdap::search {

/// Decides which candidates are evaluated next. Lives on the root. Everything it does depends on
/// its parameters, its seed and the log alone.
class Algorithm {
  public:
    virtual ~Algorithm() = default;

    /// The candidates of `generation`, counted from 0. Some may be in the log already: they are not
    /// evaluated again.
    [[nodiscard]] virtual std::vector<network::Genome> ask(std::int64_t generation,
                                                           const EvaluationLog& log) = 0;

    /// What became of them: the log's entry of each candidate, in the order of `ask`.
    virtual void tell(std::span<const std::int32_t> entries, const EvaluationLog& log) = 0;

    /// Writes its state below "/algorithm", for `restore` to continue with the same bits.
    virtual void save(storage::Hdf5Writer& file) const = 0;
    /// Throws DataError when the content is not what `save` wrote for this log.
    virtual void restore(const storage::Hdf5Reader& file, const EvaluationLog& log) = 0;
};

} // namespace hdap::search
