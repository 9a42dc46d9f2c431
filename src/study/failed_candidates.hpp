#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/core/log.hpp"
#include "hdap/network/search_space.hpp"

#include <cstddef>
#include <filesystem>

/// Private to the module.
namespace hdap::study {

/// What is kept of candidates that could not be measured, in a folder of the run directory: of the
/// candidate that is row N of the evaluation log its file candidate-N.onnx (or .pt), what was
/// printed in candidate-N.txt, and its genome in candidate-N.json, as `hdap network prune --genome`
/// reads it. Of some only, so that a folder of large networks stays bounded. Used on the root.
class FailedCandidates {
  public:
    static constexpr std::size_t most_kept = 10;

    FailedCandidates(std::filesystem::path folder, core::Log& log);

    /// Removes what is of row `row` and those after it: they are to be evaluated again.
    void forget_from(std::size_t row);

    /// Keeps a candidate, and warns of it; does nothing when there are enough.
    void keep(std::size_t row, const network::Genome& genome,
              const accuracy::FailureEvidence& evidence);

  private:
    std::filesystem::path folder_;
    core::Log& log_;
    std::size_t kept_ = 0;
};

} // namespace hdap::study
