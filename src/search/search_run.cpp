#include "hdap/search/search_run.hpp"

#include "evaluated_candidate.hpp"
#include "generation_failures.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/text.hpp"
#include "hdap/parallel/dispatch.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <set>
#include <utility>

namespace hdap::search {
namespace {

using accuracy::CandidateAccuracy;
using network::Genome;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// What is known of a candidate of the batch.
struct BatchAccuracy {
    CandidateAccuracy accuracy{.value = std::numeric_limits<double>::quiet_NaN()};
    bool failed = false;
};

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

/// What the root keeps while a search runs: its state, checkpoints and the line of progress.
class Record {
  public:
    Record(const parallel::Job& job, const SearchProblem& problem,
           const SearchParameters& parameters, SearchState& state, const SearchHooks& hooks)
        : problem_(problem), parameters_(parameters), state_(state), hooks_(hooks),
          walltime_(job.control.walltime()), progress_(job.log, known_candidates()) {}

    void begin_generation(std::size_t candidates) {
        candidates_ = static_cast<std::int64_t>(candidates);
        failed_ = 0;
    }

    void add_accuracy(const Genome& genome, const CandidateAccuracy& accuracy, double seconds) {
        state_.pending.push_back({genome, accuracy});
        present_cost().accuracy_seconds += seconds;
        ++present_cost().accuracies_measured;
        walltime_.saw_evaluation(std::chrono::duration<double>(seconds));
        show_progress();
    }

    /// It is logged with its generation; it is no accuracy.
    void add_failure(double seconds) {
        ++failed_;
        present_cost().accuracy_seconds += seconds;
        walltime_.saw_evaluation(std::chrono::duration<double>(seconds));
        show_progress();
    }

    void add_wall_seconds(double seconds) { present_cost().wall_seconds += seconds; }

    /// Logs the candidates of a generation; the first one of all is the unpruned network.
    void log_batch(std::span<const Genome> batch, std::span<const double> latencies,
                   std::span<const BatchAccuracy> accuracies) {
        const std::size_t width = problem_.predictions();
        for (std::size_t i = 0; i < batch.size(); ++i) {
            const CandidateAccuracy& found = accuracies[i].accuracy;
            const CandidateFacts facts =
                facts_of(problem_, batch[i], latencies.subspan(i * width, width), found.value);
            if (!state_.reference) set_reference(problem_.reference.value_or(facts));
            state_.log.append({.genome = batch[i],
                               .accuracy = facts.accuracy,
                               .cluster_latency_ms = facts.cluster_latency_ms,
                               .cluster_others = facts.cluster_others,
                               .values = values_of(facts),
                               .generation = static_cast<std::int32_t>(state_.generations_done),
                               .given_up_after = found.given_up_after,
                               .failed = accuracies[i].failed});
        }
        state_.pending.clear();
        failed_ = 0;
    }

    void end_generation() {
        const auto front = current_front(problem_, state_);
        std::int32_t feasible = 0;
        for (std::size_t i = 0; i < state_.log.size(); ++i)
            if (problem_.goal.violation_of(state_.log, i) <= 0.0) ++feasible;
        state_.history.push_back({.generation = static_cast<std::int32_t>(state_.generations_done),
                                  .evaluations = static_cast<std::int32_t>(state_.log.size()),
                                  .feasible = feasible,
                                  .front_size = static_cast<std::int32_t>(front.size()),
                                  .hypervolume = normalised_hypervolume(problem_, state_, front)});
        ++state_.generations_done;
        show_progress();
    }

    /// A signal may reach all ranks: one checkpoint answers them together.
    void request_checkpoint() { checkpoint_requested_ = true; }

    void write_due_checkpoint() {
        if (checkpoint_requested_ || (hooks_.checkpoint_due && hooks_.checkpoint_due()))
            write_checkpoint();
    }

    void write_checkpoint() {
        checkpoint_requested_ = false;
        if (hooks_.checkpoint) hooks_.checkpoint();
    }

  private:
    [[nodiscard]] std::int64_t known_candidates() const {
        return static_cast<std::int64_t>(state_.log.size() + state_.pending.size() + failed_);
    }

    [[nodiscard]] std::vector<double> values_of(const CandidateFacts& facts) const {
        std::vector<double> values;
        for (const Metric& metric : state_.log.metrics())
            values.push_back(metric.value(facts, *state_.reference, problem_.fleet));
        return values;
    }

    void set_reference(const CandidateFacts& reference) {
        state_.reference = reference;
        state_.log.set_reference(values_of(reference));
    }

    GenerationCost& present_cost() {
        state_.costs.resize(static_cast<std::size_t>(state_.generations_done) + 1);
        return state_.costs.back();
    }

    void show_progress() {
        const std::int64_t generation = std::min(state_.generations_done, parameters_.generations);
        progress_.show(
            {.stage = hooks_.name,
             .position = fmt::format("generation {}/{}", generation, parameters_.generations),
             .done = known_candidates(),
             .total = candidates_ * (parameters_.generations + 1),
             .unit = "evaluations",
             .detail =
                 state_.history.empty()
                     ? std::string()
                     : "hypervolume " + core::significant(state_.history.back().hypervolume)});
    }

    const SearchProblem& problem_;
    const SearchParameters& parameters_;
    SearchState& state_;
    const SearchHooks& hooks_;
    parallel::Walltime& walltime_;
    std::size_t failed_ = 0; ///< of this generation; shown by the progress from the start
    core::Progress progress_;
    std::int64_t candidates_ = 0; ///< that the algorithm asked for in this generation
    bool checkpoint_requested_ = false;
};

/// A search on one rank; the root's has the record.
class SearchRun {
  public:
    SearchRun(const parallel::Job& job, const SearchProblem& problem, Algorithm& algorithm,
              const SearchParameters& parameters, SearchState& state, const SearchHooks& hooks)
        : job_(job), ranks_(job.communicator), problem_(problem), algorithm_(algorithm),
          parameters_(parameters), state_(state), hooks_(hooks) {
        if (ranks_.is_root()) record_.emplace(job, problem, parameters, state, hooks);
    }

    SearchOutcome run() {
        ranks_.on_root([&] {
            validate(parameters_);
            refuse_impossible_constraints(problem_);
        });
        while (!all_done()) {
            begin_generation();
            const auto start = Clock::now();
            const bool finished = evaluate_batch();
            ranks_.on_root([&] {
                record_->add_wall_seconds(seconds_since(start));
                if (finished) end_generation();
            });
            const bool stop = ranks_.any(!finished || job_.control.stop_requested());
            const bool complete = all_done();
            if (stop || complete) ranks_.on_root([&] { record_->write_checkpoint(); });
            if (stop && !complete) return SearchOutcome::stopped;
        }
        return SearchOutcome::complete;
    }

  private:
    [[nodiscard]] bool all_done() const {
        return ranks_.any(ranks_.is_root() && is_complete(state_, parameters_));
    }

    /// Gives all ranks the candidates that the log does not know.
    void begin_generation() {
        std::vector<std::int32_t> flat;
        ranks_.on_root([&] {
            candidates_ = algorithm_.ask(state_.generations_done, state_.log);
            record_->begin_generation(candidates_.size());
            flat = flattened(new_genomes());
        });
        ranks_.broadcast(flat);
        batch_ = unflattened(flat, problem_.space.groups().size());
    }

    /// The candidates that the log does not know, each once, in their order. The search begins with
    /// the unpruned network, which others are compared with.
    [[nodiscard]] std::vector<Genome> new_genomes() const {
        std::vector<Genome> genomes;
        std::set<Genome> present;
        const auto add = [&](const Genome& genome) {
            if (!state_.log.index_of(genome) && present.insert(genome).second)
                genomes.push_back(genome);
        };
        if (state_.log.empty()) add(problem_.space.unpruned());
        std::ranges::for_each(candidates_, add);
        return genomes;
    }

    /// Evaluates the batch; the root logs the results when all are there. Returns whether they are.
    bool evaluate_batch() {
        const auto part = parallel::partition(batch_.size(), ranks_.size(), ranks_.rank());
        std::vector<double> mine;
        ranks_.on_every_rank([&] {
            mine = predicted_latencies(problem_, std::span(batch_).subspan(part.first, part.size()),
                                       job_.threads);
        });
        const std::vector<double> latencies = ranks_.all_gather(mine);
        std::vector<BatchAccuracy> accuracies(batch_.size());
        const bool finished = problem_.evaluator == nullptr
                                  ? answer_checkpoint_requests()
                                  : measure_accuracies(latencies, accuracies);
        if (finished) ranks_.on_root([&] { record_->log_batch(batch_, latencies, accuracies); });
        return finished;
    }

    /// What otherwise happens while accuracies are measured.
    bool answer_checkpoint_requests() {
        const bool requested = ranks_.any(job_.control.take_checkpoint_request());
        ranks_.on_root([&] {
            if (requested) record_->request_checkpoint();
            record_->write_due_checkpoint();
        });
        return true;
    }

    bool measure_accuracies(std::span<const double> latencies,
                            std::vector<BatchAccuracy>& accuracies) {
        std::vector<std::uint64_t> items;
        std::vector<double> needed;
        bool all_known = true; // on the root
        ranks_.on_root([&] {
            failures_.emplace(state_.log, batch_.size(), parameters_.max_failures);
            items = missing_accuracies(accuracies);
            needed = needed_accuracies(items, latencies);
        });
        ranks_.broadcast(items);
        ranks_.broadcast(needed);
        const auto outcome = parallel::dispatch(
            ranks_, {.items = items.size(),
                     .threads = problem_.evaluator->workers(job_.threads),
                     .evaluate =
                         [&](std::size_t item, const std::stop_token& cancelled) {
                             return timed_accuracy(batch_[items[item]], needed[item], cancelled);
                         },
                     .on_result =
                         [&](std::size_t item, std::span<const double> result) {
                             if (!take(items[item], unpacked(result), accuracies[items[item]]))
                                 all_known = false;
                         },
                     .should_stop = [&] { return job_.control.stop_requested(); },
                     .should_cancel = [&] { return job_.control.stop_now_requested(); },
                     .on_wait = [&] { record_->write_due_checkpoint(); },
                     .has_notice = [&] { return job_.control.take_checkpoint_request(); },
                     .on_notice = [&] { record_->request_checkpoint(); }});
        return outcome == parallel::DispatchOutcome::complete && !ranks_.any(!all_known);
    }

    /// An EvaluatedCandidate, packed; nothing when cancelled.
    [[nodiscard]] std::vector<double> timed_accuracy(const Genome& genome, double needed,
                                                     const std::stop_token& cancelled) const {
        const auto start = Clock::now();
        EvaluatedCandidate result;
        try {
            const auto accuracy = problem_.evaluator->accuracy(
                genome, {needed, parameters_.give_up_confidence}, cancelled);
            if (!accuracy) return {};
            result.accuracy = *accuracy;
        } catch (const accuracy::CandidateFailure& failure) {
            result.failure = failure.evidence;
            result.while_stopping = job_.control.stop_requested();
        }
        result.seconds = seconds_since(start);
        return packed(result);
    }

    [[nodiscard]] bool gives_up() const {
        return parameters_.give_up_confidence > 0.0 && problem_.evaluator->gives_up();
    }

    // ---- root -----------------------------------------------------------------------------

    /// Notes what became of a candidate of the batch. Returns whether that is known: a failure
    /// while the job is asked to stop tells nothing of the candidate.
    bool take(std::size_t index, const EvaluatedCandidate& result, BatchAccuracy& known) {
        if (!result.failure) {
            known.accuracy = result.accuracy;
            record_->add_accuracy(batch_[index], result.accuracy, result.seconds);
            return true;
        }
        if (result.while_stopping || job_.control.stop_requested()) return false;
        known = {.accuracy = {.value = 0.0}, .failed = true};
        record_->add_failure(result.seconds);
        const std::size_t entry = state_.log.size() + index;
        if (hooks_.failed) hooks_.failed(entry, batch_[index], *result.failure);
        if (entry == 0)
            throw core::DataError(fmt::format("the unpruned network cannot be measured, and so "
                                              "nothing can: {}",
                                              result.failure->reason));
        failures_->add(result.failure->reason);
        return true;
    }

    /// Indices into the batch whose accuracy is not known from an interrupted job or from
    /// elsewhere, costliest first. Fills in the others.
    std::vector<std::uint64_t> missing_accuracies(std::vector<BatchAccuracy>& accuracies) const {
        std::map<Genome, CandidateAccuracy> known;
        for (const PendingAccuracy& pending : state_.pending)
            known[pending.genome] = pending.accuracy;
        std::vector<std::uint64_t> missing;
        for (std::size_t i = 0; i < batch_.size(); ++i) {
            const auto found = known.find(batch_[i]);
            if (found != known.end())
                accuracies[i].accuracy = found->second;
            else if (const auto elsewhere = known_elsewhere(batch_[i]))
                accuracies[i].accuracy = {*elsewhere};
            else
                missing.push_back(i);
        }
        const auto macs = [&](std::uint64_t i) { return problem_.costs.total(batch_[i]).macs; };
        std::ranges::stable_sort(missing, std::ranges::greater{}, macs);
        return missing;
    }

    [[nodiscard]] std::optional<double> known_elsewhere(const Genome& genome) const {
        return hooks_.known_accuracy && !gives_up() ? hooks_.known_accuracy(genome) : std::nullopt;
    }

    /// For each of `items` the accuracy below which it is dominated for certain: the best of the
    /// front's members that are no worse in any objective that is known without it.
    [[nodiscard]] std::vector<double> needed_accuracies(const std::vector<std::uint64_t>& items,
                                                        std::span<const double> latencies) const {
        std::vector<double> needed(items.size(), 0.0);
        if (!gives_up() || state_.log.empty()) return needed;
        const std::vector<std::size_t> front = current_front(problem_, state_);
        const std::size_t width = problem_.predictions();
        for (std::size_t k = 0; k < items.size(); ++k) {
            const CandidateFacts facts =
                facts_of(problem_, batch_[items[k]], latencies.subspan(items[k] * width, width),
                         std::numeric_limits<double>::quiet_NaN());
            for (const std::size_t member : front)
                if (is_no_worse(member, facts))
                    needed[k] = std::max(needed[k], state_.log[member].accuracy);
        }
        return needed;
    }

    /// Whether an entry of the log is no worse than a candidate without an accuracy, whatever that
    /// may be.
    [[nodiscard]] bool is_no_worse(std::size_t entry, const CandidateFacts& facts) const {
        return std::ranges::all_of(problem_.goal.objectives, [&](const Metric& metric) {
            return metric.needs_accuracy() ||
                   state_.log.value(entry, metric) <=
                       metric.value(facts, *state_.reference, problem_.fleet);
        });
    }

    /// Tells the algorithm what became of its candidates.
    void end_generation() {
        std::vector<std::int32_t> entries;
        for (const Genome& genome : candidates_)
            entries.push_back(static_cast<std::int32_t>(state_.log.index_of(genome).value()));
        algorithm_.tell(entries, state_.log);
        record_->end_generation();
    }

    const parallel::Job& job_;
    const parallel::Communicator& ranks_;
    const SearchProblem& problem_;
    Algorithm& algorithm_;
    const SearchParameters& parameters_;
    SearchState& state_;
    const SearchHooks& hooks_;
    std::optional<Record> record_;   ///< root
    std::vector<Genome> candidates_; ///< root: that the algorithm asked for, known ones too
    std::vector<Genome> batch_;      ///< all ranks: those to be evaluated
    std::optional<GenerationFailures> failures_; ///< root: of the batch
};

} // namespace

std::vector<core::Setting> settings_of(SearchParameters& parameters) {
    return {core::integer("generations", parameters.generations, {0, 1'000'000},
                          "Generations after the first; a complete study goes on with more",
                          core::Outputs::search_length),
            core::real("give_up_confidence", parameters.give_up_confidence, {0.0, 0.999999},
                       "Give up evaluating a candidate that is dominated with this confidence; 0: "
                       "never",
                       core::Outputs::search),
            core::real("max_failures", parameters.max_failures, {0.0, 1.0},
                       "The search ends when more than this share of the latest 20 candidates, or "
                       "of a larger generation, fail",
                       core::Outputs::nothing)};
}

void validate(const SearchParameters& parameters) {
    if (parameters.generations < 0 || parameters.generations > 1'000'000)
        throw core::ConfigError(fmt::format(
            "generations = {} is out of range: choose from 0 to 1000000", parameters.generations));
    if (!(parameters.give_up_confidence >= 0 && parameters.give_up_confidence < 1))
        throw core::ConfigError(
            fmt::format("give_up_confidence = {} is out of range: choose from 0 to below 1",
                        core::shortest(parameters.give_up_confidence)));
    if (!(parameters.max_failures >= 0 && parameters.max_failures <= 1))
        throw core::ConfigError(fmt::format("max_failures = {} is out of range: choose from 0 to 1",
                                            core::shortest(parameters.max_failures)));
}

bool is_complete(const SearchState& state, const SearchParameters& parameters) noexcept {
    return state.generations_done > parameters.generations;
}

SearchOutcome run_search(const parallel::Job& job, const SearchProblem& problem,
                         Algorithm& algorithm, const SearchParameters& parameters,
                         SearchState& state, const SearchHooks& hooks) {
    return SearchRun(job, problem, algorithm, parameters, state, hooks).run();
}

} // namespace hdap::search
