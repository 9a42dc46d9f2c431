#include "hdap/fleet/measurement.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <utility>

using namespace hdap;

namespace {

/// Networks that take a known time on a simulated clock, times what `disturbance` says.
class SimulatedMachine {
  public:
    using Disturbance = std::function<double(std::size_t network, std::int64_t run)>;

    SimulatedMachine(std::vector<double> latency_ms, Disturbance disturbance)
        : latency_ms_(std::move(latency_ms)), disturbance_(std::move(disturbance)) {}

    fleet::Measurable measurable() {
        return {.networks = latency_ms_.size(),
                .run = [this](std::size_t i) { run(i); },
                .clock = [this] { return now_ms_; }};
    }

    [[nodiscard]] const std::vector<std::size_t>& visited() const { return visited_; }

  private:
    void run(std::size_t i) {
        now_ms_ += latency_ms_[i] * disturbance_(i, static_cast<std::int64_t>(visited_.size()));
        visited_.push_back(i);
    }

    std::vector<double> latency_ms_;
    Disturbance disturbance_;
    std::vector<std::size_t> visited_;
    double now_ms_ = 12'345.0;
};

constexpr double none(std::size_t, std::int64_t) {
    return 1.0;
}

std::vector<double> measured(SimulatedMachine machine,
                             const fleet::MeasurementParameters& parameters) {
    const fleet::Measurable measurable = machine.measurable();
    const auto rounds = fleet::measure_rounds(measurable, parameters);
    return fleet::latency_estimates(*rounds, measurable.networks, parameters.quantile);
}

/// The largest relative error of `estimates`.
double largest_error(const std::vector<double>& estimates, const std::vector<double>& truth) {
    double largest = 0.0;
    for (std::size_t i = 0; i < truth.size(); ++i)
        largest = std::max(largest, std::abs(estimates[i] / truth[i] - 1.0));
    return largest;
}

const std::vector<double> truth{1.0, 1.1, 2.0, 5.0, 0.3, 1.05, 8.0, 3.0};

} // namespace

TEST_CASE("A measurement refuses parameters out of their ranges", "[measurement]") {
    using Catch::Matchers::Contains;
    const auto refusal = [](fleet::MeasurementParameters parameters) {
        CHECK_THROWS_AS(fleet::check_measurement(parameters), core::ConfigError);
        SimulatedMachine machine({1.0}, none);
        CHECK_THROWS_AS(fleet::measure_rounds(machine.measurable(), parameters), core::ConfigError);
    };
    refusal({.rounds = 1});
    refusal({.rounds = 10'001});
    refusal({.runs = 0});
    refusal({.warmup = -1});
    refusal({.quantile = 1.5});
    refusal({.quantile = std::numeric_limits<double>::quiet_NaN()});
    CHECK_THROWS_WITH(fleet::check_measurement({.rounds = 1}),
                      "rounds is 1, must be in [2, 10000]");
    SimulatedMachine nothing({}, none);
    CHECK_THROWS_AS(fleet::measure_rounds(nothing.measurable(), {}), core::InternalError);
}

TEST_CASE("A clock that goes backwards is noticed", "[measurement]") {
    double now = 0.0;
    const fleet::Measurable broken{
        .networks = 1, .run = [&](std::size_t) { now -= 1.0; }, .clock = [&] { return now; }};
    CHECK_THROWS_AS(fleet::measure_rounds(broken, {}), core::InternalError);
}

TEST_CASE("On a quiet machine the estimates are the truth", "[measurement]") {
    CHECK(largest_error(measured({truth, none}, {}), truth) < 1e-9);
}

TEST_CASE("Noise that only slows is filtered out of the estimates", "[measurement]") {
    core::RandomStream random(5, core::StreamId::testing);
    // Half-normal noise of 5 %, and one run in five takes up to ten times as long.
    const auto noise = [&](std::size_t, std::int64_t) {
        const double outlier = random.uniform() < 0.2 ? 1.0 + 9.0 * random.uniform() : 1.0;
        return (1.0 + 0.05 * std::abs(random.normal())) * outlier;
    };
    CHECK(largest_error(measured({truth, noise}, {.rounds = 16}), truth) < 0.02);
}

TEST_CASE("Slow rounds do not move the estimates", "[measurement]") {
    const std::int64_t runs_a_round = static_cast<std::int64_t>(truth.size()) * 5;
    const auto slow_rounds = [&](std::size_t, std::int64_t run) {
        const std::int64_t round = run / runs_a_round;
        return round == 2 || round == 5 ? 3.0 : 1.0;
    };
    CHECK(largest_error(measured({truth, slow_rounds}, {.warmup = 0}), truth) < 1e-9);
}

TEST_CASE("Drift that favours whoever is measured first cancels out", "[measurement]") {
    // The machine slows by a third over the eight rounds; equal networks must stay equal.
    const auto drift = [](std::size_t, std::int64_t run) { return 1.0 + 0.001 * double(run); };
    const std::vector<double> equal(8, 1.0);
    const auto estimates = measured({equal, drift}, {.warmup = 0, .quantile = 0.5});
    const auto [least, most] = std::minmax_element(estimates.begin(), estimates.end());
    CHECK(*most / *least < 1.03);
}

TEST_CASE("Every network runs as often as asked in every round", "[measurement]") {
    SimulatedMachine machine(truth, none);
    fleet::measure_rounds(machine.measurable(), {.rounds = 3, .runs = 4, .warmup = 0});
    const auto& visited = machine.visited();
    REQUIRE(visited.size() == 3 * 4 * truth.size());
    for (std::size_t visit = 0; visit < visited.size(); visit += 4)
        CHECK(std::count(visited.begin() + static_cast<std::ptrdiff_t>(visit),
                         visited.begin() + static_cast<std::ptrdiff_t>(visit + 4),
                         visited[visit]) == 4);
}

TEST_CASE("Warming up ends when the latency is stable, and at its bound", "[measurement]") {
    const auto runs_of = [](const SimulatedMachine::Disturbance& disturbance) {
        SimulatedMachine machine({1.0}, disturbance);
        fleet::measure_rounds(machine.measurable(), {.rounds = 2, .runs = 1, .warmup = 20});
        return machine.visited().size() - 2;
    };
    CHECK(runs_of(none) == 4);
    CHECK(runs_of([](std::size_t, std::int64_t run) {
              return run < 6 ? 9.0 - double(run) : 1.0;
          }) == 10);
    CHECK(runs_of([](std::size_t, std::int64_t run) { return std::pow(0.9, double(run)); }) == 20);
}

TEST_CASE("An observer sees every visit and can stop the measurement", "[measurement]") {
    SimulatedMachine machine(truth, none);
    std::vector<fleet::MeasurementProgress> seen;
    const auto until = [&](std::int64_t visits) {
        seen.clear();
        return fleet::measure_rounds(machine.measurable(), {.rounds = 3},
                                     [&](const fleet::MeasurementProgress& progress) {
                                         seen.push_back(progress);
                                         return progress.visits < visits;
                                     });
    };
    CHECK(until(1000));
    CHECK(seen.size() == 4 * truth.size()); // warming up, and three rounds
    CHECK(seen.front().round == 0);
    CHECK(seen.back().round == 3);
    CHECK(seen.back().visits + 1 == seen.back().total_visits);
    CHECK_FALSE(until(10));
    CHECK_FALSE(until(0));
}

TEST_CASE("The order in the rounds is a balanced design", "[measurement]") {
    for (const std::size_t networks : {1U, 2U, 3U, 7U, 8U}) {
        CAPTURE(networks);
        std::map<std::pair<std::size_t, std::size_t>, int> at_place;
        std::map<std::pair<std::size_t, std::size_t>, int> followed_by;
        const auto rounds = static_cast<std::int64_t>(2 * networks);
        for (std::int64_t round = 0; round < rounds; ++round) {
            const auto order = fleet::measurement_order(networks, round, 3);
            REQUIRE(std::set(order.begin(), order.end()).size() == networks);
            for (std::size_t place = 0; place < networks; ++place) {
                ++at_place[{order[place], place}];
                if (place > 0) ++followed_by[{order[place - 1], order[place]}];
            }
        }
        CHECK(at_place.size() == networks * networks);
        CHECK(followed_by.size() == networks * (networks - 1));
        for (const auto& [_, count] : at_place)
            CHECK(count == 2);
        for (const auto& [_, count] : followed_by)
            CHECK(count == 2);
    }
}

TEST_CASE("The order in the rounds depends on seed and round alone", "[measurement]") {
    CHECK(fleet::measurement_order(8, 4, 1) == fleet::measurement_order(8, 4, 1));
    CHECK(fleet::measurement_order(8, 4, 1) != fleet::measurement_order(8, 4, 2));
    CHECK(fleet::measurement_order(8, 4, 1) != fleet::measurement_order(8, 5, 1));
    CHECK(fleet::measurement_order(8, 0, 1) != fleet::measurement_order(8, 16, 1));
    CHECK_THROWS_AS(fleet::measurement_order(0, 0, 1), core::InternalError);
}

TEST_CASE("An estimate is the quantile of the rounds", "[measurement]") {
    const std::vector<double> rounds{5, 50, 1, 10, 3, 30, 2, 20, 4, 40}; // [5][2]
    CHECK(fleet::latency_estimates(rounds, 2, 0.0) == std::vector<double>{1, 10});
    CHECK(fleet::latency_estimates(rounds, 2, 0.25) == std::vector<double>{2, 20});
    CHECK(fleet::latency_estimates(rounds, 2, 0.375) == std::vector<double>{2.5, 25});
    CHECK(fleet::latency_estimates(rounds, 2, 1.0) == std::vector<double>{5, 50});
    CHECK_THROWS_AS(fleet::latency_estimates(rounds, 3, 0.5), core::InternalError);
    CHECK_THROWS_AS(fleet::latency_estimates({}, 2, 0.5), core::InternalError);
    CHECK_THROWS_AS(fleet::latency_estimates(rounds, 2, -0.1), core::InternalError);
}

TEST_CASE("Split-half reliability of a case worked out by hand", "[measurement]") {
    // Even rounds say 1, 10, 3; the odd round says 2, 10, 1.
    const std::vector<double> rounds{1, 10, 3, 2, 10, 1, 1, 10, 3}; // [3][3]
    const auto reliability = fleet::split_half_reliability(rounds, 3, 0.0);
    CHECK(reliability.kendall_tau == Approx(1.0 / 3.0));
    CHECK(reliability.median_difference == Approx(2.0 / 3.0));
    CHECK(reliability.resolution() == Approx(4.0 / 3.0));
    CHECK(std::isnan(fleet::split_half_reliability(rounds, 1, 0.0).kendall_tau));
    CHECK_THROWS_AS(fleet::split_half_reliability(rounds, 9, 0.0), core::InternalError);
}

TEST_CASE("Nineteen of twenty chance differences stay below the resolution", "[measurement]") {
    // Equal networks under normal noise; the median of the rounds as the estimate.
    constexpr std::size_t networks = 2000;
    core::RandomStream random(8, core::StreamId::testing);
    std::vector<double> rounds;
    for (std::size_t i = 0; i < 16 * networks; ++i)
        rounds.push_back(1.0 + 0.01 * random.normal());
    const auto estimates = fleet::latency_estimates(rounds, networks, 0.5);
    const double resolution = fleet::split_half_reliability(rounds, networks, 0.5).resolution();
    int beyond = 0;
    for (std::size_t i = 0; i + 1 < networks; i += 2)
        beyond += std::abs(estimates[i] - estimates[i + 1]) > resolution ? 1 : 0;
    const double share = beyond / (networks / 2.0);
    CHECK(share > 0.03);
    CHECK(share < 0.09);
}

TEST_CASE("The monotonic clock goes on", "[measurement]") {
    const double before = fleet::monotonic_ms();
    CHECK(fleet::monotonic_ms() >= before);
}

TEST_CASE("under load the latency is that of the last quarter, and every part has its own") {
    using namespace fleet;
    double now_ms = 0.0;
    // 10 ms a run at first; from the second half on the device throttles to 15 ms.
    const Measurable device{.networks = 1,
                            .run = [&](std::size_t) { now_ms += now_ms < 50'000.0 ? 10.0 : 15.0; },
                            .clock = [&] { return now_ms; }};
    for (const double duration_s : {0.0, -1.0, std::nan("")})
        CHECK_THROWS_AS(measure_sustained(device, duration_s, 10), core::ConfigError);
    CHECK_THROWS_AS(measure_sustained(device, 1.0, 0), core::ConfigError);
    now_ms = 0.0;
    const auto curve = measure_sustained(device, 100.0, 10);
    REQUIRE(curve);
    REQUIRE(curve->size() == 10);
    CHECK(curve->front().median_ms == Approx(10.0));
    CHECK(curve->front().runs == 1000);
    CHECK(curve->back().median_ms == Approx(15.0));
    CHECK(curve->back().end_s == Approx(100.0).margin(0.02));
    CHECK(sustained_latency_ms(*curve) == Approx(15.0));
    CHECK_FALSE(measure_sustained(device, 1.0, 10, [](const auto&) { return false; }));
    // A run that takes several parts leaves the others out.
    now_ms = 0.0;
    CHECK(measure_sustained(device, 0.02, 8)->size() == 2);
}
