#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"

#include <optional>
#include <span>
#include <vector>

/// What ranks tell the root of a candidate. Private to the module.
namespace hdap::search {

/// What became of a candidate that was evaluated.
struct EvaluatedCandidate {
    accuracy::CandidateAccuracy accuracy; ///< 0 where it failed
    double seconds = 0.0;                 ///< that it took
    /// Whether the rank had been asked to stop: what asks it may have ended the program, too.
    bool while_stopping = false;
    std::optional<accuracy::FailureEvidence> failure = std::nullopt;
};

/// As numbers, which is what parallel::dispatch carries. Texts travel as they are, eight bytes in
/// each.
std::vector<double> packed(const EvaluatedCandidate& candidate);
EvaluatedCandidate unpacked(std::span<const double> numbers);

} // namespace hdap::search
