#include "search/algorithms/ncs.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <utility>

using namespace hdap::search;
using Catch::Matchers::Contains;
using hdap::core::ConfigError;
using hdap::core::DataError;
using hdap::core::RandomStream;
using hdap::core::StreamId;
using hdap::network::Genome;
using hdap::network::Network;
using hdap::network::SearchSpace;
using hdap::storage::Hdf5Reader;
using hdap::storage::Hdf5Writer;
using ncs::Point;
using ncs::Process;
using testing::chain_network;
using testing::cost_of;
using testing::small_space;

namespace {

using Function = std::function<double(const Point&)>;

constexpr double infinity = std::numeric_limits<double>::infinity();

// --------------------------------------------------------------------- functions to be minimised

/// 1 at 0.37.
double sphere(const Point& point) {
    double sum = 1;
    for (const double x : point)
        sum += (x - 0.37) * (x - 0.37);
    return sum;
}

/// 0 at 0.37; a local minimum at every tenth or so of each coordinate.
double rastrigin(const Point& point) {
    double sum = 0;
    for (const double x : point) {
        const double z = 10.24 * (x - 0.37);
        sum += z * z - 10 * std::cos(2 * std::numbers::pi * z) + 10;
    }
    return sum;
}

/// 0 at 0.15; more than two thirds of each coordinate lead to 0.2, at 0.7.
double deceptive(const Point& point) {
    double sum = 0;
    for (const double x : point)
        sum += x < 0.3 ? std::abs(x - 0.15) / 0.15 : 0.2 + 2 * std::abs(x - 0.7);
    return sum;
}

/// Cannot be evaluated in a third of the space, and may be below 0.
double partly_failing(const Point& point) {
    return point[0] > 2.0 / 3 ? infinity : rastrigin(point) - 40;
}

// ----------------------------------------------------------------------------- a search on one

/// A search made of the functions under test.
struct Search {
    Search(Function f, std::size_t genes, const AlgorithmParameters& p, std::int64_t length)
        : function(std::move(f)), parameters(p), generations(length),
          processes(ncs::first_processes(genes, p)) {
        for (const Process& process : processes)
            fitness.push_back(evaluate(process.parent));
    }

    double evaluate(const Point& point) {
        const double value = function(point);
        best = std::min(best, value);
        return value;
    }

    void advance(std::int64_t generation) {
        const auto offspring = ncs::offspring(processes, generation, parameters);
        std::vector<ncs::Pair> pairs;
        for (std::size_t i = 0; i < offspring.size(); ++i)
            pairs.push_back({.parent = fitness[i], .offspring = evaluate(offspring[i])});
        const double lambda = ncs::threshold(generation, generations, parameters.seed);
        const auto replaced = ncs::replacements(processes, offspring, pairs, best, lambda);
        ncs::advance(processes, offspring, replaced, generation, parameters.ncs);
        for (std::size_t i = 0; i < replaced.size(); ++i)
            if (replaced[i]) fitness[i] = pairs[i].offspring;
    }

    double run() {
        for (std::int64_t generation = 1; generation <= generations; ++generation)
            advance(generation);
        return best;
    }

    Function function;
    AlgorithmParameters parameters;
    std::int64_t generations;
    std::vector<Process> processes;
    std::vector<double> fitness; ///< [process] of its parent
    double best = infinity;
};

/// The best of as many random points as a search of 10 processes evaluates.
double random_best(const Function& function, std::size_t genes, std::uint64_t seed,
                   std::int64_t generations) {
    double best = infinity;
    for (std::int64_t i = 0; i < 10 * (generations + 1); ++i) {
        RandomStream random(seed, StreamId::testing, static_cast<std::uint32_t>(i));
        Point point(genes);
        for (double& x : point)
            x = random.uniform();
        best = std::min(best, function(point));
    }
    return best;
}

// ------------------------------------------------------------------------- the plain reference

/// The algorithm of the paper, line by line, on arrays.
struct PlainNcs {
    PlainNcs(const Function& f, std::size_t genes, const AlgorithmParameters& p)
        : function(f), n(static_cast<std::size_t>(p.population)), d(genes), parameters(p), x(n),
          fx(n), sigma(n, p.ncs.sigma), count(n, 0) {
        for (std::size_t i = 0; i < n; ++i) {
            RandomStream random(p.seed, StreamId::initial_population, 0,
                                static_cast<std::uint32_t>(i));
            for (std::size_t g = 0; g < d; ++g)
                x[i].push_back(i == 0 ? 0 : random.uniform() * p.max_step);
            fx[i] = function(x[i]);
            found = std::min(found, fx[i]);
        }
    }

    /// By the covariances Σ1 and Σ2: their mean Σ, its inverse and the logarithms of determinants.
    [[nodiscard]] double bhattacharyya(const Point& m1, double s1, const Point& m2,
                                       double s2) const {
        double quadratic = 0;
        double log_determinants = 0;
        for (std::size_t g = 0; g < d; ++g) {
            const double mean = (s1 * s1 + s2 * s2) / 2;
            quadratic += (m1[g] - m2[g]) / mean * (m1[g] - m2[g]);
            log_determinants += std::log(mean) - 0.5 * (std::log(s1 * s1) + std::log(s2 * s2));
        }
        return quadratic / 8 + log_determinants / 2;
    }

    [[nodiscard]] double corr(std::size_t i, const Point& of) const {
        std::vector<double> distances;
        for (std::size_t j = 0; j < n; ++j)
            if (i != j) distances.push_back(bhattacharyya(of, sigma[i], x[j], sigma[j]));
        return *std::ranges::min_element(distances);
    }

    /// Generation t + 1 of T.
    void step(std::int64_t t, std::int64_t total) {
        const auto generation = static_cast<std::uint32_t>(t + 1);
        RandomStream draw(parameters.seed, StreamId::acceptance, generation);
        const double lambda =
            1.0 + draw.normal() * (0.1 - 0.1 * static_cast<double>(t) / static_cast<double>(total));
        std::vector<Point> y(n);
        std::vector<double> fy(n);
        for (std::size_t i = 0; i < n; ++i) {
            RandomStream random(parameters.seed, StreamId::gaussian_step, generation,
                                static_cast<std::uint32_t>(i));
            for (std::size_t g = 0; g < d; ++g) {
                const double moved = x[i][g] + sigma[i] * random.normal();
                y[i].push_back(std::max(0.0, std::min(moved, parameters.max_step)));
            }
            fy[i] = function(y[i]);
            found = std::min(found, fy[i]);
        }
        std::vector<bool> better(n);
        for (std::size_t i = 0; i < n; ++i) {
            if (std::isinf(fy[i]) || std::isinf(fx[i])) {
                better[i] = !std::isinf(fy[i]);
                continue;
            }
            double f = (fy[i] - found) / (fx[i] - found + fy[i] - found);
            if (fx[i] == found && fy[i] == found) f = 0.5;
            const double c = corr(i, y[i]) / (corr(i, x[i]) + corr(i, y[i]));
            better[i] = f / c < lambda;
        }
        for (std::size_t i = 0; i < n; ++i)
            if (better[i]) {
                x[i] = y[i];
                fx[i] = fy[i];
                ++count[i];
            }
        if (generation % parameters.ncs.epoch != 0) return;
        for (std::size_t i = 0; i < n; ++i) {
            const double rate = count[i] / static_cast<double>(parameters.ncs.epoch);
            if (rate > 0.2)
                sigma[i] = std::min(sigma[i] / parameters.ncs.r, 1.0);
            else if (rate < 0.2)
                sigma[i] *= parameters.ncs.r;
            count[i] = 0;
        }
    }

    Function function;
    std::size_t n, d;
    AlgorithmParameters parameters;
    std::vector<Point> x;
    std::vector<double> fx;
    std::vector<double> sigma;
    std::vector<int> count;
    double found = infinity;
};

// ------------------------------------------------------------------------------ a whole search

const Network network = chain_network(3, 64);
const SearchSpace space = small_space(3);
const AlgorithmParameters usual{.population = 6, .seed = 3, .max_step = 0.9, .ncs = {.epoch = 3}};
constexpr std::int64_t length = 10;

AlgorithmProblem problem(std::int64_t generations = length) {
    return {network,
            space,
            {{parse_metric("flops")}, {parse_constraint("params <= 0.6x")}},
            generations};
}

double params_of(const Genome& genome) {
    return 100.0 + genome[0] + 2 * genome[1] + genome[2];
}

EvaluationLog empty_log() {
    EvaluationLog log({parse_metric("flops"), parse_metric("params")});
    log.set_reference({cost_of(space.unpruned()), params_of(space.unpruned())});
    return log;
}

void tell(Algorithm& algorithm, const std::vector<Genome>& candidates, EvaluationLog& log,
          std::int64_t generation) {
    std::vector<std::int32_t> entries;
    for (const Genome& genome : candidates) {
        if (!log.index_of(genome))
            log.append({.genome = genome,
                        .values = {cost_of(genome), params_of(genome)},
                        .generation = static_cast<std::int32_t>(generation)});
        entries.push_back(static_cast<std::int32_t>(log.index_of(genome).value()));
    }
    algorithm.tell(entries, log);
}

/// The checkpoint after some generations, with one data set or attribute changed.
struct Checkpoint {
    std::vector<double> rates;
    std::vector<double> deviations;
    std::vector<std::int32_t> successes;
    std::vector<std::int32_t> parents;
    std::int64_t told = 0;
    std::int64_t generations = 0;

    explicit Checkpoint(const Algorithm& algorithm) {
        Hdf5Writer file;
        algorithm.save(file);
        const auto read = Hdf5Reader::from_bytes(file.finish(), "search.h5");
        rates = read.read<double>("/algorithm/rates");
        deviations = read.read<double>("/algorithm/deviations");
        successes = read.read<std::int32_t>("/algorithm/successes");
        parents = read.read<std::int32_t>("/algorithm/parents");
        told = read.attribute_int("/algorithm", "generations_told");
        generations = read.attribute_int("/algorithm", "generations");
    }

    [[nodiscard]] Hdf5Reader file() const {
        Hdf5Writer file;
        file.write("/algorithm/rates", rates, {parents.size(), rates.size() / parents.size()});
        file.write("/algorithm/deviations", deviations);
        file.write("/algorithm/successes", successes);
        file.write("/algorithm/parents", parents);
        file.attribute("/algorithm", "generations_told", told);
        file.attribute("/algorithm", "generations", generations);
        return Hdf5Reader::from_bytes(file.finish(), "search.h5");
    }
};

} // namespace

TEST_CASE("ncs goes on from no state but its own") {
    const auto algorithm = make_ncs(usual, problem());
    EvaluationLog log = empty_log();
    for (std::int64_t generation = 0; generation < 5; ++generation)
        tell(*algorithm, algorithm->ask(generation, log), log, generation);
    const auto refusal = [&](const std::function<void(Checkpoint&)>& change) {
        Checkpoint checkpoint(*algorithm);
        change(checkpoint);
        try {
            make_ncs(usual, problem())->restore(checkpoint.file(), log);
        } catch (const DataError& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    using C = Checkpoint;
    CHECK(refusal([](C&) {}).empty());
    CHECK_THAT(refusal([](C& c) { c.told = 0; }), Contains("generations_told = 0"));
    CHECK_THAT(refusal([](C& c) { c.told = -1; }), Contains("generations_told = -1"));
    CHECK_THAT(refusal([](C& c) { c.told = 2; }), Contains("does not fit the evaluation log"));
    CHECK_THAT(refusal([](C& c) { c.told = length + 2; }), Contains("generations_told = 12"));
    CHECK_THAT(refusal([](C& c) { c.rates[4] = 0.95; }), Contains("process 1: a rate is 0.95"));
    CHECK_THAT(refusal([](C& c) { c.rates[0] = -0.1; }), Contains("process 0: a rate is -0.1"));
    CHECK_THAT(refusal([](C& c) { c.rates[0] = std::nan(""); }), Contains("a rate is nan"));
    CHECK_THAT(refusal([](C& c) { c.deviations[2] = 0; }), Contains("process 2: the deviation"));
    CHECK_THAT(refusal([](C& c) { c.deviations[2] = 1.5; }), Contains("process 2: the deviation"));
    CHECK_THAT(refusal([](C& c) { c.successes[5] = 3; }), Contains("3 successes in an epoch of 3"));
    CHECK_THAT(refusal([](C& c) { c.successes[5] = -1; }), Contains("-1 successes"));
    CHECK_THAT(refusal([](C& c) { c.parents[1] = 1000; }), Contains("entry 1000 is not in"));
    CHECK_THAT(refusal([](C& c) { c.parents[1] = -1; }), Contains("entry -1 is not in"));
    CHECK_THAT(refusal([](C& c) { c.rates[3] = c.rates[3] > 0.4 ? 0 : 0.8; }),
               Contains("process 1: entry") && Contains("has another genome"));
    CHECK_THAT(refusal([](C& c) { c.deviations.pop_back(); }), Contains("/algorithm/deviations"));
    CHECK_THAT(refusal([](C& c) { c.rates.resize(12); }), Contains("/algorithm/rates"));
    CHECK_THAT(refusal([](C& c) {
                   c.parents.pop_back();
                   c.deviations.pop_back();
                   c.successes.pop_back();
                   c.rates.resize(15);
               }),
               Contains("5 processes instead of 6"));
    Hdf5Writer nothing;
    CHECK_THROWS_AS(make_ncs(usual, problem())
                        ->restore(Hdf5Reader::from_bytes(nothing.finish(), "search.h5"), log),
                    DataError);
}

TEST_CASE("ncs refuses to go on with more generations than it was begun with") {
    const auto algorithm = make_ncs(usual, problem());
    EvaluationLog log = empty_log();
    tell(*algorithm, algorithm->ask(0, log), log, 0);
    const Hdf5Reader file = Checkpoint(*algorithm).file();
    const auto longer = make_ncs(usual, problem(20));
    CHECK_THROWS_AS(longer->restore(file, log), ConfigError);
    CHECK_THROWS_WITH(longer->restore(file, log),
                      Contains("search.h5: was begun with search.generations = 10, and now it is "
                               "20") &&
                          Contains("--out"));
    CHECK_NOTHROW(make_ncs(usual, problem())->restore(file, log));
}

TEST_CASE("the first parent prunes nothing, the others are anywhere up to the largest step") {
    const AlgorithmParameters parameters{.population = 500, .seed = 5, .max_step = 0.2};
    const std::vector<Process> processes = ncs::first_processes(4, parameters);
    REQUIRE(processes.size() == 500);
    CHECK(processes[0].parent == Point(4, 0.0));
    double sum = 0;
    for (std::size_t i = 1; i < processes.size(); ++i) {
        CHECK(processes[i].deviation == 0.05);
        CHECK(processes[i].successes == 0);
        for (const double x : processes[i].parent) {
            CHECK((x >= 0 && x < 0.2));
            sum += x;
        }
    }
    CHECK(sum / (499 * 4) == Approx(0.1).margin(0.005));
}

TEST_CASE("offspring are Gaussian around their parents, within the bounds") {
    const AlgorithmParameters parameters{.population = 2, .seed = 5};
    const std::vector<Process> processes(2000, {.parent = {0.5, 0.01, 1}, .deviation = 0.1});
    const auto offspring = ncs::offspring(processes, 1, parameters);
    double sum = 0;
    double squares = 0;
    std::size_t at_bound = 0;
    for (const Point& point : offspring) {
        sum += point[0] - 0.5;
        squares += (point[0] - 0.5) * (point[0] - 0.5);
        CHECK((point[1] >= 0 && point[2] <= 1));
        at_bound += point[2] == 1 ? 1 : 0;
    }
    CHECK(sum / 2000 == Approx(0).margin(0.01));
    CHECK(std::sqrt(squares / 2000) == Approx(0.1).epsilon(0.05));
    CHECK(static_cast<double>(at_bound) / 2000 == Approx(0.5).margin(0.05));
    CHECK(ncs::offspring(processes, 1, parameters) == offspring);
    CHECK(ncs::offspring(processes, 2, parameters) != offspring);
    // A process has its numbers, whatever the others do.
    CHECK(ncs::offspring(std::span(processes).first(3), 1, parameters)[2] == offspring[2]);
}

TEST_CASE("the distance is the negative logarithm of what two densities have in common") {
    CHECK(ncs::distance({0.3, 0.4}, 0.1, {0.3, 0.4}, 0.1) == 0);
    CHECK(ncs::distance({0, 0}, 1, {3, 4}, 1) == Approx(25.0 / 8));
    CHECK(ncs::distance({0, 0}, 1, {3, 4}, 2) == Approx(25.0 / 20 + std::log(2.5 / 2)));
    CHECK(ncs::distance({0.5}, 0.1, {0.5}, std::nextafter(0.1, 1)) >= 0);
    // In one dimension, by summation.
    for (const auto& [a, sa, b, sb] :
         {std::array{0.2, 0.05, 0.3, 0.05}, {0.2, 0.05, 0.3, 0.15}, {0.5, 0.3, 0.5, 0.1}}) {
        const auto density = [](double x, double mean, double deviation) {
            const double z = (x - mean) / deviation;
            return std::exp(-z * z / 2) / (deviation * std::sqrt(2 * std::numbers::pi));
        };
        double common = 0;
        for (double x = -3; x < 4; x += 1e-4)
            common += 1e-4 * std::sqrt(density(x, a, sa) * density(x, b, sb));
        CHECK(ncs::distance({a}, sa, {b}, sb) == Approx(-std::log(common)));
        CHECK(ncs::distance({a}, sa, {b}, sb) == ncs::distance({b}, sb, {a}, sa));
    }
}

TEST_CASE("the correlation is the distance to the nearest other process, never to itself") {
    const std::vector<Process> processes{{.parent = {0.0}, .deviation = 0.1},
                                         {.parent = {0.2}, .deviation = 0.1},
                                         {.parent = {0.9}, .deviation = 0.1}};
    CHECK(ncs::correlation(processes, 1, {0.2}) == Approx(0.04 / 0.08));
    CHECK(ncs::correlation(processes, 0, {0.25}) == Approx(0.0025 / 0.08));
    CHECK(ncs::correlation(processes, 2, {0.0}) == 0);
    // Of two, the other one.
    CHECK(ncs::correlation(std::span(processes).first(2), 1, {0.2}) == Approx(0.04 / 0.08));
}

TEST_CASE("the threshold scatters around 1, ever less") {
    const auto scatter = [](std::int64_t generation) {
        double squares = 0;
        double sum = 0;
        for (std::uint64_t seed = 0; seed < 2000; ++seed) {
            const double off = ncs::threshold(generation, 50, seed) - 1;
            sum += off;
            squares += off * off;
        }
        CHECK(sum / 2000 == Approx(0).margin(0.01));
        return std::sqrt(squares / 2000);
    };
    CHECK(scatter(1) == Approx(0.1).epsilon(0.05));
    CHECK(scatter(26) == Approx(0.05).epsilon(0.05));
    CHECK(scatter(50) == Approx(0.002).epsilon(0.05));
    CHECK(ncs::threshold(3, 50, 1) == ncs::threshold(3, 50, 1));
    CHECK(ncs::threshold(3, 50, 1) != ncs::threshold(4, 50, 1));
}

TEST_CASE("an offspring replaces its parent when it is better or farther from the others") {
    const ncs::Pair equal{1, 1};
    // Shares of 1/3 and 1/2: a quotient of 2/3.
    CHECK(ncs::replaces_parent({3, 2}, 1, equal, 0.67));
    CHECK_FALSE(ncs::replaces_parent({3, 2}, 1, equal, 0.66));
    CHECK_FALSE(ncs::replaces_parent({2, 3}, 1, equal, 1.3));
    CHECK(ncs::replaces_parent({2, 3}, 1, equal, 1.34));
    // A little worse, and much farther from the others.
    CHECK(ncs::replaces_parent({2, 2.1}, 1, {1, 3}, 1));
    CHECK_FALSE(ncs::replaces_parent({2, 2.1}, 1, {3, 1}, 1));
    // What the fitness counts from plays no part.
    CHECK(ncs::replaces_parent({-7, -8}, -9, equal, 0.67));
    CHECK_FALSE(ncs::replaces_parent({-7, -8}, -9, equal, 0.66));
}

TEST_CASE("where there is nothing to divide by, what replaces a parent is still determined") {
    // Both as good as the best: the farther one.
    CHECK(ncs::replaces_parent({1, 1}, 1, {1, 2}, 1));
    CHECK_FALSE(ncs::replaces_parent({1, 1}, 1, {2, 1}, 1));
    // Both on top of other processes: the better one.
    CHECK(ncs::replaces_parent({2, 1}, 0, {0, 0}, 1));
    CHECK_FALSE(ncs::replaces_parent({1, 2}, 0, {0, 0}, 1));
    // Both of both: shares of 1/2 each.
    CHECK(ncs::replaces_parent({1, 1}, 1, {0, 0}, 1.01));
    CHECK_FALSE(ncs::replaces_parent({1, 1}, 1, {0, 0}, 1));
    // Onto another process: never.
    CHECK_FALSE(ncs::replaces_parent({2, 1}, 1, {1, 0}, 1.5));
    // From another process.
    CHECK(ncs::replaces_parent({2, 1.9}, 1, {0, 1}, 1));
    // Failures.
    CHECK_FALSE(ncs::replaces_parent({1, infinity}, 1, {1, 9}, 1.5));
    CHECK_FALSE(ncs::replaces_parent({infinity, infinity}, 1, {1, 9}, 1.5));
    CHECK(ncs::replaces_parent({infinity, 100}, 1, {9, 0}, 0.5));
}

TEST_CASE("steps grow where more than a fifth succeed, and shrink where fewer do") {
    const NcsParameters rule{.r = 0.5, .epoch = 5};
    const std::vector<Point> offspring(3, {0.5});
    std::vector<Process> processes{{.parent = {0}, .deviation = 0.1, .successes = 1},
                                   {.parent = {0}, .deviation = 0.1, .successes = 1},
                                   {.parent = {0}, .deviation = 0.1, .successes = 0}};
    ncs::advance(processes, offspring, {true, false, false}, 4, rule);
    CHECK(processes[0].parent == Point{0.5});
    CHECK(processes[0].successes == 2);
    CHECK(processes[1].parent == Point{0});
    CHECK(processes[0].deviation == 0.1);
    ncs::advance(processes, offspring, {false, false, false}, 5, rule);
    CHECK(processes[0].deviation == 0.2);
    CHECK(processes[1].deviation == 0.1);
    CHECK(processes[2].deviation == 0.05);
    CHECK(processes[0].successes == 0);
    // Never beyond all rates, nor to nothing.
    for (std::int64_t generation = 6; generation < 500; ++generation)
        ncs::advance(processes, offspring, {true, false, false}, generation, rule);
    CHECK(processes[0].deviation == 1);
    CHECK(processes[2].deviation == 1e-9);
    CHECK(std::isfinite(ncs::correlation(processes, 2, {0.5})));
}

TEST_CASE("trajectories are those of a plain implementation") {
    struct Case {
        Function function;
        std::size_t genes;
        AlgorithmParameters parameters;
        std::int64_t generations;
    };
    const std::vector<Case> cases{
        {sphere, 6, {.population = 10, .seed = 1}, 100},
        {rastrigin,
         3,
         {.population = 5, .seed = 2, .ncs = {.sigma = 0.2, .r = 0.8, .epoch = 3}},
         60},
        {deceptive, 4, {.population = 8, .seed = 3, .max_step = 0.2}, 80},
        {partly_failing, 2, {.population = 7, .seed = 4, .ncs = {.sigma = 0.5, .epoch = 1}}, 50},
        {rastrigin, 1, {.population = 2, .seed = 5}, 40},
        {[](const Point&) { return 0.0; }, 2, {.population = 4, .seed = 6}, 60}};
    for (const Case& each : cases) {
        INFO("seed " << each.parameters.seed);
        Search search(each.function, each.genes, each.parameters, each.generations);
        PlainNcs plain(each.function, each.genes, each.parameters);
        int replaced = 0;
        for (std::int64_t t = 0; t < each.generations; ++t) {
            const auto before = plain.x;
            search.advance(t + 1);
            plain.step(t, each.generations);
            for (std::size_t i = 0; i < plain.n; ++i) {
                replaced += plain.x[i] != before[i] ? 1 : 0;
                REQUIRE(search.processes[i].parent == plain.x[i]);
                REQUIRE(search.processes[i].deviation == Approx(plain.sigma[i]).epsilon(1e-12));
                REQUIRE(search.processes[i].successes == plain.count[i]);
                REQUIRE(search.fitness[i] == plain.fx[i]);
            }
        }
        CHECK(replaced > each.generations / 10);
        CHECK(search.best == plain.found);
    }
}

TEST_CASE("a search of a network's channels is that of a plain one on pruning rates") {
    const auto genome_of = [](const Point& rates) {
        Genome genome;
        for (const double rate : rates) // multiples of 8 from 8 to 64, of two the larger
            genome.push_back(std::max(8, 8 * static_cast<int>(std::floor(8 * (1 - rate) + 0.5))));
        return genome;
    };
    std::vector<Genome> evaluated;
    const Function fitness = [&](const Point& rates) {
        const Genome genome = genome_of(rates);
        evaluated.push_back(genome);
        const double bound = 0.6 * params_of(space.unpruned());
        return params_of(genome) > bound ? 1 + (params_of(genome) - bound) / bound
                                         : cost_of(genome) / cost_of(space.unpruned());
    };
    PlainNcs plain(fitness, 3, usual);
    for (std::int64_t t = 0; t < length; ++t)
        plain.step(t, length);
    const auto algorithm = make_ncs(usual, problem());
    EvaluationLog log = empty_log();
    std::vector<Genome> asked;
    for (std::int64_t generation = 0; generation <= length; ++generation) {
        const std::vector<Genome> candidates = algorithm->ask(generation, log);
        asked.insert(asked.end(), candidates.begin(), candidates.end());
        tell(*algorithm, candidates, log, generation);
    }
    CHECK(asked[0] == space.unpruned());
    CHECK(asked == evaluated);
    const auto final_rates = Checkpoint(*algorithm).rates;
    for (std::size_t i = 0; i < 6; ++i)
        for (std::size_t g = 0; g < 3; ++g)
            CHECK(final_rates[3 * i + g] == plain.x[i][g]);
}

TEST_CASE("what is minimised is the objective beside the reference's, or how much is missed") {
    EvaluationLog log({parse_metric("latency.mean"), parse_metric("accuracy_drop.relative")});
    log.set_reference({20, 0});
    const auto append = [&](double latency, double drop, bool failed = false) {
        log.append({.genome = {static_cast<std::int32_t>(log.size() + 1)},
                    .accuracy = failed ? 0 : 0.5,
                    .values = {latency, drop},
                    .failed = failed});
        return log.size() - 1;
    };
    const std::size_t fast = append(5, 0.1);
    const std::size_t slow = append(25, -0.2);
    const std::size_t wrong = append(1, 0.35);
    const std::size_t failed = append(1, 1, true);
    const Goal paper{{parse_metric("latency.mean")},
                     {parse_constraint("accuracy_drop.relative <= 0.1")}};
    CHECK(ncs::fitness(paper, log, fast) == 0.25);
    CHECK(ncs::fitness(paper, log, slow) == 1.25);
    // (1 − accuracy) ÷ (1 − 0.9)
    CHECK(ncs::fitness(paper, log, wrong) == Approx(3.5));
    CHECK(std::isinf(ncs::fitness(paper, log, failed)));
    // What may be 0 in the reference counts as it is.
    const Goal drop{{parse_metric("accuracy_drop.relative")}, {}};
    CHECK(ncs::fitness(drop, log, slow) == -0.2);
    EvaluationLog of_nothing({parse_metric("latency.mean")});
    of_nothing.set_reference({0});
    of_nothing.append({.genome = {1}, .values = {3}});
    CHECK(ncs::fitness({{parse_metric("latency.mean")}, {}}, of_nothing, 0) == 3);
}

TEST_CASE("what failed is left as soon as anything can be measured, and never returned to") {
    AlgorithmParameters parameters{.population = 4, .seed = 2};
    const auto algorithm = make_ncs(parameters, problem());
    EvaluationLog log(
        {parse_metric("flops"), parse_metric("params"), parse_metric("accuracy_drop")});
    log.set_reference({cost_of(space.unpruned()), params_of(space.unpruned()), 0});
    const auto fails = [](const Genome& genome) { return genome[0] < 40; };
    std::vector<bool> was_measured(4, false);
    for (std::int64_t generation = 0; generation <= length; ++generation) {
        std::vector<std::int32_t> entries;
        for (const Genome& genome : algorithm->ask(generation, log)) {
            if (!log.index_of(genome))
                log.append({.genome = genome,
                            .accuracy = fails(genome) ? 0 : 0.5,
                            .values = {cost_of(genome), params_of(genome), 0.1},
                            .generation = static_cast<std::int32_t>(generation),
                            .failed = fails(genome)});
            entries.push_back(static_cast<std::int32_t>(log.index_of(genome).value()));
        }
        algorithm->tell(entries, log);
        const auto parents = Checkpoint(*algorithm).parents;
        for (std::size_t i = 0; i < 4; ++i) {
            const bool measured = !log[static_cast<std::size_t>(parents[i])].failed;
            if (was_measured[i]) CHECK(measured);
            if (!log[static_cast<std::size_t>(entries[i])].failed) CHECK(measured);
            was_measured[i] = measured;
        }
    }
    CHECK(log.failures() > 0);
}

TEST_CASE("ncs comes nearer to known optima than random search does with as many evaluations") {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        CAPTURE(seed);
        const AlgorithmParameters parameters{.population = 10, .seed = seed};
        const auto both = [&](const Function& function, std::int64_t generations) {
            return std::pair(Search(function, 10, parameters, generations).run(),
                             random_best(function, 10, seed, generations));
        };
        // 1,010 evaluations.
        const auto [near, random_near] = both(sphere, 100);
        CHECK(near < 1.05);
        CHECK(random_near > 1.1);
        const auto [half_deceived, random_half] = both(deceptive, 100);
        CHECK(half_deceived < random_half - 0.25);
        // 10,010 evaluations.
        const auto [there, random_there] = both(sphere, 1000);
        CHECK(there < 1 + 1e-6);
        CHECK(random_there > 1.05);
        const auto [lower, random_lower] = both(rastrigin, 1000);
        CHECK(lower < random_lower - 5);
        // 2 is where all coordinates are deceived.
        const auto [undeceived, random_deceived] = both(deceptive, 1000);
        CHECK(undeceived < 1);
        CHECK(random_deceived > 2);
    }
}
