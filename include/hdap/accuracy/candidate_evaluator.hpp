#pragma once

#include "hdap/accuracy/early_stop.hpp"
#include "hdap/accuracy/evaluator.hpp"
#include "hdap/network/pruning_structure.hpp"

#include <optional>
#include <stop_token>
#include <string>

namespace hdap::accuracy {

/// Measures the accuracy of candidates, or any other number in [0, 1] that is better when larger.
/// Every rank has one; all of them give a genome the same bits.
class CandidateEvaluator {
  public:
    virtual ~CandidateEvaluator() = default;

    /// The accuracy of `genome`, which may be given up by `rule` where gives_up(); nothing when
    /// `cancelled` was requested meanwhile. Thread-safe.
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

} // namespace hdap::accuracy
