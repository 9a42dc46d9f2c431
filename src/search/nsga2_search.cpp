#include "hdap/search/nsga2_search.hpp"

#include "hdap/core/text.hpp"
#include "hdap/parallel/dispatch.hpp"
#include "hdap/search/hypervolume.hpp"
#include "hdap/search/non_dominated_sort.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <numeric>

namespace hdap::search {
namespace {

using network::Genome;

/// Genomes as one array, for a broadcast.
std::vector<std::int32_t> flattened(std::span<const Genome> genomes) {
    std::vector<std::int32_t> flat;
    for (const Genome& genome : genomes)
        flat.insert(flat.end(), genome.begin(), genome.end());
    return flat;
}

std::vector<Genome> unflattened(const std::vector<std::int32_t>& flat, std::size_t genes) {
    std::vector<Genome> genomes;
    for (std::size_t first = 0; first + genes <= flat.size(); first += genes)
        genomes.emplace_back(flat.begin() + static_cast<std::ptrdiff_t>(first),
                             flat.begin() + static_cast<std::ptrdiff_t>(first + genes));
    return genomes;
}

/// The costs of the smallest genome bound these figures from below.
void refuse_impossible_constraints(const SearchProblem& problem) {
    const auto figures_of = [&](const Genome& genome) {
        const network::NetworkCosts costs = problem.costs.total(genome);
        CandidateFigures figures;
        figures.flops = static_cast<double>(costs.macs);
        figures.params = static_cast<double>(costs.parameters);
        figures.memory_peak = static_cast<double>(costs.peak_activation_elements);
        return figures;
    };
    const CandidateFigures smallest = figures_of(problem.space.smallest());
    const CandidateFigures unpruned = figures_of(problem.space.unpruned());
    for (const Constraint& constraint : problem.constraints) {
        const Figure figure = constraint.figure;
        if (figure != Figure::flops && figure != Figure::params && figure != Figure::memory_peak)
            continue;
        if (violation(constraint, smallest, unpruned) <= 0.0) continue;
        const double least = value_of(smallest, figure);
        throw core::InfeasibleError(
            "constraint '" + constraint.text + "' cannot be met: the smallest candidate has " +
            core::significant(least) + " (" +
            core::significant(least / value_of(unpruned, figure)) +
            "x of the unpruned network's), " +
            core::significant(100.0 * violation(constraint, smallest, unpruned), 3) +
            " % too much; raise the bound or lower network.min_keep");
    }
}

/// One run of the algorithm on one rank; the root's has the state.
class Nsga2Run {
  public:
    Nsga2Run(const parallel::Communicator& communicator, const SearchProblem& problem,
             const Nsga2Parameters& parameters, int threads, SearchState& state,
             const SearchHooks& hooks)
        : communicator_(communicator), problem_(problem), parameters_(parameters),
          threads_(threads), state_(state), hooks_(hooks) {}

    SearchOutcome run() {
        communicator_.on_root([&] { refuse_impossible_constraints(problem_); });
        for (;;) {
            std::vector<std::int32_t> flat;
            communicator_.on_root([&] {
                if (!state_.complete) children_ = next_generation();
                flat = flattened(new_genomes());
            });
            if (communicator_.any(state_.complete)) return SearchOutcome::complete;
            communicator_.broadcast(flat);
            batch_ = unflattened(flat, problem_.space.groups().size());
            const auto start = std::chrono::steady_clock::now();
            const bool finished = evaluate_batch();
            communicator_.on_root([&] {
                add_seconds(start);
                if (finished) select();
                if (!finished || state_.complete) write_checkpoint();
            });
            if (!finished) return SearchOutcome::stopped;
            if (communicator_.any(hooks_.should_stop && hooks_.should_stop())) {
                communicator_.on_root([&] { write_checkpoint(); });
                if (!communicator_.any(state_.complete)) return SearchOutcome::stopped;
            }
        }
    }

  private:
    // ---- root: what comes next ------------------------------------------------------------

    std::vector<Genome> next_generation() const {
        if (state_.generations_done == 0) return initial_population(problem_.space, parameters_);
        const auto seen = [&](const Genome& genome) {
            return state_.log.index_of(genome).has_value();
        };
        if (parameters_.offspring == Offspring::random)
            return random_candidates(problem_.space, state_.generations_done, parameters_, seen);
        std::vector<Genome> parents;
        for (const std::int32_t index : state_.population)
            parents.push_back(state_.log[static_cast<std::size_t>(index)].genome);
        const std::vector<double> objectives = objectives_of(state_.population);
        const std::vector<double> violations = violations_of(state_.population);
        const std::size_t m = problem_.objectives.size();
        const auto ranks = non_dominated_rank(objectives, m, violations);
        return offspring(problem_.space, parents, ranks,
                         crowding_distance_by_rank(objectives, m, ranks), state_.generations_done,
                         parameters_, seen);
    }

    /// The children that the log does not know, each once, in their order.
    std::vector<Genome> new_genomes() const {
        std::vector<Genome> genomes;
        for (const Genome& child : children_)
            if (!state_.log.index_of(child) &&
                std::find(genomes.begin(), genomes.end(), child) == genomes.end())
                genomes.push_back(child);
        return genomes;
    }

    // ---- all ranks: evaluation ------------------------------------------------------------

    /// Evaluates batch_; the root logs the results when all are there. Returns whether they are.
    bool evaluate_batch() {
        const auto part =
            parallel::partition(batch_.size(), communicator_.size(), communicator_.rank());
        const std::vector<double> latencies = communicator_.all_gather(cluster_latencies_ms(
            problem_, std::span(batch_).subspan(part.first, part.size()), threads_));
        std::vector<accuracy::CandidateAccuracy> accuracies;
        const bool finished = measure_accuracies(latencies, accuracies);
        if (finished) communicator_.on_root([&] { log_batch(latencies, accuracies); });
        return finished;
    }

    /// Indices into batch_ whose accuracy is not known from an interrupted job, costliest first.
    std::vector<std::uint64_t>
    missing_accuracies(std::vector<accuracy::CandidateAccuracy>& accuracies) const {
        std::map<Genome, accuracy::CandidateAccuracy> known;
        for (const PendingAccuracy& pending : state_.pending)
            known[pending.genome] = pending.accuracy;
        std::vector<std::uint64_t> missing;
        for (std::size_t i = 0; i < batch_.size(); ++i) {
            const auto found = known.find(batch_[i]);
            if (found != known.end())
                accuracies[i] = found->second;
            else if (const auto elsewhere = known_elsewhere(batch_[i]))
                accuracies[i] = {*elsewhere};
            else
                missing.push_back(i);
        }
        std::stable_sort(missing.begin(), missing.end(), [&](std::uint64_t a, std::uint64_t b) {
            return problem_.costs.total(batch_[a]).macs > problem_.costs.total(batch_[b]).macs;
        });
        return missing;
    }

    std::optional<double> known_elsewhere(const Genome& genome) const {
        return hooks_.known_accuracy && !gives_up() ? hooks_.known_accuracy(genome) : std::nullopt;
    }

    [[nodiscard]] bool gives_up() const { return parameters_.give_up_confidence > 0.0; }

    /// For each of `items` the accuracy below which it is dominated for certain: the best of the
    /// front's members that are no worse in any other objective. On the root.
    std::vector<double> needed_accuracies(const std::vector<std::uint64_t>& items,
                                          std::span<const double> latencies) const {
        std::vector<double> needed(items.size(), 0.0);
        if (!gives_up() || state_.log.empty()) return needed;
        const std::vector<std::size_t> front = current_front(problem_, state_.log);
        const std::size_t clusters = problem_.cluster_weight.size();
        for (std::size_t k = 0; k < items.size(); ++k) {
            const auto row = latencies.subspan(items[k] * clusters, clusters);
            // With the worst of accuracies, so that the other objectives alone decide.
            const CandidateFigures figures =
                candidate_figures(problem_, batch_[items[k]], row, 0.0, 1.0);
            for (const std::size_t member : front) {
                const CandidateFigures& other = state_.log[member].figures;
                const bool no_worse = std::ranges::all_of(problem_.objectives, [&](Figure figure) {
                    return value_of(other, figure) <= value_of(figures, figure);
                });
                if (no_worse) needed[k] = std::max(needed[k], other.accuracy);
            }
        }
        return needed;
    }

    /// The accuracy, after how many images it was given up, and how long that took in seconds;
    /// nothing when cancelled.
    std::vector<double> timed_accuracy(const Genome& genome, double needed,
                                       const std::stop_token& cancelled) const {
        using clock = std::chrono::steady_clock;
        const auto start = clock::now();
        const auto accuracy =
            problem_.accuracy(genome, {needed, parameters_.give_up_confidence}, cancelled);
        if (!accuracy) return {};
        return {accuracy->value, static_cast<double>(accuracy->given_up_after),
                std::chrono::duration<double>(clock::now() - start).count()};
    }

    bool measure_accuracies(std::span<const double> latencies,
                            std::vector<accuracy::CandidateAccuracy>& accuracies) {
        std::vector<std::uint64_t> items;
        std::vector<double> needed;
        communicator_.on_root([&] {
            accuracies.assign(batch_.size(), {});
            items = missing_accuracies(accuracies);
            needed = needed_accuracies(items, latencies);
        });
        communicator_.broadcast(items);
        communicator_.broadcast(needed);
        const auto outcome = parallel::dispatch(
            communicator_,
            {.items = items.size(),
             .threads = threads_,
             .evaluate =
                 [&](std::size_t item, const std::stop_token& cancelled) {
                     return timed_accuracy(batch_[items[item]], needed[item], cancelled);
                 },
             .on_result =
                 [&](std::size_t item, std::span<const double> result) {
                     const accuracy::CandidateAccuracy found{result[0],
                                                             static_cast<std::int64_t>(result[1])};
                     accuracies[items[item]] = found;
                     state_.pending.push_back({batch_[items[item]], found});
                     present_cost().accuracy_seconds += result[2];
                     ++present_cost().accuracies_measured;
                     if (hooks_.evaluated) hooks_.evaluated(result[2]);
                     show_progress();
                 },
             .should_stop = hooks_.should_stop,
             .should_cancel = hooks_.should_cancel,
             .on_wait =
                 [&] {
                     const bool due = hooks_.checkpoint_due && hooks_.checkpoint_due();
                     if (due || checkpoint_requested_) write_checkpoint();
                 },
             .has_notice = hooks_.checkpoint_requested,
             // A signal may reach all ranks: one checkpoint answers them together.
             .on_notice = [&] { checkpoint_requested_ = true; }});
        return outcome == parallel::DispatchOutcome::complete;
    }

    // ---- root: results --------------------------------------------------------------------

    void log_batch(std::span<const double> latencies,
                   std::span<const accuracy::CandidateAccuracy> accuracies) {
        const std::size_t clusters = problem_.cluster_weight.size();
        const double unpruned_accuracy =
            state_.log.empty() ? accuracies[0].value : state_.log[0].figures.accuracy;
        for (std::size_t i = 0; i < batch_.size(); ++i) {
            const auto row = latencies.subspan(i * clusters, clusters);
            state_.log.append({.genome = batch_[i],
                               .figures = candidate_figures(problem_, batch_[i], row,
                                                            accuracies[i].value, unpruned_accuracy),
                               .cluster_latency_ms = {row.begin(), row.end()},
                               .generation = static_cast<std::int32_t>(state_.generations_done),
                               .given_up_after = accuracies[i].given_up_after});
        }
        state_.pending.clear();
    }

    /// Chooses the next parents among the present ones and their children.
    void select() {
        std::vector<std::int32_t> candidates = state_.population;
        for (const Genome& child : children_) {
            const auto index = static_cast<std::int32_t>(state_.log.index_of(child).value());
            if (std::find(candidates.begin(), candidates.end(), index) == candidates.end())
                candidates.push_back(index);
        }
        const auto wanted =
            std::min(static_cast<std::size_t>(parameters_.population), candidates.size());
        const auto chosen = survivors(objectives_of(candidates), problem_.objectives.size(),
                                      violations_of(candidates), wanted);
        state_.population.clear();
        for (const std::size_t i : chosen)
            state_.population.push_back(candidates[i]);
        record();
        ++state_.generations_done;
        state_.complete = state_.generations_done > parameters_.generations;
        show_progress();
    }

    void record() {
        const auto front = current_front(problem_, state_.log);
        std::int32_t feasible = 0;
        for (std::size_t i = 0; i < state_.log.size(); ++i)
            if (violation_of(i) <= 0.0) ++feasible;
        state_.history.push_back(
            {.generation = static_cast<std::int32_t>(state_.generations_done),
             .evaluations = static_cast<std::int32_t>(state_.log.size()),
             .feasible = feasible,
             .front_size = static_cast<std::int32_t>(front.size()),
             .hypervolume = normalised_hypervolume(problem_, state_.log, front)});
    }

    double violation_of(std::size_t index) const {
        return total_violation(problem_.constraints, state_.log[index].figures,
                               state_.log[0].figures);
    }

    std::vector<double> objectives_of(const std::vector<std::int32_t>& indices) const {
        std::vector<double> objectives;
        for (const std::int32_t index : indices)
            for (const Figure figure : problem_.objectives)
                objectives.push_back(
                    value_of(state_.log[static_cast<std::size_t>(index)].figures, figure));
        return objectives;
    }

    std::vector<double> violations_of(const std::vector<std::int32_t>& indices) const {
        std::vector<double> violations;
        for (const std::int32_t index : indices)
            violations.push_back(violation_of(static_cast<std::size_t>(index)));
        return violations;
    }

    void add_seconds(std::chrono::steady_clock::time_point start) {
        present_cost().wall_seconds +=
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }

    GenerationCost& present_cost() {
        state_.costs.resize(static_cast<std::size_t>(state_.generations_done) + 1);
        return state_.costs.back();
    }

    void write_checkpoint() {
        checkpoint_requested_ = false;
        if (hooks_.checkpoint) hooks_.checkpoint(state_);
    }

    void show_progress() const {
        if (!hooks_.progress) return;
        const std::int64_t generation = std::min(state_.generations_done, parameters_.generations);
        hooks_.progress(
            {.stage = "search",
             .position = "generation " + std::to_string(generation) + "/" +
                         std::to_string(parameters_.generations),
             .done = static_cast<std::int64_t>(state_.log.size() + state_.pending.size()),
             .total = parameters_.population * (parameters_.generations + 1),
             .unit = "evaluations",
             .detail =
                 state_.history.empty()
                     ? ""
                     : "hypervolume " + core::significant(state_.history.back().hypervolume)});
    }

    const parallel::Communicator& communicator_;
    const SearchProblem& problem_;
    const Nsga2Parameters& parameters_;
    const int threads_;
    SearchState& state_;
    const SearchHooks& hooks_;
    std::vector<Genome> children_;      ///< root: this generation's, known ones too
    std::vector<Genome> batch_;         ///< all ranks: those to be evaluated
    bool checkpoint_requested_ = false; ///< root
};

} // namespace

SearchOutcome run_nsga2(const parallel::Communicator& communicator, const SearchProblem& problem,
                        const Nsga2Parameters& parameters, int threads, SearchState& state,
                        const SearchHooks& hooks) {
    return Nsga2Run(communicator, problem, parameters, threads, state, hooks).run();
}

std::vector<double> cluster_latencies_ms(const SearchProblem& problem,
                                         std::span<const Genome> genomes, int threads) {
    std::vector<float> features;
    for (const Genome& genome : genomes)
        for (const double ratio : problem.space.keep_ratios(genome))
            features.push_back(static_cast<float>(ratio));
    std::vector<double> latencies(genomes.size() * problem.cluster_weight.size());
    if (!genomes.empty())
        problem.surrogates.predict_ms(features, genomes.size(), latencies, threads);
    return latencies;
}

CandidateFigures candidate_figures(const SearchProblem& problem, const Genome& genome,
                                   std::span<const double> cluster_latency_ms, double accuracy,
                                   double unpruned_accuracy) {
    const network::NetworkCosts costs = problem.costs.total(genome);
    CandidateFigures figures;
    for (std::size_t k = 0; k < cluster_latency_ms.size(); ++k) {
        const double latency = cluster_latency_ms[k] * problem.cluster_mean_ratio[k];
        figures.latency_mean_ms += problem.cluster_weight[k] * latency;
        figures.latency_worst_cluster_ms = std::max(figures.latency_worst_cluster_ms, latency);
    }
    figures.accuracy = accuracy;
    figures.accuracy_drop = unpruned_accuracy - accuracy;
    figures.flops = static_cast<double>(costs.macs);
    figures.params = static_cast<double>(costs.parameters);
    figures.memory_peak = static_cast<double>(costs.peak_activation_elements);
    return figures;
}

std::vector<std::size_t> current_front(const SearchProblem& problem, const EvaluationLog& log) {
    return log.front(problem.objectives, problem.constraints, log[0].figures);
}

double normalised_hypervolume(const SearchProblem& problem, const EvaluationLog& log,
                              std::span<const std::size_t> front) {
    const CandidateFigures& unpruned = log[0].figures;
    const std::vector<double> reference(problem.objectives.size(), 1.0);
    std::vector<double> points;
    for (const std::size_t index : front)
        for (const Figure figure : problem.objectives) {
            // An unpruned network that is no better than chance gives no scale.
            const double scale = figure == Figure::accuracy_drop
                                     ? std::max(unpruned.accuracy - problem.chance_accuracy, 0.01)
                                     : value_of(unpruned, figure);
            points.push_back(value_of(log[index].figures, figure) / scale);
        }
    return hypervolume(points, problem.objectives.size(), reference);
}

std::string infeasibility_report(const SearchProblem& problem, const EvaluationLog& log) {
    std::size_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < log.size(); ++i) {
        const double miss = total_violation(problem.constraints, log[i].figures, log[0].figures);
        if (miss < least) {
            least = miss;
            best = i;
        }
    }
    std::string text = "none of " + std::to_string(log.size()) +
                       " candidates meets the constraints; the nearest one misses";
    for (const Constraint& constraint : problem.constraints) {
        const double miss = violation(constraint, log[best].figures, log[0].figures);
        if (miss <= 0.0) continue;
        text += " '" + constraint.text + "' by " + core::significant(100.0 * miss, 3) +
                " % (it has " + core::significant(value_of(log[best].figures, constraint.figure)) +
                ")";
    }
    return text + "; relax the constraint, or search longer (search.generations)";
}

// -------------------------------------------------------------------------------------- storage

namespace {

void write_costs(storage::Hdf5Writer& file, const std::vector<GenerationCost>& costs) {
    std::vector<double> wall;
    std::vector<double> accuracy;
    std::vector<std::int32_t> measured;
    for (const GenerationCost& cost : costs) {
        wall.push_back(cost.wall_seconds);
        accuracy.push_back(cost.accuracy_seconds);
        measured.push_back(cost.accuracies_measured);
    }
    file.write<double>("/timing/generation_seconds", wall);
    file.attribute("/timing/generation_seconds", "unit", "s");
    file.write<double>("/timing/accuracy_seconds", accuracy);
    file.attribute("/timing/accuracy_seconds", "unit", "s");
    file.write<std::int32_t>("/timing/accuracies_measured", measured);
}

std::vector<GenerationCost> read_costs(const storage::Hdf5Reader& file) {
    const auto wall = file.read<double>("/timing/generation_seconds");
    const storage::Shape rows{wall.size()};
    const auto accuracy = file.read<double>("/timing/accuracy_seconds", rows);
    const auto measured = file.read<std::int32_t>("/timing/accuracies_measured", rows);
    std::vector<GenerationCost> costs;
    for (std::size_t i = 0; i < wall.size(); ++i)
        costs.push_back({.wall_seconds = wall[i],
                         .accuracy_seconds = accuracy[i],
                         .accuracies_measured = measured[i]});
    return costs;
}

} // namespace

void write_search_state(storage::Hdf5Writer& file, const SearchState& state, std::size_t genes) {
    state.log.write(file, "/log");
    file.write<std::int32_t>("/population", state.population);
    std::vector<std::int32_t> generation;
    std::vector<std::int32_t> evaluations;
    std::vector<std::int32_t> feasible;
    std::vector<std::int32_t> front_size;
    std::vector<double> hypervolume_column;
    for (const GenerationRecord& record : state.history) {
        generation.push_back(record.generation);
        evaluations.push_back(record.evaluations);
        feasible.push_back(record.feasible);
        front_size.push_back(record.front_size);
        hypervolume_column.push_back(record.hypervolume);
    }
    file.write<std::int32_t>("/history/generation", generation);
    file.write<std::int32_t>("/history/evaluations", evaluations);
    file.write<std::int32_t>("/history/feasible", feasible);
    file.write<std::int32_t>("/history/front_size", front_size);
    file.write<double>("/history/hypervolume", hypervolume_column);
    std::vector<std::int32_t> pending_genomes;
    std::vector<double> pending_accuracy;
    std::vector<std::int64_t> pending_given_up_after;
    for (const PendingAccuracy& pending : state.pending) {
        pending_genomes.insert(pending_genomes.end(), pending.genome.begin(), pending.genome.end());
        pending_accuracy.push_back(pending.accuracy.value);
        pending_given_up_after.push_back(pending.accuracy.given_up_after);
    }
    file.write<std::int32_t>("/pending/genomes", pending_genomes, {state.pending.size(), genes});
    file.attribute("/pending/genomes", "unit", "channels");
    file.write<double>("/pending/accuracy", pending_accuracy);
    file.attribute("/pending/accuracy", "unit", "1");
    file.write<std::int64_t>("/pending/given_up_after", pending_given_up_after);
    file.attribute("/pending/given_up_after", "unit", "images");
    write_costs(file, state.costs);
    file.attribute("/", "generations_done", state.generations_done);
    file.attribute("/", "complete", std::int64_t{state.complete ? 1 : 0});
}

SearchState read_search_state(const storage::Hdf5Reader& file) {
    SearchState state;
    state.log = EvaluationLog::read(file, "/log");
    state.population = file.read<std::int32_t>("/population");
    for (const std::int32_t index : state.population)
        if (index < 0 || static_cast<std::size_t>(index) >= state.log.size())
            throw core::DataError(file.name() + ": /population: entry " + std::to_string(index) +
                                  " is not in the evaluation log of " +
                                  std::to_string(state.log.size()));
    const auto generation = file.read<std::int32_t>("/history/generation");
    const storage::Shape rows{generation.size()};
    const auto evaluations = file.read<std::int32_t>("/history/evaluations", rows);
    const auto feasible = file.read<std::int32_t>("/history/feasible", rows);
    const auto front_size = file.read<std::int32_t>("/history/front_size", rows);
    const auto hypervolume_column = file.read<double>("/history/hypervolume", rows);
    for (std::size_t i = 0; i < generation.size(); ++i)
        state.history.push_back(
            {generation[i], evaluations[i], feasible[i], front_size[i], hypervolume_column[i]});
    const auto accuracy = file.read<double>("/pending/accuracy");
    const auto shape = file.shape("/pending/genomes");
    if (shape.size() != 2 || shape[0] != accuracy.size())
        throw core::DataError(file.name() + ": /pending/genomes and /pending/accuracy disagree");
    const auto genomes = unflattened(file.read<std::int32_t>("/pending/genomes"), shape[1]);
    // Files of earlier builds have no such column.
    const auto given_up_after =
        file.contains("/pending/given_up_after")
            ? file.read<std::int64_t>("/pending/given_up_after", {accuracy.size()})
            : std::vector<std::int64_t>(accuracy.size(), 0);
    for (std::size_t i = 0; i < accuracy.size(); ++i)
        state.pending.push_back({genomes[i], {accuracy[i], given_up_after[i]}});
    state.costs = read_costs(file);
    state.generations_done = file.attribute_int("/", "generations_done");
    state.complete = file.attribute_int("/", "complete") != 0;
    if (state.generations_done < 0 ||
        static_cast<std::size_t>(state.generations_done) != state.history.size() ||
        (state.generations_done > 0 && (state.log.empty() || state.population.empty())))
        throw core::DataError(file.name() +
                              ": generations_done = " + std::to_string(state.generations_done) +
                              " does not fit the history and the evaluation log");
    return state;
}

} // namespace hdap::search
