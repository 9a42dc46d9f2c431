#pragma once

#include "hdap/core/settings.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/search/evaluation_log.hpp"
#include "hdap/search/goal.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace hdap::search {

/// Decides which candidates are evaluated next. Lives on the root. Everything it does depends on
/// its parameters, its seed and the log alone.
class Algorithm {
  public:
    virtual ~Algorithm() = default;

    /// The candidates of `generation`, counted from 0; at least one. Some may be in the log
    /// already: they are not evaluated again. Leaves what `save` writes as it is, as a search that
    /// was stopped within a generation asks for it again.
    [[nodiscard]] virtual std::vector<network::Genome> ask(std::int64_t generation,
                                                           const EvaluationLog& log) = 0;

    /// What became of them: the log's entry of each candidate, in the order of `ask`. The log holds
    /// the reference by then.
    virtual void tell(std::span<const std::int32_t> entries, const EvaluationLog& log) = 0;

    /// Writes its state below "/algorithm", for `restore` to continue with the same bits.
    virtual void save(storage::Hdf5Writer& file) const = 0;
    /// Throws DataError when the content is not what `save` wrote for this log.
    virtual void restore(const storage::Hdf5Reader& file, const EvaluationLog& log) = 0;
};

/// What NSGA-II alone is set by.
struct Nsga2Parameters {
    double crossover_probability = 0.9; ///< that a child has two parents; [0, 1]
    double crossover_eta = 15;          ///< larger: children nearer to their parents; [0, 1000]
    double mutation_probability = 0;    ///< of each gene; [0, 1]; 0 stands for 1 ÷ genes
    double mutation_eta = 20;           ///< larger: smaller steps; [0, 1000]
};

/// What NCS alone is set by. The defaults are those of public code, perhaps not the paper's.
struct NcsParameters {
    double sigma = 0.05;    ///< standard deviation of the first steps, in pruning rates; (0, 1]
    double r = 0.95;        ///< factor of the 1/5 rule; (0, 1], 1 turns it off
    std::int64_t epoch = 5; ///< generations between two uses of that rule; [1, 1000000]
};

/// What a gene stands for.
enum class GeneLayout {
    group, ///< the channels kept in one pruning group
    block, ///< the share kept in all groups of a block, as network::find_blocks has them; groups in
           ///< no block keep all channels
};

/// What algorithms are set by; each reads what it needs.
struct AlgorithmParameters {
    std::int64_t population = 32; ///< candidates per generation; [2, 1000000]
    std::uint64_t seed = 1;
    GeneLayout genes = GeneLayout::group;
    double max_step = 1; ///< largest share of a group's channels that one round prunes; (0, 1]
    Nsga2Parameters nsga2 = {};
    NcsParameters ncs = {};
};

/// Throws ConfigError for a parameter out of its range: names it, its value and the range.
void validate(const AlgorithmParameters& parameters);

/// What an algorithm is to solve.
struct AlgorithmProblem {
    const network::Network& network;   ///< outlives the algorithm
    const network::SearchSpace& space; ///< of that network; outlives the algorithm
    Goal goal;
    std::int64_t generations; ///< after the first, of the whole search
};

/// The names of all algorithms, the default first.
std::vector<std::string> algorithm_names();

/// The settings that are not of one algorithm alone. `parameters` must outlive them.
std::vector<core::Setting> settings_of(AlgorithmParameters& parameters);

/// Throws ConfigError for an algorithm that minimises one objective and a goal that has several,
/// and for a name that is none of algorithm_names().
void check_objectives(const std::string& name, const Goal& goal);

/// A section of settings, "search.NAME", for each algorithm that has some. `parameters` must
/// outlive them.
std::vector<core::Section> algorithm_sections(AlgorithmParameters& parameters);

/// A new algorithm, which nothing was asked of.
/// Throws ConfigError as `validate` and `check_objectives`, and for a gene layout that the network
/// does not have.
std::unique_ptr<Algorithm> make_algorithm(const std::string& name,
                                          const AlgorithmParameters& parameters,
                                          const AlgorithmProblem& problem);

} // namespace hdap::search
