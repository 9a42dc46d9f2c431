#include "hdap/search/algorithm.hpp"

#include "algorithms/ncs.hpp"
#include "algorithms/nsga2.hpp"
#include "algorithms/random.hpp"
#include "algorithms/uniform.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/core/unknown_name.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace hdap::search {

namespace {

struct AlgorithmRow {
    std::string_view name;
    std::string_view comment;                                     ///< of its settings
    std::vector<core::Setting> (*settings)(AlgorithmParameters&); ///< null: it has none
    std::unique_ptr<Algorithm> (*make)(const AlgorithmParameters&, const AlgorithmProblem&);
    bool single_objective = false; ///< whether it minimises one objective only
};

/// Every algorithm. Another one is a row here.
constexpr std::array rows{
    AlgorithmRow{"nsga2", "NSGA-II", nsga2_settings, make_nsga2},
    AlgorithmRow{"random", "Random candidates in all generations: a baseline", nullptr,
                 make_random},
    AlgorithmRow{"uniform", "Uniform widths in all generations: a baseline", nullptr, make_uniform},
    AlgorithmRow{"ncs",
                 "Negatively Correlated Search, of one objective; cannot be lengthened. Defaults "
                 "as in public code, perhaps not the paper's",
                 ncs_settings, make_ncs, true},
};

/// Throws ConfigError where there is none of this name.
const AlgorithmRow& row_of(const std::string& name) {
    const auto row = std::ranges::find(rows, std::string_view(name), &AlgorithmRow::name);
    if (row != rows.end()) return *row;
    throw core::ConfigError(core::unknown_name("search algorithm", name, algorithm_names()));
}

void check_range(const char* name, double value, double low, double high) {
    if (value >= low && value <= high) return;
    throw core::ConfigError(fmt::format("{} = {} is out of range: choose from {} to {}", name,
                                        core::shortest(value), core::shortest(low),
                                        core::shortest(high)));
}

void check_share(const char* name, double value) {
    if (value > 0 && value <= 1) return;
    throw core::ConfigError(fmt::format("{} = {} is out of range: it must be above 0 and at most 1",
                                        name, core::shortest(value)));
}

} // namespace

void validate(const AlgorithmParameters& parameters) {
    check_range("population", static_cast<double>(parameters.population), 2, 1e6);
    check_share("max_step", parameters.max_step);
    const Nsga2Parameters& nsga2 = parameters.nsga2;
    check_range("crossover_probability", nsga2.crossover_probability, 0, 1);
    check_range("crossover_eta", nsga2.crossover_eta, 0, 1000);
    check_range("mutation_probability", nsga2.mutation_probability, 0, 1);
    check_range("mutation_eta", nsga2.mutation_eta, 0, 1000);
    check_share("sigma", parameters.ncs.sigma);
    check_share("r", parameters.ncs.r);
    check_range("epoch", static_cast<double>(parameters.ncs.epoch), 1, 1e6);
}

std::vector<std::string> algorithm_names() {
    std::vector<std::string> names;
    for (const AlgorithmRow& row : rows)
        names.emplace_back(row.name);
    return names;
}

void check_objectives(const std::string& name, const Goal& goal) {
    if (!row_of(name).single_objective || goal.objectives.size() == 1) return;
    std::vector<std::string> objectives;
    for (const Metric& metric : goal.objectives)
        objectives.push_back(metric.name());
    throw core::ConfigError(
        fmt::format("{} minimises one objective, and there are {} ({}): name one, and bound others "
                    "by constraints",
                    name, objectives.size(), core::join(objectives)));
}

std::vector<core::Setting> settings_of(AlgorithmParameters& parameters) {
    constexpr auto shapes = core::Outputs::search;
    return {core::integer("population", parameters.population, {2, 1'000'000},
                          "Candidates per generation", shapes),
            core::choice("genes", parameters.genes,
                         {{"group", GeneLayout::group}, {"block", GeneLayout::block}},
                         "What a gene prunes: one pruning group, or all those within a "
                         "block by the same share, as in the paper",
                         shapes),
            core::real("max_step", parameters.max_step, {0.0, 1.0, true},
                       "Largest share of a group's channels that one round prunes", shapes)};
}

std::vector<core::Section> algorithm_sections(AlgorithmParameters& parameters) {
    std::vector<core::Section> sections;
    for (const AlgorithmRow& row : rows)
        if (row.settings != nullptr)
            sections.push_back({fmt::format("search.{}", row.name), std::string(row.comment),
                                row.settings(parameters)});
    return sections;
}

std::unique_ptr<Algorithm> make_algorithm(const std::string& name,
                                          const AlgorithmParameters& parameters,
                                          const AlgorithmProblem& problem) {
    validate(parameters);
    check_objectives(name, problem.goal);
    return row_of(name).make(parameters, problem);
}

} // namespace hdap::search
