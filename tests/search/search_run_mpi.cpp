#include "hdap/core/hash.hpp"
#include "hdap/search/hypervolume.hpp"
#include "hdap/search/non_dominated_sort.hpp"
#include "hdap/search/search_run.hpp"
#include "search/algorithms/nsga2.hpp"
#include "search/algorithms/random.hpp"
#include "search/small_fleet.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <type_traits>
#include <utility>

using namespace hdap;
using namespace hdap::search;
using Catch::Matchers::Contains;
using network::Genome;
using parallel::Communicator;
using search::testing::small_fleet;
using search::testing::small_space;

namespace {

// -------------------------------------------------------------------------- what is searched

/// Latencies that no network has, but that differ between the clusters.
class FakeSurrogate final : public surrogate::Surrogate {
  public:
    using CrossValidation =
        std::remove_cvref_t<decltype(std::declval<surrogate::Surrogate>().cross_validation())>;

    /// `hot`: of latencies under continuous load, which rank genomes in another way.
    explicit FakeSurrogate(bool hot = false) : hot_(hot) {}

    static double latency_ms(const Genome& genome, std::size_t cluster) {
        double latency = 1.0 + static_cast<double>(cluster);
        for (std::size_t g = 0; g < genome.size(); ++g)
            latency += 0.01 * genome[g] * (cluster == g % 2 ? 1.7 : 0.3);
        return latency;
    }

    static double sustained_ms(const Genome& genome, std::size_t cluster) {
        return 3.0 * latency_ms(genome, 1 - cluster);
    }

    [[nodiscard]] std::string_view kind() const override { return "fake"; }
    [[nodiscard]] const CrossValidation& cross_validation() const override { return clusters_; }
    void predict(std::span<const Genome> genomes, std::span<double> latency_ms_out,
                 int /*threads*/) const override {
        for (std::size_t i = 0; i < genomes.size(); ++i)
            for (std::size_t k = 0; k < clusters_.size(); ++k)
                latency_ms_out[i * clusters_.size() + k] =
                    hot_ ? sustained_ms(genomes[i], k) : latency_ms(genomes[i], k);
    }
    void write(storage::Hdf5Writer& /*file*/, const std::string& /*prefix*/) const override {}

  private:
    bool hot_;
    CrossValidation clusters_ = CrossValidation(2);
};

double accuracy_of(const Genome& genome) {
    double loss = 0;
    for (std::size_t g = 0; g < genome.size(); ++g) {
        const double removed = 1 - genome[g] / 64.0;
        loss += (g == 1 ? 0.1 : 0.25) * removed * removed;
    }
    return 0.9 - loss;
}

/// An accuracy at once, or what `before` makes of it.
class FakeEvaluator final : public accuracy::CandidateEvaluator {
  public:
    explicit FakeEvaluator(std::function<void(const Genome&)> before = {})
        : before_(std::move(before)) {}

    [[nodiscard]] std::optional<accuracy::CandidateAccuracy>
    accuracy(const Genome& genome, const accuracy::EarlyStop& rule,
             const std::stop_token& cancelled) const override {
        ++evaluations;
        if (before_) before_(genome);
        if (cancelled.stop_requested()) return std::nullopt;
        const double value = accuracy_of(genome);
        if (rule.confidence > 0 && value < rule.needed)
            return accuracy::CandidateAccuracy{value / 2, 50};
        return accuracy::CandidateAccuracy{value, 0};
    }
    [[nodiscard]] int workers(int threads) const override { return threads; }
    [[nodiscard]] bool gives_up() const override { return true; }
    [[nodiscard]] double chance_accuracy() const override { return 0.1; }
    [[nodiscard]] std::string identity() const override { return "fake"; }

    mutable std::atomic<int> evaluations{0}; ///< on this rank

  private:
    std::function<void(const Genome&)> before_;
};

network::Prunable prunable() {
    network::Network chain = search::testing::chain_network(3, 64);
    network::SearchSpace space = small_space(3);
    network::CostModel costs(chain, space.structure());
    return {.network = std::move(chain),
            .space = std::move(space),
            .costs = std::move(costs),
            .weights = {},
            .ranked_channels = {},
            .normalisation = {}};
}

Goal goal_of(const std::vector<std::string>& objectives,
             const std::vector<std::string>& constraints) {
    Goal goal;
    for (const std::string& name : objectives)
        goal.objectives.push_back(parse_metric(name));
    for (const std::string& text : constraints)
        goal.constraints.push_back(parse_constraint(text));
    return goal;
}

const Goal usual_goal = goal_of({"latency.mean", "accuracy_drop"}, {"flops <= 0.8x"});
const Goal single_goal = goal_of({"latency.mean"}, {"accuracy_drop.relative <= 0.1"});
const AlgorithmParameters algorithm_parameters{.population = 10, .seed = 3};
constexpr std::int64_t length = 6; ///< of the longest search, in generations

/// A search on this rank, from the beginning or from a checkpoint.
struct Search {
    explicit Search(const accuracy::CandidateEvaluator* evaluator, Goal goal = usual_goal,
                    const std::string& name = "nsga2")
        : problem{.space = network.space,
                  .costs = network.costs,
                  .surrogate = std::make_unique<FakeSurrogate>(),
                  .evaluator = evaluator,
                  .fleet = small_fleet(),
                  .goal = std::move(goal)},
          algorithm(make_algorithm(name, algorithm_parameters,
                                   {network.network, network.space, problem.goal, length})),
          state(study_metrics(problem.goal, evaluator != nullptr)) {}

    SearchOutcome run(std::int64_t generations, int threads = 1, SearchHooks hooks = {},
                      double give_up_confidence = 0, double max_failures = 0.5) {
        parallel::RunControl control;
        const parallel::Job job{ranks, log, control, threads};
        hooks.checkpoint = [&] {
            checkpoint = bytes();
            ++checkpoints;
        };
        return run_search(job, problem, *algorithm,
                          {.generations = generations,
                           .give_up_confidence = give_up_confidence,
                           .max_failures = max_failures},
                          state, hooks);
    }

    void go_on_from(const std::vector<std::byte>& file) {
        if (!ranks.is_root()) return;
        const auto reader = storage::Hdf5Reader::from_bytes(file, "search.h5");
        state =
            read_search_state(reader, study_metrics(problem.goal, problem.evaluator != nullptr));
        algorithm->restore(reader, state.log);
    }

    /// The file of the present state.
    [[nodiscard]] std::vector<std::byte> bytes() const {
        storage::Hdf5Writer file;
        write_search_state(file, state, network.space.groups().size(), *algorithm);
        return file.finish();
    }

    /// The same of all that must not depend on ranks, threads and interruptions: not the times.
    [[nodiscard]] std::string hash() const {
        SearchState timeless = state;
        timeless.costs.clear();
        storage::Hdf5Writer file;
        write_search_state(file, timeless, network.space.groups().size(), *algorithm);
        return core::sha256_hex(file.finish());
    }

    Communicator ranks = Communicator::world();
    core::Log log{{.quiet = true}};
    network::Prunable network = prunable();
    SearchProblem problem;
    std::unique_ptr<Algorithm> algorithm;
    SearchState state;
    std::vector<std::byte> checkpoint; ///< root: the last one
    int checkpoints = 0;               ///< root
};

std::string hash_of_run(std::int64_t generations, const Goal& goal = usual_goal,
                        const std::string& algorithm = "nsga2") {
    const FakeEvaluator evaluator;
    Search search(&evaluator, goal, algorithm);
    CHECK(search.run(generations) == SearchOutcome::complete);
    return search.hash();
}

[[noreturn]] void fail(const std::string& reason) {
    throw accuracy::CandidateFailure(
        {.reason = reason, .output = "loading", .network = "bytes", .format = "onnx"});
}

/// Whether a program of the user's has no number for it.
bool is_too_small(const Genome& genome) {
    return genome[0] < 40;
}

void fail_if_too_small(const Genome& genome) {
    if (is_too_small(genome)) fail("no boxes");
}

const Goal unbounded_goal = goal_of({"latency.mean", "accuracy_drop"}, {});

std::string hash_with_failures(std::int64_t generations) {
    const FakeEvaluator evaluator(fail_if_too_small);
    Search search(&evaluator, unbounded_goal);
    CHECK(search.run(generations) == SearchOutcome::complete);
    return search.hash();
}

// ------------------------------------------------------------------------- the plain reference

/// NSGA-II on one candidate after the other, without a log, ranks, or metrics.
struct PlainSearch {
    struct Candidate {
        Genome genome;
        double latency_ms;
        double drop;
        double violation;
    };

    Candidate evaluated(const Genome& genome) const {
        const fleet::FleetDistribution fleet = small_fleet();
        double latency = 0;
        for (std::size_t k = 0; k < 2; ++k)
            latency += fleet.cluster_weight[k] *
                       (FakeSurrogate::latency_ms(genome, k) * fleet.cluster_blend[3 * k]);
        const auto macs = [&](const Genome& g) {
            return static_cast<double>(network.costs.total(g).macs);
        };
        const double limit = 0.8 * macs(network.space.unpruned());
        return {genome, latency, accuracy_of(network.space.unpruned()) - accuracy_of(genome),
                std::max(0.0, (macs(genome) - limit) / limit)};
    }

    std::vector<double> objectives_of(const std::vector<std::size_t>& entries) const {
        std::vector<double> objectives;
        for (const std::size_t i : entries) {
            objectives.push_back(log[i].latency_ms);
            objectives.push_back(log[i].drop);
        }
        return objectives;
    }

    std::vector<double> violations_of(const std::vector<std::size_t>& entries) const {
        std::vector<double> violations;
        for (const std::size_t i : entries)
            violations.push_back(log[i].violation);
        return violations;
    }

    /// Evaluates the children, which are all new, and selects the next parents.
    void take(const std::vector<Genome>& children) {
        std::vector<std::size_t> all = parents;
        for (const Genome& child : children) {
            all.push_back(log.size());
            log.push_back(evaluated(child));
            known.insert(child);
        }
        parents.clear();
        for (const std::size_t i : survivors(objectives_of(all), 2, violations_of(all), 10))
            parents.push_back(all[i]);
    }

    void run(std::int64_t generations) {
        take(initial_population(network.space, algorithm_parameters));
        for (std::int64_t generation = 1; generation <= generations; ++generation) {
            std::vector<Genome> genomes;
            for (const std::size_t i : parents)
                genomes.push_back(log[i].genome);
            const auto objectives = objectives_of(parents);
            const auto ranks = non_dominated_rank(objectives, 2, violations_of(parents));
            take(offspring(network.space, genomes, ranks,
                           crowding_distance_by_rank(objectives, 2, ranks), generation,
                           algorithm_parameters,
                           [&](const Genome& genome) { return known.contains(genome); }));
        }
    }

    /// Of all feasible candidates, scaled by the unpruned network and by guessing.
    double hypervolume_share() const {
        std::vector<double> points;
        for (const Candidate& candidate : log) {
            if (candidate.violation > 0) continue;
            points.push_back(candidate.latency_ms / log[0].latency_ms);
            points.push_back(candidate.drop / (0.9 - 0.1));
        }
        return hypervolume(points, 2, std::vector<double>{1, 1});
    }

    network::Prunable network = prunable();
    std::vector<Candidate> log;
    std::vector<std::size_t> parents;
    std::set<Genome> known;
};

} // namespace

TEST_CASE("a bound below what the smallest candidate needs is refused before any evaluation") {
    const FakeEvaluator evaluator;
    Search search(&evaluator, goal_of({"latency.mean"}, {"params <= 0.001x"}));
    try {
        search.run(2);
        FAIL("no error");
    } catch (const parallel::AgreedError& error) {
        CHECK(error.kind() == core::ErrorKind::infeasible);
        CHECK_THAT(error.what(), Contains("'params <= 0.001x' cannot be met"));
    }
    CHECK(evaluator.evaluations == 0);
}

TEST_CASE("search parameters out of their range are refused on all ranks") {
    const FakeEvaluator evaluator;
    Search search(&evaluator);
    CHECK_THROWS_WITH(search.run(-1), Contains("generations = -1"));
    CHECK_THROWS_WITH(search.run(1, 1, {}, 1.0), Contains("give_up_confidence = 1"));
    CHECK_THROWS_WITH(search.run(1, 1, {}, 0, 1.5), Contains("max_failures = 1.5"));
}

TEST_CASE("an evaluation that fails on any rank ends all ranks with the same error") {
    const Genome unpruned = prunable().space.unpruned();
    const FakeEvaluator evaluator([&](const Genome& genome) {
        if (genome == unpruned) throw core::DataError("no images");
    });
    Search search(&evaluator);
    try {
        search.run(2, 2);
        FAIL("no error");
    } catch (const parallel::AgreedError& error) {
        CHECK(error.kind() == core::ErrorKind::data);
        CHECK(std::string(error.what()) == "no images");
    }
}

TEST_CASE("the unpruned network's failure ends the search, however many may fail") {
    const Genome unpruned = prunable().space.unpruned();
    const FakeEvaluator evaluator([&](const Genome& genome) {
        if (genome == unpruned) fail("no GPU");
    });
    Search search(&evaluator);
    try {
        search.run(2, 2, {}, 0, 1.0);
        FAIL("no error");
    } catch (const parallel::AgreedError& error) {
        CHECK(error.kind() == core::ErrorKind::data);
        CHECK_THAT(error.what(), Contains("the unpruned network") && Contains("no GPU"));
    }
}

TEST_CASE("what cannot be measured is logged as the worst, is in no front and is told with its "
          "evidence") {
    const std::string expected = hash_with_failures(4);
    for (const int threads : {1, 3}) {
        std::set<std::size_t> told;
        const FakeEvaluator evaluator(fail_if_too_small);
        Search search(&evaluator, unbounded_goal);
        const SearchHooks hooks{.failed = [&](std::size_t entry, const Genome& genome,
                                              const accuracy::FailureEvidence& evidence) {
            told.insert(entry);
            CHECK(is_too_small(genome));
            CHECK(evidence.reason == "no boxes");
            CHECK(evidence.network == "bytes");
        }};
        CHECK(search.run(4, threads, hooks) == SearchOutcome::complete);
        if (!search.ranks.is_root()) continue;
        CHECK(search.hash() == expected);
        const EvaluationLog& log = search.state.log;
        CHECK(log.failures() > 3);
        CHECK(told.size() == log.failures());
        for (std::size_t i = 0; i < log.size(); ++i) {
            CHECK(log[i].failed == is_too_small(log[i].genome));
            if (!log[i].failed) continue;
            CHECK(told.contains(i));
            CHECK(log[i].accuracy == 0);
            CHECK(log.value(i, parse_metric("accuracy_drop")) == 0.9);
        }
        // Without a constraint, too: the fastest candidates are among those that failed.
        for (const std::size_t i : current_front(search.problem, search.state))
            CHECK_FALSE(log[i].failed);
        CHECK(search.state.history.back().feasible ==
              static_cast<std::int32_t>(log.size() - log.failures()));
        std::int32_t measured = 0;
        for (const GenerationCost& cost : search.state.costs)
            measured += cost.accuracies_measured;
        CHECK(measured == static_cast<std::int32_t>(log.size() - log.failures()));
    }
}

TEST_CASE("a failure while the job is asked to stop is tried again, to the same bits") {
    const std::string expected = hash_with_failures(2);
    std::atomic<int> begun{0};
    const FakeEvaluator evaluator([&](const Genome& genome) {
        // As when a signal to the whole job reaches the program, too.
        if (++begun == 2) {
            std::raise(SIGTERM);
            fail("killed");
        }
        fail_if_too_small(genome);
    });
    Search stopped(&evaluator, unbounded_goal);
    CHECK(stopped.run(2, 2) == SearchOutcome::stopped);
    const FakeEvaluator undisturbed(fail_if_too_small);
    Search continued(&undisturbed, unbounded_goal);
    continued.go_on_from(stopped.checkpoint);
    CHECK(continued.run(2) == SearchOutcome::complete);
    if (continued.ranks.is_root()) CHECK(continued.hash() == expected);
}

TEST_CASE("too many failures end the search, which goes on to the same bits when they are gone") {
    const std::string expected = hash_of_run(3);
    const Genome unpruned = prunable().space.unpruned();
    const FakeEvaluator broken([&](const Genome& genome) {
        if (genome != unpruned) fail("no GPU");
    });
    Search search(&broken);
    try {
        search.run(3, 2, {.checkpoint_due = [] { return true; }});
        FAIL("no error");
    } catch (const parallel::AgreedError& error) {
        CHECK(error.kind() == core::ErrorKind::data);
        CHECK_THAT(error.what(), Contains("candidates failed, more than search.max_failures") &&
                                     Contains("no GPU"));
    }
    const FakeEvaluator mended;
    Search continued(&mended);
    continued.go_on_from(search.checkpoint);
    CHECK(continued.run(3) == SearchOutcome::complete);
    if (!continued.ranks.is_root()) return;
    CHECK(continued.state.log.failures() == 0);
    CHECK(continued.hash() == expected);
}

TEST_CASE("a search is that of a plain one on any number of ranks") {
    const FakeEvaluator evaluator;
    Search search(&evaluator);
    CHECK(search.run(6) == SearchOutcome::complete);
    if (!search.ranks.is_root()) return;
    PlainSearch plain;
    plain.run(6);
    REQUIRE(search.state.log.size() == plain.log.size());
    const Metric latency = parse_metric("latency.mean");
    const Metric drop = parse_metric("accuracy_drop");
    for (std::size_t i = 0; i < plain.log.size(); ++i) {
        const Evaluation& entry = search.state.log[i];
        CHECK(entry.genome == plain.log[i].genome);
        CHECK(entry.generation == static_cast<std::int32_t>(i / 10));
        CHECK(entry.accuracy == accuracy_of(entry.genome));
        CHECK(search.state.log.value(i, latency) == plain.log[i].latency_ms);
        CHECK(search.state.log.value(i, drop) == plain.log[i].drop);
        CHECK(usual_goal.violation_of(search.state.log, i) == plain.log[i].violation);
    }
    const auto feasible = std::ranges::count(plain.log, 0.0, &PlainSearch::Candidate::violation);
    CHECK(search.state.history.size() == 7);
    CHECK(search.state.history.back().evaluations == 70);
    CHECK(search.state.history.back().feasible == feasible);
    CHECK(search.state.history.back().hypervolume == Approx(plain.hypervolume_share()));
    CHECK(search.state.reference->accuracy == 0.9);
}

TEST_CASE("a search by ncs is that of one candidate after the other on any number of ranks") {
    const FakeEvaluator evaluator;
    Search search(&evaluator, single_goal, "ncs");
    CHECK(search.run(length) == SearchOutcome::complete);
    if (!search.ranks.is_root()) return;
    const PlainSearch plain;
    const auto algorithm =
        make_algorithm("ncs", algorithm_parameters,
                       {plain.network.network, plain.network.space, single_goal, length});
    EvaluationLog log({parse_metric("latency.mean"), parse_metric("accuracy_drop.relative")});
    const PlainSearch::Candidate unpruned = plain.evaluated(plain.network.space.unpruned());
    log.set_reference({unpruned.latency_ms, 0});
    for (std::int64_t generation = 0; generation <= length; ++generation) {
        std::vector<std::int32_t> entries;
        for (const Genome& genome : algorithm->ask(generation, log)) {
            if (!log.index_of(genome))
                log.append({.genome = genome,
                            .accuracy = accuracy_of(genome),
                            .values = {plain.evaluated(genome).latency_ms,
                                       1 - accuracy_of(genome) / accuracy_of(unpruned.genome)},
                            .generation = static_cast<std::int32_t>(generation)});
            entries.push_back(static_cast<std::int32_t>(log.index_of(genome).value()));
        }
        algorithm->tell(entries, log);
    }
    REQUIRE(search.state.log.size() == log.size());
    for (std::size_t i = 0; i < log.size(); ++i) {
        CHECK(search.state.log[i].genome == log[i].genome);
        CHECK(search.state.log[i].generation == log[i].generation);
    }
    CHECK(current_front(search.problem, search.state).size() == 1);
    CHECK(search.state.history.back().hypervolume > search.state.history.front().hypervolume);
}

TEST_CASE("the state has the same bits for any number of threads") {
    for (const auto& [algorithm, goal] :
         {std::pair("nsga2", usual_goal), std::pair("ncs", single_goal)}) {
        INFO(algorithm);
        const std::string expected = hash_of_run(4, goal, algorithm);
        for (const int threads : {2, 3, 5}) {
            const FakeEvaluator evaluator;
            Search search(&evaluator, goal, algorithm);
            CHECK(search.run(4, threads) == SearchOutcome::complete);
            CHECK(search.hash() == expected);
        }
    }
}

TEST_CASE("ncs that was stopped within a generation ends with the same bits") {
    const std::string expected = hash_of_run(length, single_goal, "ncs");
    for (const int evaluations_before : {1, 14, 35}) {
        std::atomic<int> begun{0};
        const FakeEvaluator evaluator([&](const Genome&) {
            if (++begun == evaluations_before) std::raise(SIGTERM);
        });
        Search stopped(&evaluator, single_goal, "ncs");
        stopped.run(length, 2);
        const FakeEvaluator undisturbed;
        Search continued(&undisturbed, single_goal, "ncs");
        continued.go_on_from(stopped.checkpoint);
        CHECK(continued.run(length) == SearchOutcome::complete);
        if (continued.ranks.is_root()) CHECK(continued.hash() == expected);
    }
}

TEST_CASE("a search that was stopped within a generation ends with the same bits") {
    const std::string expected = hash_of_run(3);
    for (const int evaluations_before : {1, 2, 7}) {
        std::atomic<int> begun{0};
        const FakeEvaluator evaluator([&](const Genome&) {
            if (++begun == evaluations_before) std::raise(SIGTERM);
        });
        Search stopped(&evaluator);
        const SearchOutcome outcome = stopped.run(3, 2);
        // Work is dealt as it comes: a rank may have got too little to stop at.
        if (evaluations_before == 1) CHECK(outcome == SearchOutcome::stopped);
        if (stopped.ranks.is_root()) CHECK(stopped.checkpoints == 1);

        const FakeEvaluator undisturbed;
        Search continued(&undisturbed);
        continued.go_on_from(stopped.checkpoint);
        const std::size_t known = continued.state.log.size() + continued.state.pending.size();
        CHECK(continued.run(3) == SearchOutcome::complete);
        if (!continued.ranks.is_root()) continue;
        CHECK(continued.hash() == expected);
        std::int32_t measured = 0;
        for (const GenerationCost& cost : continued.state.costs)
            measured += cost.accuracies_measured;
        CHECK(measured == 40);
        CHECK(known > 0);
    }
}

TEST_CASE("a checkpoint that is due is written in between and goes on with the same bits") {
    const std::string expected = hash_of_run(2);
    const FakeEvaluator evaluator;
    Search search(&evaluator);
    std::vector<std::byte> early;
    const SearchHooks hooks{.checkpoint_due = [&] {
        if (search.state.pending.size() == 4 && early.empty()) early = search.bytes();
        return search.state.pending.size() == 5;
    }};
    CHECK(search.run(2, 1, hooks) == SearchOutcome::complete);
    // How many results come in between two questions is chance, on several ranks.
    if (search.ranks.size() == 1) {
        CHECK(search.checkpoints == 4);
        REQUIRE_FALSE(early.empty());
    }
    Search continued(&evaluator);
    if (!early.empty()) continued.go_on_from(early);
    CHECK(continued.run(2) == SearchOutcome::complete);
    if (search.ranks.is_root()) CHECK(continued.hash() == expected);
}

TEST_CASE("accuracies that are known elsewhere are not measured and change no bit") {
    const FakeEvaluator evaluator;
    Search search(&evaluator);
    CHECK(search.run(2, 1, {.known_accuracy = accuracy_of}) == SearchOutcome::complete);
    CHECK(evaluator.evaluations == 0);
    const std::string expected = hash_of_run(2);
    CHECK(search.hash() == expected);
}

TEST_CASE("more generations after the end give the bits of a longer run") {
    const std::string expected = hash_of_run(5);
    const FakeEvaluator evaluator;
    Search finished(&evaluator);
    CHECK(finished.run(2) == SearchOutcome::complete);
    const int before = evaluator.evaluations;
    Search repeated(&evaluator);
    repeated.go_on_from(finished.checkpoint);
    CHECK(repeated.run(2) == SearchOutcome::complete);
    CHECK(evaluator.evaluations == before);
    CHECK(repeated.run(5) == SearchOutcome::complete);
    if (repeated.ranks.is_root()) CHECK(repeated.hash() == expected);
}

TEST_CASE("candidates that are certainly dominated are given up, alike on any number of ranks") {
    std::string first;
    for (const int threads : {1, 3}) {
        const FakeEvaluator evaluator;
        Search search(&evaluator);
        // What is known elsewhere must not be asked for.
        const SearchHooks hooks{.known_accuracy = [](const Genome&) { return 0.5; }};
        CHECK(search.run(5, threads, hooks, 0.9) == SearchOutcome::complete);
        if (!search.ranks.is_root()) continue;
        const EvaluationLog& log = search.state.log;
        std::size_t given_up = 0;
        for (std::size_t i = 0; i < log.size(); ++i) {
            if (log[i].given_up_after == 0) continue;
            ++given_up;
            CHECK(log[i].given_up_after == 50);
            CHECK(log[i].generation > 0);
            // An entry of an earlier generation is at least as fast and as accurate.
            bool dominated = false;
            for (std::size_t j = 0; j < log.size(); ++j)
                dominated |= log[j].generation < log[i].generation &&
                             log.value(j, usual_goal.objectives[0]) <=
                                 log.value(i, usual_goal.objectives[0]) &&
                             log[j].accuracy > accuracy_of(log[i].genome);
            CHECK(dominated);
        }
        CHECK(given_up > 0);
        CHECK(given_up < log.size() / 2);
        if (first.empty()) first = search.hash();
        CHECK(search.hash() == first);
    }
}

TEST_CASE("a search without an evaluator needs no accuracies") {
    const Goal goal =
        goal_of({"latency.p95", "flops"}, {"latency.sla(3.5ms) <= 0.5", "latency.p95 <= 0.9x"});
    std::string first;
    for (const int threads : {1, 2}) {
        Search search(nullptr, goal, "nsga2");
        CHECK(search.run(4, threads) == SearchOutcome::complete);
        Search continued(nullptr, goal, "nsga2");
        continued.go_on_from(search.checkpoint);
        CHECK(continued.hash() == search.hash());
        if (!search.ranks.is_root()) continue;
        CHECK(search.state.log.size() == 50);
        CHECK_FALSE(search.state.log.has_accuracy());
        CHECK(std::isnan(search.state.reference->accuracy));
        for (const std::size_t i : current_front(search.problem, search.state)) {
            const Evaluation& entry = search.state.log[i];
            CHECK(fleet::share_slower_than(search.problem.fleet, entry.cluster_latency_ms, 3.5) <=
                  0.5);
        }
        CHECK(search.state.history.back().hypervolume > 0);
        if (first.empty()) first = search.hash();
        CHECK(search.hash() == first);
    }
}

TEST_CASE("a search without an evaluator is stopped between generations and goes on") {
    const Goal goal = goal_of({"latency.mean", "params"}, {});
    Search whole(nullptr, goal, "random");
    CHECK(whole.run(3) == SearchOutcome::complete);
    Search stopped(nullptr, goal, "random");
    const SearchHooks hooks{.checkpoint_due = [&] {
        if (stopped.state.generations_done == 1) std::raise(SIGUSR2);
        return false;
    }};
    CHECK(stopped.run(3, 1, hooks) == SearchOutcome::stopped);
    if (stopped.ranks.is_root()) CHECK(stopped.state.generations_done == 2);
    Search continued(nullptr, goal, "random");
    continued.go_on_from(stopped.checkpoint);
    CHECK(continued.run(3) == SearchOutcome::complete);
    if (continued.ranks.is_root()) CHECK(continued.hash() == whole.hash());
}

TEST_CASE("the unpruned network is evaluated first even when the algorithm does not ask for it") {
    /// Asks for the smallest genome, again and again.
    class Stubborn final : public Algorithm {
      public:
        explicit Stubborn(Genome genome) : genome_(std::move(genome)) {}
        std::vector<Genome> ask(std::int64_t, const EvaluationLog&) override {
            return {genome_, genome_};
        }
        void tell(std::span<const std::int32_t> entries, const EvaluationLog&) override {
            told.insert(told.end(), entries.begin(), entries.end());
        }
        void save(storage::Hdf5Writer&) const override {}
        void restore(const storage::Hdf5Reader&, const EvaluationLog&) override {}
        std::vector<std::int32_t> told;

      private:
        Genome genome_;
    };
    const FakeEvaluator evaluator;
    Search search(&evaluator);
    auto stubborn = std::make_unique<Stubborn>(search.network.space.smallest());
    const Stubborn& algorithm = *stubborn;
    search.algorithm = std::move(stubborn);
    CHECK(search.run(1) == SearchOutcome::complete);
    if (!search.ranks.is_root()) return;
    REQUIRE(search.state.log.size() == 2);
    CHECK(search.state.log[0].genome == search.network.space.unpruned());
    CHECK(algorithm.told == std::vector<std::int32_t>{1, 1, 1, 1});
    CHECK(search.state.reference == facts_of(search.problem, search.state.log[0]));
}

TEST_CASE("a reference of an earlier round is what metrics and constraints are relative to") {
    const FakeEvaluator evaluator;
    Search search(&evaluator);
    CandidateFacts reference = facts_of(search.problem, search.network.space.unpruned(),
                                        std::vector<double>{10, 10}, 0.95);
    reference.costs.macs *= 4;
    search.problem.reference = reference;
    CHECK(search.run(1) == SearchOutcome::complete);
    if (!search.ranks.is_root()) return;
    CHECK(search.state.reference == reference);
    const EvaluationLog& log = search.state.log;
    CHECK(log.value(0, parse_metric("accuracy_drop")) == 0.95 - 0.9);
    CHECK(log.reference(parse_metric("flops")) == static_cast<double>(reference.costs.macs));
    // 0.8x of four times as much bounds nothing.
    CHECK(search.state.history.back().feasible == static_cast<std::int32_t>(log.size()));
}

TEST_CASE("latencies under continuous load are predicted by surrogates of their own, alike on any "
          "number of ranks and threads and after a stop") {
    const Goal goal = goal_of({"latency.mean", "accuracy_drop"}, {"latency.sustained <= 0.8x"});
    const FakeEvaluator evaluator;
    std::string first;
    std::vector<std::byte> half;
    for (const int threads : {1, 3}) {
        Search search(&evaluator, goal);
        search.problem.others[fleet::Quantity::sustained_latency] =
            std::make_unique<FakeSurrogate>(true);
        CHECK(search.run(2, threads) == SearchOutcome::complete);
        half = search.checkpoint;
        CHECK(search.run(4, threads) == SearchOutcome::complete);
        if (first.empty()) first = search.hash();
        CHECK(search.hash() == first);
        if (!search.ranks.is_root()) continue;
        const EvaluationLog& log = search.state.log;
        const fleet::FleetDistribution fleet = small_fleet();
        for (std::size_t i = 0; i < log.size(); ++i) {
            double mean = 0;
            for (std::size_t k = 0; k < 2; ++k) {
                const Genome& genome = log[i].genome;
                CHECK(log[i].cluster_latency_ms[k] == FakeSurrogate::latency_ms(genome, k));
                CHECK(log[i].cluster_others.at(fleet::Quantity::sustained_latency)[k] ==
                      FakeSurrogate::sustained_ms(genome, k));
                mean += fleet.cluster_weight[k] *
                        (FakeSurrogate::sustained_ms(genome, k) * fleet.cluster_blend[3 * k]);
            }
            CHECK(log.value(i, parse_metric("latency.sustained")) == mean);
        }
        const auto front = current_front(search.problem, search.state);
        CHECK_FALSE(front.empty());
        for (const std::size_t i : front)
            CHECK(log.value(i, parse_metric("latency.sustained")) <=
                  0.8 * log.reference(parse_metric("latency.sustained")));
    }
    Search resumed(&evaluator, goal);
    resumed.problem.others[fleet::Quantity::sustained_latency] =
        std::make_unique<FakeSurrogate>(true);
    resumed.go_on_from(half);
    CHECK(resumed.run(4) == SearchOutcome::complete);
    CHECK(resumed.hash() == first);
}
