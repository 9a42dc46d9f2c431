#include "hdap/accuracy/candidate_evaluator.hpp"

#include "evaluators/evaluators.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <utility>

namespace hdap::accuracy {
namespace {

struct Row {
    const char* name;
    std::unique_ptr<CandidateEvaluator> (*make)(EvaluatorInputs);
};

std::unique_ptr<CandidateEvaluator> make_none(EvaluatorInputs) {
    return nullptr;
}

/// Another evaluator is a line here and a file in evaluators/.
constexpr Row rows[] = {
    {"engine", make_engine_evaluator},
    {"command", make_command_evaluator},
    {"none", make_none},
};

} // namespace

std::vector<std::string> candidate_evaluator_names() {
    std::vector<std::string> names;
    for (const Row& row : rows)
        names.emplace_back(row.name);
    return names;
}

std::unique_ptr<CandidateEvaluator> make_candidate_evaluator(const std::string& name,
                                                             EvaluatorInputs inputs) {
    for (const Row& row : rows)
        if (name == row.name) return row.make(std::move(inputs));
    throw core::ConfigError(
        core::unknown_name("accuracy evaluator", name, candidate_evaluator_names()));
}

std::string computing_identity() {
    return fmt::format("{}; {}; {}", evaluation_engine(), core::current_provenance().libraries,
                       core::processor_name());
}

void check_weights_of(const network::Prunable& network) {
    if (!network.weights)
        throw core::ConfigError(fmt::format(
            "accuracies of '{}' need its weights: set network.weights, or objectives and "
            "constraints that need no accuracy",
            network.network.name));
    network::check_weights(network.network, *network.weights);
}

} // namespace hdap::accuracy
