#include "hdap/search/algorithm.hpp"

#include "hdap/core/error.hpp"
#include "search/algorithms/random.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <set>
#include <string>

using namespace hdap::search;
using Catch::Matchers::Contains;
using hdap::core::ConfigError;
using hdap::core::DataError;
using hdap::network::Genome;
using hdap::network::Network;
using hdap::network::SearchSpace;
using hdap::storage::Hdf5Reader;
using hdap::storage::Hdf5Writer;
using testing::bottleneck_network;
using testing::chain_network;
using testing::cost_of;
using testing::small_space;

namespace {

const Network network = chain_network(3, 64);
const SearchSpace space = small_space(3);
const AlgorithmParameters parameters{.population = 12, .seed = 7};

/// Of two objectives, or of the first alone where an algorithm takes no more.
AlgorithmProblem problem(const std::string& algorithm = "nsga2") {
    Goal goal{{parse_metric("flops"), parse_metric("params")}, {parse_constraint("flops <= 0.5x")}};
    try {
        check_objectives(algorithm, goal);
    } catch (const ConfigError&) {
        goal.objectives.pop_back();
    }
    return {network, space, goal, 11};
}

EvaluationLog empty_log() {
    EvaluationLog log({parse_metric("flops"), parse_metric("params")});
    log.set_reference({cost_of(space.unpruned()), 1000});
    return log;
}

/// Fewer "params" for what keeps more of the first gene, against the cost.
std::vector<double> values_of(const Genome& genome) {
    return {cost_of(genome), 1000.0 - 9 * genome[0] - genome[1]};
}

/// One generation: what was asked for, evaluated and told.
std::vector<Genome> advance(Algorithm& algorithm, std::int64_t generation, EvaluationLog& log) {
    const std::vector<Genome> candidates = algorithm.ask(generation, log);
    std::vector<std::int32_t> entries;
    for (const Genome& genome : candidates) {
        if (!log.index_of(genome)) log.append({.genome = genome, .values = values_of(genome)});
        entries.push_back(static_cast<std::int32_t>(log.index_of(genome).value()));
    }
    algorithm.tell(entries, log);
    return candidates;
}

Hdf5Reader saved(const Algorithm& algorithm) {
    Hdf5Writer file;
    algorithm.save(file);
    return Hdf5Reader::from_bytes(file.finish(), "search.h5");
}

Hdf5Reader population_of(const std::vector<std::int32_t>& entries) {
    Hdf5Writer file;
    file.write("/algorithm/population", entries);
    return Hdf5Reader::from_bytes(file.finish(), "search.h5");
}

} // namespace

TEST_CASE("an unknown algorithm is refused with the nearest and all names") {
    CHECK_THROWS_AS(make_algorithm("", parameters, problem()), ConfigError);
    CHECK_THROWS_WITH(make_algorithm("nsga3", parameters, problem()),
                      "unknown search algorithm 'nsga3' (did you mean 'nsga2'?); known: nsga2, "
                      "random, uniform, ncs");
    CHECK_THROWS_AS(check_objectives("", problem().goal), ConfigError);
}

TEST_CASE("an algorithm of one objective refuses several, and names them") {
    CHECK_NOTHROW(check_objectives("nsga2", problem().goal));
    CHECK_NOTHROW(check_objectives("ncs", problem("ncs").goal));
    CHECK_THROWS_AS(check_objectives("ncs", problem().goal), ConfigError);
    CHECK_THROWS_WITH(make_algorithm("ncs", parameters, problem()),
                      Contains("ncs minimises one objective, and there are 2 (flops, params)"));
}

TEST_CASE("parameters out of their range are refused and named") {
    const auto message = [](const std::function<void(AlgorithmParameters&)>& change) {
        AlgorithmParameters changed;
        change(changed);
        try {
            make_algorithm("random", changed, problem());
        } catch (const ConfigError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    using P = AlgorithmParameters;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK(message([](P&) {}).empty());
    CHECK(message([](P& p) { p.population = 1; }) ==
          "population = 1 is out of range: choose from 2 to 1e+06");
    CHECK_FALSE(message([](P& p) { p.population = 1000001; }).empty());
    CHECK(message([](P& p) { p.max_step = 0; }) ==
          "max_step = 0 is out of range: it must be above 0 and at most 1");
    CHECK_FALSE(message([](P& p) { p.max_step = 1.1; }).empty());
    CHECK_FALSE(message([&](P& p) { p.max_step = nan; }).empty());
    CHECK_FALSE(message([](P& p) { p.nsga2.crossover_probability = 1.5; }).empty());
    CHECK_FALSE(message([](P& p) { p.nsga2.crossover_eta = -1; }).empty());
    CHECK_FALSE(message([](P& p) { p.nsga2.mutation_probability = -0.1; }).empty());
    CHECK_FALSE(message([&](P& p) { p.nsga2.mutation_eta = nan; }).empty());
    CHECK_FALSE(message([](P& p) { p.ncs.sigma = 0; }).empty());
    CHECK_FALSE(message([](P& p) { p.ncs.r = 1.5; }).empty());
    CHECK_FALSE(message([](P& p) { p.ncs.epoch = 0; }).empty());
}

TEST_CASE("NSGA-II refuses a population that is not of the log") {
    const auto algorithm = make_algorithm("nsga2", parameters, problem());
    EvaluationLog log = empty_log();
    CHECK_NOTHROW(algorithm->restore(population_of({}), log));
    CHECK_THROWS_AS(algorithm->restore(population_of({0}), log), DataError);
    advance(*algorithm, 0, log);
    CHECK_THROWS_AS(algorithm->restore(population_of({}), log), DataError);
    CHECK_THROWS_AS(algorithm->restore(population_of({-1}), log), DataError);
    CHECK_THROWS_WITH(algorithm->restore(population_of({0, 12}), log),
                      Contains("/algorithm/population") && Contains("entry 12"));
    Hdf5Writer none;
    CHECK_THROWS_AS(algorithm->restore(Hdf5Reader::from_bytes(none.finish(), "search.h5"), log),
                    DataError);
}

TEST_CASE("every algorithm begins with the unpruned network and asks the same when asked again") {
    for (const std::string& name : algorithm_names()) {
        INFO(name);
        const auto algorithm = make_algorithm(name, parameters, problem(name));
        EvaluationLog log = empty_log();
        CHECK(algorithm->ask(0, log).front() == space.unpruned());
        for (std::int64_t generation = 0; generation < 5; ++generation) {
            const std::vector<Genome> candidates = algorithm->ask(generation, log);
            for (const Genome& genome : candidates)
                CHECK_NOTHROW(space.validate(genome));
            CHECK(advance(*algorithm, generation, log) == candidates);
        }
    }
}

TEST_CASE("NSGA-II and random search begin alike and repeat nothing") {
    for (const std::string name : {"nsga2", "random"}) {
        INFO(name);
        const auto algorithm = make_algorithm(name, parameters, problem());
        EvaluationLog log = empty_log();
        CHECK(algorithm->ask(0, log) == initial_population(space, parameters));
        for (std::int64_t generation = 0; generation < 5; ++generation) {
            const std::size_t known = log.size();
            const std::vector<Genome> candidates = algorithm->ask(generation, log);
            CHECK(candidates.size() == 12);
            CHECK(advance(*algorithm, generation, log) == candidates);
            CHECK(log.size() == known + 12);
        }
    }
}

TEST_CASE("with blocks as genes every algorithm prunes them, each by one share, and nothing else") {
    const Network blocks = bottleneck_network(3);
    const SearchSpace counts(blocks, {.min_keep = 0.1, .divisor = 4});
    const Genome unpruned = counts.unpruned();
    AlgorithmParameters by_block = parameters;
    by_block.genes = GeneLayout::block;
    for (const std::string& name : algorithm_names()) {
        INFO(name);
        const auto algorithm =
            make_algorithm(name, by_block, {blocks, counts, {{parse_metric("flops")}, {}}, 11});
        EvaluationLog log({parse_metric("flops")});
        log.set_reference({cost_of(unpruned)});
        for (std::int64_t generation = 0; generation < 8; ++generation) {
            std::vector<std::int32_t> entries;
            for (const Genome& genome : algorithm->ask(generation, log)) {
                REQUIRE_NOTHROW(counts.validate(genome));
                CHECK(genome[0] == unpruned[0]);
                for (const std::size_t first : {1U, 3U, 5U}) {
                    const double difference = genome[first] / 48.0 - genome[first + 1] / 64.0;
                    CHECK(std::abs(difference) <= 2 / 48.0 + 2 / 64.0);
                }
                if (!log.index_of(genome))
                    log.append({.genome = genome, .values = {cost_of(genome)}});
                entries.push_back(static_cast<std::int32_t>(log.index_of(genome).value()));
            }
            algorithm->tell(entries, log);
        }
        CHECK(log.size() >= 12);
    }
}

TEST_CASE("an algorithm that was saved at any generation goes on as if it had not been") {
    for (const std::string& name : algorithm_names()) {
        INFO(name);
        auto algorithm = make_algorithm(name, parameters, problem(name));
        EvaluationLog log = empty_log();
        std::vector<std::vector<Genome>> asked;
        for (std::int64_t generation = 0; generation < 6; ++generation)
            asked.push_back(advance(*algorithm, generation, log));

        algorithm = make_algorithm(name, parameters, problem(name));
        EvaluationLog repeated = empty_log();
        for (std::int64_t generation = 0; generation < 6; ++generation) {
            const auto continued = make_algorithm(name, parameters, problem(name));
            // An ask whose answers never came must leave no trace.
            if (generation > 0) static_cast<void>(algorithm->ask(generation, repeated));
            continued->restore(saved(*algorithm), repeated);
            CHECK(advance(*continued, generation, repeated) ==
                  asked[static_cast<std::size_t>(generation)]);
            algorithm->restore(saved(*continued), repeated);
        }
    }
}

TEST_CASE("NSGA-II moves towards what is feasible, random search does not") {
    const auto feasible_share = [](const std::string& name) {
        const auto algorithm = make_algorithm(name, parameters, problem());
        EvaluationLog log = empty_log();
        for (std::int64_t generation = 0; generation < 12; ++generation)
            advance(*algorithm, generation, log);
        double feasible = 0;
        for (std::size_t i = 12; i < log.size(); ++i)
            feasible += problem().goal.violation_of(log, i) <= 0 ? 1 : 0;
        return feasible / static_cast<double>(log.size() - 12);
    };
    CHECK(feasible_share("nsga2") > feasible_share("random") + 0.15);
}
