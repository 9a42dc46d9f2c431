#pragma once

#include "hdap/search/evaluation_log.hpp"

#include <cstddef>
#include <string>

/// Private to the module.
namespace hdap::search {

/// Counts the candidates of a generation that could not be measured, and ends the search when they
/// are too many to be the candidates' own fault. What it decides does not depend on the order in
/// which they failed.
class GenerationFailures {
  public:
    /// The fewest candidates that are judged, where there are as many: a late generation may have
    /// two new ones.
    static constexpr std::size_t fewest_judged = 20;

    /// Of a generation with `batch` new candidates. `log`, which has those before, is not referred
    /// to. `most`: the share of the latest fewest_judged candidates, or of the batch where that is
    /// larger, that may fail; [0, 1].
    GenerationFailures(const EvaluationLog& log, std::size_t batch, double most);

    /// Counts one more. Throws DataError, which ends in `reason`, as soon as there are too many,
    /// whatever becomes of those that are not measured yet.
    void add(const std::string& reason);

    [[nodiscard]] std::size_t count() const noexcept { return count_; }

  private:
    std::size_t judged_; ///< candidates, those of the batch among them
    std::size_t before_; ///< failures among those that are not of the batch
    std::size_t count_ = 0;
    double most_;
};

} // namespace hdap::search
