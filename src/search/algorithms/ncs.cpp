#include "ncs.hpp"

#include "genes.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace hdap::search {

using core::RandomStream;
using core::StreamId;
using network::Genome;

namespace ncs {

namespace {

constexpr double smallest_deviation = 1e-9;
constexpr double largest_deviation = 1;

/// Of two numbers that are not negative.
double share(double of, double other) {
    return of + other > 0 ? of / (of + other) : 0.5;
}

} // namespace

std::vector<Process> first_processes(std::size_t genes, const AlgorithmParameters& parameters) {
    std::vector<Process> processes;
    for (std::int64_t i = 0; i < parameters.population; ++i) {
        RandomStream random(parameters.seed, StreamId::initial_population, 0,
                            static_cast<std::uint32_t>(i));
        Point parent(genes, 0.0);
        if (i > 0)
            for (double& x : parent)
                x = parameters.max_step * random.uniform();
        processes.push_back({std::move(parent), parameters.ncs.sigma, 0});
    }
    return processes;
}

std::vector<Point> offspring(std::span<const Process> processes, std::int64_t generation,
                             const AlgorithmParameters& parameters) {
    std::vector<Point> points;
    for (std::size_t i = 0; i < processes.size(); ++i) {
        RandomStream random(parameters.seed, StreamId::gaussian_step,
                            static_cast<std::uint32_t>(generation), static_cast<std::uint32_t>(i));
        Point point = processes[i].parent;
        for (double& x : point)
            x = std::clamp(x + processes[i].deviation * random.normal(), 0.0, parameters.max_step);
        points.push_back(std::move(point));
    }
    return points;
}

double distance(const Point& a, double deviation_a, const Point& b, double deviation_b) {
    const double variance = (deviation_a * deviation_a + deviation_b * deviation_b) / 2;
    double squares = 0;
    for (std::size_t g = 0; g < a.size(); ++g)
        squares += (a[g] - b[g]) * (a[g] - b[g]);
    const double shape = std::log(variance / (deviation_a * deviation_b));
    // Of nearly equal deviations the logarithm may be a little below 0.
    return squares / (8 * variance) + static_cast<double>(a.size()) / 2 * std::max(shape, 0.0);
}

double correlation(std::span<const Process> processes, std::size_t process, const Point& point) {
    double smallest = std::numeric_limits<double>::infinity();
    for (std::size_t j = 0; j < processes.size(); ++j)
        if (j != process)
            smallest = std::min(smallest, distance(point, processes[process].deviation,
                                                   processes[j].parent, processes[j].deviation));
    return smallest;
}

double threshold(std::int64_t generation, std::int64_t generations, std::uint64_t seed) {
    RandomStream random(seed, StreamId::acceptance, static_cast<std::uint32_t>(generation));
    const double done = static_cast<double>(generation - 1) / static_cast<double>(generations);
    return 1 + random.normal() * (0.1 - 0.1 * done);
}

bool replaces_parent(const Pair& fitness, double best, const Pair& correlation, double lambda) {
    if (!std::isfinite(fitness.offspring)) return false;
    if (!std::isfinite(fitness.parent)) return true;
    // Multiplied, as the correlation's share may be 0.
    return share(fitness.offspring - best, fitness.parent - best) <
           lambda * share(correlation.offspring, correlation.parent);
}

std::vector<bool> replacements(std::span<const Process> processes, std::span<const Point> offspring,
                               std::span<const Pair> fitness, double best, double lambda) {
    std::vector<bool> replaced;
    for (std::size_t i = 0; i < processes.size(); ++i)
        replaced.push_back(
            replaces_parent(fitness[i], best,
                            {.parent = correlation(processes, i, processes[i].parent),
                             .offspring = correlation(processes, i, offspring[i])},
                            lambda));
    return replaced;
}

void advance(std::vector<Process>& processes, std::span<const Point> offspring,
             const std::vector<bool>& replaced, std::int64_t generation,
             const NcsParameters& parameters) {
    for (std::size_t i = 0; i < processes.size(); ++i)
        if (replaced[i]) {
            processes[i].parent = offspring[i];
            ++processes[i].successes;
        }
    if (generation % parameters.epoch != 0) return;
    for (Process& process : processes) {
        const std::int64_t fifths = 5 * static_cast<std::int64_t>(process.successes);
        double deviation = process.deviation;
        if (fifths > parameters.epoch) deviation /= parameters.r;
        if (fifths < parameters.epoch) deviation *= parameters.r;
        process.deviation = std::clamp(deviation, smallest_deviation, largest_deviation);
        process.successes = 0;
    }
}

double fitness(const Goal& goal, const EvaluationLog& log, std::size_t entry) {
    const double violation = goal.violation_of(log, entry);
    if (violation > 0) return 1 + violation;
    const Metric& objective = goal.objectives.front();
    const double reference = objective.can_be_relative() ? log.reference(objective) : 0;
    return log.value(entry, objective) / (reference > 0 ? reference : 1);
}

} // namespace ncs

namespace {

/// What a checkpoint holds of a search.
struct NcsState {
    std::int64_t told = 0;               ///< generations, from generation 0 on
    std::vector<ncs::Process> processes; ///< none before generation 0 was told
    std::vector<std::int32_t> parents;   ///< [process] the log's entry of its parent
};

constexpr const char* group_path = "/algorithm";
constexpr const char* parents_path = "/algorithm/parents";
constexpr const char* rates_path = "/algorithm/rates";
constexpr const char* deviations_path = "/algorithm/deviations";
constexpr const char* successes_path = "/algorithm/successes";
constexpr const char* told_name = "generations_told";
constexpr const char* length_name = "generations";

void write(storage::Hdf5Writer& file, const NcsState& state, std::size_t genes) {
    std::vector<double> rates;
    std::vector<double> deviations;
    std::vector<std::int32_t> successes;
    for (const ncs::Process& process : state.processes) {
        rates.insert(rates.end(), process.parent.begin(), process.parent.end());
        deviations.push_back(process.deviation);
        successes.push_back(process.successes);
    }
    file.write(rates_path, rates, {state.processes.size(), genes});
    file.write(deviations_path, deviations);
    file.write(successes_path, successes);
    file.write(parents_path, state.parents);
    file.attribute(group_path, told_name, state.told);
}

/// What `write` wrote, of `genes` genes. Throws DataError when sizes do not fit.
NcsState read(const storage::Hdf5Reader& file, std::size_t genes) {
    NcsState state{.told = file.attribute_int(group_path, told_name),
                   .processes = {},
                   .parents = file.read<std::int32_t>(parents_path)};
    const std::size_t n = state.parents.size();
    const auto rates = file.read<double>(rates_path, {n, genes});
    const auto deviations = file.read<double>(deviations_path, {n});
    const auto successes = file.read<std::int32_t>(successes_path, {n});
    for (std::size_t i = 0; i < n; ++i) {
        const auto first = rates.begin() + static_cast<std::ptrdiff_t>(i * genes);
        state.processes.push_back({.parent = {first, first + static_cast<std::ptrdiff_t>(genes)},
                                   .deviation = deviations[i],
                                   .successes = successes[i]});
    }
    return state;
}

/// Its genes are pruning rates.
class Ncs final : public Algorithm {
  public:
    Ncs(const AlgorithmParameters& parameters, const AlgorithmProblem& problem)
        : parameters_(parameters), genes_(genes_of(parameters, problem)), goal_(problem.goal),
          generations_(problem.generations) {}

    std::vector<Genome> ask(std::int64_t generation, const EvaluationLog& /*log*/) override {
        std::vector<Genome> genomes;
        if (generation == 0)
            for (const ncs::Process& process : first_processes())
                genomes.push_back(genome_of(process.parent));
        else
            for (const ncs::Point& rates :
                 ncs::offspring(state_.processes, generation, parameters_))
                genomes.push_back(genome_of(rates));
        return genomes;
    }

    void tell(std::span<const std::int32_t> entries, const EvaluationLog& log) override {
        const std::int64_t generation = state_.told++;
        if (generation == 0) {
            state_.processes = first_processes();
            state_.parents.assign(entries.begin(), entries.end());
            return;
        }
        const auto offspring = ncs::offspring(state_.processes, generation, parameters_);
        std::vector<ncs::Pair> fitness;
        for (std::size_t i = 0; i < offspring.size(); ++i)
            fitness.push_back({.parent = fitness_of(state_.parents[i], log),
                               .offspring = fitness_of(entries[i], log)});
        const auto replaced =
            ncs::replacements(state_.processes, offspring, fitness, least_fitness(log),
                              ncs::threshold(generation, generations_, parameters_.seed));
        ncs::advance(state_.processes, offspring, replaced, generation, parameters_.ncs);
        for (std::size_t i = 0; i < replaced.size(); ++i)
            if (replaced[i]) state_.parents[i] = entries[i];
    }

    void save(storage::Hdf5Writer& file) const override {
        write(file, state_, genes_.count());
        file.attribute(group_path, length_name, generations_);
    }

    void restore(const storage::Hdf5Reader& file, const EvaluationLog& log) override {
        const std::int64_t length = file.attribute_int(group_path, length_name);
        if (length != generations_)
            throw core::ConfigError(fmt::format(
                "{}: was begun with search.generations = {}, and now it is {}; what ncs accepts "
                "depends on it, so such a search cannot be lengthened or shortened: choose another "
                "run directory with --out",
                file.name(), length, generations_));
        NcsState state = read(file, genes_.count());
        const std::string wrong = defect(state, log);
        if (!wrong.empty())
            throw core::DataError(fmt::format("{}: {}: {}", file.name(), group_path, wrong));
        state_ = std::move(state);
    }

  private:
    [[nodiscard]] std::vector<ncs::Process> first_processes() const {
        return ncs::first_processes(genes_.count(), parameters_);
    }

    [[nodiscard]] Genome genome_of(const ncs::Point& rates) const {
        Genome genome = genes_.unpruned;
        for (std::size_t gene = 0; gene < rates.size(); ++gene)
            genes_.keep(genome, gene, 1 - rates[gene]);
        return genome;
    }

    [[nodiscard]] double fitness_of(std::int32_t entry, const EvaluationLog& log) const {
        return ncs::fitness(goal_, log, static_cast<std::size_t>(entry));
    }

    /// Of all that was evaluated so far.
    [[nodiscard]] double least_fitness(const EvaluationLog& log) const {
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t entry = 0; entry < log.size(); ++entry)
            least = std::min(least, ncs::fitness(goal_, log, entry));
        return least;
    }

    /// What of a state that was read does not fit the parameters and the log, or nothing.
    [[nodiscard]] std::string defect(const NcsState& state, const EvaluationLog& log) const {
        const bool begun = state.told > 0;
        if (state.told < 0 || state.told > generations_ + 1 || begun == log.empty() ||
            (begun && log[log.size() - 1].generation >= state.told))
            return fmt::format("{} = {} does not fit the evaluation log", told_name, state.told);
        const std::int64_t processes = begun ? parameters_.population : 0;
        if (static_cast<std::int64_t>(state.processes.size()) != processes)
            return fmt::format("{} processes instead of {}", state.processes.size(), processes);
        for (std::size_t i = 0; i < state.processes.size(); ++i) {
            const std::string wrong = defect(state.processes[i], state.parents[i], log);
            if (!wrong.empty()) return fmt::format("process {}: {}", i, wrong);
        }
        return {};
    }

    [[nodiscard]] std::string defect(const ncs::Process& process, std::int32_t parent,
                                     const EvaluationLog& log) const {
        for (const double rate : process.parent)
            if (!(rate >= 0 && rate <= parameters_.max_step))
                return fmt::format("a rate is {}, out of range", rate);
        if (!(process.deviation > 0 && process.deviation <= 1))
            return fmt::format("the deviation is {}, out of range", process.deviation);
        if (process.successes < 0 || process.successes >= parameters_.ncs.epoch)
            return fmt::format("there are {} successes in an epoch of {}", process.successes,
                               parameters_.ncs.epoch);
        if (parent < 0 || static_cast<std::size_t>(parent) >= log.size())
            return fmt::format("entry {} is not in the evaluation log of {}", parent, log.size());
        if (log[static_cast<std::size_t>(parent)].genome != genome_of(process.parent))
            return fmt::format("entry {} of the evaluation log has another genome", parent);
        return {};
    }

    AlgorithmParameters parameters_;
    Genes genes_;
    Goal goal_;
    std::int64_t generations_;
    NcsState state_;
};

} // namespace

std::unique_ptr<Algorithm> make_ncs(const AlgorithmParameters& parameters,
                                    const AlgorithmProblem& problem) {
    return std::make_unique<Ncs>(parameters, problem);
}

std::vector<core::Setting> ncs_settings(AlgorithmParameters& parameters) {
    constexpr auto shapes = core::Outputs::search;
    NcsParameters& ncs = parameters.ncs;
    return {core::real("sigma", ncs.sigma, {0.0, 1.0, true},
                       "Standard deviation of the first steps, in shares of a group's channels",
                       shapes),
            core::real("r", ncs.r, {0.0, 1.0, true},
                       "Factor of the 1/5 rule: smaller steps where few succeed, larger ones where "
                       "many do",
                       shapes),
            core::integer("epoch", ncs.epoch, {1, 1'000'000},
                          "Generations between two uses of that rule", shapes)};
}

} // namespace hdap::search
