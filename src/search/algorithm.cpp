#include "hdap/search/algorithm.hpp"

#include "algorithms/nsga2.hpp"
#include "algorithms/random.hpp"
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
};

/// Every algorithm. Another one is a row here.
constexpr std::array rows{
    AlgorithmRow{"nsga2", "NSGA-II", nsga2_settings, make_nsga2},
    AlgorithmRow{"random", "Random candidates in all generations: a baseline", nullptr,
                 make_random},
};

void check_range(const char* name, double value, double low, double high) {
    if (value >= low && value <= high) return;
    throw core::ConfigError(fmt::format("{} = {} is out of range: choose from {} to {}", name,
                                        core::shortest(value), core::shortest(low),
                                        core::shortest(high)));
}

} // namespace

void validate(const AlgorithmParameters& parameters) {
    check_range("population", static_cast<double>(parameters.population), 2, 1e6);
    const Nsga2Parameters& nsga2 = parameters.nsga2;
    check_range("crossover_probability", nsga2.crossover_probability, 0, 1);
    check_range("crossover_eta", nsga2.crossover_eta, 0, 1000);
    check_range("mutation_probability", nsga2.mutation_probability, 0, 1);
    check_range("mutation_eta", nsga2.mutation_eta, 0, 1000);
}

std::vector<std::string> algorithm_names() {
    std::vector<std::string> names;
    for (const AlgorithmRow& row : rows)
        names.emplace_back(row.name);
    return names;
}

std::vector<core::Setting> settings_of(AlgorithmParameters& parameters) {
    constexpr auto shapes = core::Outputs::search;
    return {core::integer("population", parameters.population, {2, 1'000'000},
                          "Candidates per generation", shapes),
            core::choice("genes", parameters.genes,
                         {{"group", GeneLayout::group}, {"block", GeneLayout::block}},
                         "What a gene prunes: one pruning group, or all those within a "
                         "block by the same share, as in the paper",
                         shapes)};
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
    const auto row = std::ranges::find(rows, std::string_view(name), &AlgorithmRow::name);
    if (row != rows.end()) return row->make(parameters, problem);
    throw core::ConfigError(core::unknown_name("search algorithm", name, algorithm_names()));
}

} // namespace hdap::search
