#pragma once

#include "hdap/accuracy/command_parameters.hpp"
#include "hdap/accuracy/early_stop.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/prunable.hpp"

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace hdap::accuracy {

/// What is left of a candidate that could not be measured, for its user to look at.
struct FailureEvidence {
    std::string reason;  ///< one line: what was run, how it ended, its last words
    std::string output;  ///< what was printed; of much the end
    std::string network; ///< the bytes of the candidate's file
    std::string format;  ///< of that file: "onnx" or "pt"
};

/// This candidate could not be measured; others may be. Says the reason.
struct CandidateFailure : core::DataError {
    explicit CandidateFailure(FailureEvidence found)
        : DataError(found.reason), evidence(std::move(found)) {}
    FailureEvidence evidence;
};

/// Measures the accuracy of candidates, or any other number in [0, 1] that is better when larger.
/// Every rank has one; all of them give a genome the same bits.
class CandidateEvaluator {
  public:
    virtual ~CandidateEvaluator() = default;

    /// The accuracy of `genome`, which may be given up by `rule` where gives_up(); nothing when
    /// `cancelled` was requested meanwhile. Thread-safe.
    /// Throws CandidateFailure when a program of the user's brings no accuracy, DataError when the
    /// genome is not one of the search space.
    [[nodiscard]] virtual std::optional<CandidateAccuracy>
    accuracy(const network::Genome& genome, const EarlyStop& rule,
             const std::stop_token& cancelled) const = 0;

    /// How many candidates this rank evaluates at a time with that many threads; at least 1.
    [[nodiscard]] virtual int workers(int threads) const = 0;

    /// Whether it can give up a candidate before its accuracy is known exactly.
    [[nodiscard]] virtual bool gives_up() const = 0;

    /// The accuracy of guessing.
    [[nodiscard]] virtual double chance_accuracy() const = 0;

    /// What beside genome, settings and inputs the bits of an accuracy depend on: engine, processor
    /// and libraries.
    [[nodiscard]] virtual std::string identity() const = 0;
};

/// What evaluators are made from; each takes of it what it needs.
struct EvaluatorInputs {
    /// Is referred to: it must outlive the evaluator.
    const network::Prunable& network;
    /// Training images for the statistics of batch norms; those of the unpruned network stay where
    /// there are none.
    std::optional<ImageData> recalibration = std::nullopt;
    /// Images that the network was not trained on, in a random order, and that are not the test
    /// set.
    std::optional<ImageData> held_out = std::nullopt;
    EvaluationParameters evaluation = EvaluationParameters();
    CommandParameters command = CommandParameters();
};

/// "engine": top-1 on the held-out images, computed here; "command": what a program of the user's
/// prints of the candidate's file, in float32 whatever the precision of the engine; "none": nobody
/// asks for an accuracy.
std::vector<std::string> candidate_evaluator_names();

/// The evaluator of that name; a null pointer for "none".
/// Throws ConfigError for another name (says the nearest), for parameters out of their range, and
/// where weights or images are missing that it needs (says what to set); DataError when network,
/// weights and images do not fit together.
std::unique_ptr<CandidateEvaluator> make_candidate_evaluator(const std::string& name,
                                                             EvaluatorInputs inputs);

} // namespace hdap::accuracy
