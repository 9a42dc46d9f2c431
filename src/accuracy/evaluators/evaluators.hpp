#pragma once

#include "hdap/accuracy/candidate_evaluator.hpp"

#include <memory>
#include <string>

/// The candidate evaluators; private to the module. See make_candidate_evaluator.
namespace hdap::accuracy {

std::unique_ptr<CandidateEvaluator> make_engine_evaluator(EvaluatorInputs inputs);
std::unique_ptr<CandidateEvaluator> make_command_evaluator(EvaluatorInputs inputs);

/// What computes here: the engine, the libraries and the processor.
std::string computing_identity();

/// Throws ConfigError when `network` has no weights, DataError when they are not its own.
void check_weights_of(const network::Prunable& network);

} // namespace hdap::accuracy
