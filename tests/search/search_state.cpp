#include "hdap/search/search_state.hpp"

#include "hdap/core/error.hpp"
#include "search/small_fleet.hpp"
#include "search/small_space.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace hdap::search;
using Catch::Matchers::Contains;
using hdap::core::DataError;
using hdap::core::InternalError;
using hdap::storage::Hdf5Reader;
using hdap::storage::Hdf5Writer;

namespace {

const std::vector<Metric> metrics{parse_metric("latency.mean"), parse_metric("accuracy_drop")};

/// After generation 0 with two candidates, and one accuracy of the next.
SearchState sample_state() {
    SearchState state(metrics);
    state.reference =
        CandidateFacts{.costs = {1000, 500, 64}, .cluster_latency_ms = {2, 4}, .accuracy = 0.9};
    state.log.set_reference({3, 0});
    state.log.append(
        {.genome = {64, 64}, .accuracy = 0.9, .cluster_latency_ms = {2, 4}, .values = {3, 0}});
    state.log.append(
        {.genome = {8, 16}, .accuracy = 0.7, .cluster_latency_ms = {1, 1}, .values = {1.5, 0.2}});
    state.history.push_back({0, 2, 2, 2, 0.375});
    state.pending.push_back({{8, 8}, {0.25, 50}});
    state.costs = {{1.5, 2.5, 2}, {0.5, 0.25, 1}};
    state.generations_done = 1;
    return state;
}

SearchProblem problem_of(const hdap::network::Prunable& network,
                         const std::vector<std::string>& constraints) {
    SearchProblem problem{.space = network.space,
                          .costs = network.costs,
                          .surrogate = nullptr,
                          .fleet = testing::small_fleet(),
                          .goal = {metrics, {}}};
    for (const std::string& text : constraints)
        problem.goal.constraints.push_back(parse_constraint(text));
    return problem;
}

hdap::network::Prunable prunable() {
    auto chain = testing::chain_network(2, 64);
    auto space = testing::small_space(2);
    hdap::network::CostModel costs(chain, space.structure());
    return {std::move(chain), std::move(space), std::move(costs), {}, {}, {}};
}

/// The file of a state, read again.
SearchState written_and_read(const SearchState& state) {
    const hdap::network::Prunable network = prunable();
    const auto algorithm =
        make_algorithm("random", {}, {network.network, network.space, {metrics, {}}, 0});
    Hdf5Writer file;
    write_search_state(file, state, 2, *algorithm);
    return read_search_state(Hdf5Reader::from_bytes(file.finish(), "search.h5"), metrics);
}

SearchState read_changed(const std::function<void(SearchState&)>& change) {
    SearchState state = sample_state();
    change(state);
    return written_and_read(state);
}

} // namespace

TEST_CASE("a state whose parts do not fit together is refused") {
    using S = SearchState;
    CHECK_NOTHROW(read_changed([](S&) {}));
    CHECK_THROWS_AS(read_changed([](S& s) { s.generations_done = -1; }), DataError);
    CHECK_THROWS_WITH(read_changed([](S& s) { s.generations_done = 2; }),
                      Contains("search.h5: generations_done = 2 does not fit"));
    CHECK_THROWS_AS(read_changed([](S& s) { s.history.clear(); }), DataError);
    CHECK_THROWS_AS(read_changed([](S& s) { s.reference.reset(); }), DataError);
    CHECK_THROWS_AS(read_changed([](S& s) { s.reference->cluster_latency_ms = {1}; }), DataError);
    CHECK_THROWS_AS(read_changed([](S& s) {
                        s.reference->cluster_others[hdap::fleet::Quantity::energy] = {1, 2};
                    }),
                    DataError);
    CHECK_THROWS_AS(read_changed([](S& s) { s.reference->accuracy = CandidateFacts{}.accuracy; }),
                    DataError);
    CHECK_THROWS_AS(read_changed([](S& s) { s.log = EvaluationLog(metrics); }), DataError);
    Hdf5Writer none;
    CHECK_THROWS_AS(read_search_state(Hdf5Reader::from_bytes(none.finish(), "search.h5"), metrics),
                    DataError);
}

TEST_CASE("a hypervolume needs the reference") {
    const auto network = prunable();
    CHECK_THROWS_AS(normalised_hypervolume(problem_of(network, {}), SearchState(metrics), {}),
                    InternalError);
}

TEST_CASE("a state is read back as it was written") {
    const SearchState state = sample_state();
    const SearchState read = written_and_read(state);
    CHECK(read.generations_done == 1);
    CHECK(read.reference == state.reference);
    REQUIRE(read.log.size() == 2);
    CHECK(read.log[1] == state.log[1]);
    CHECK(read.history == state.history);
    REQUIRE(read.pending.size() == 1);
    CHECK(read.pending[0].genome == state.pending[0].genome);
    CHECK(read.pending[0].accuracy.value == 0.25);
    CHECK(read.pending[0].accuracy.given_up_after == 50);
    REQUIRE(read.costs.size() == 2);
    CHECK(read.costs[1].accuracy_seconds == 0.25);
    CHECK(read.costs[1].accuracies_measured == 1);
    CHECK(written_and_read(SearchState(metrics)).log.empty());
}

TEST_CASE("the hypervolume is a share of the box up to the reference and to guessing") {
    const auto network = prunable();
    const SearchState state = sample_state();
    const SearchProblem problem = problem_of(network, {});
    const std::vector<std::size_t> front{1};
    const double latency = metrics[0].value(*state.reference, *state.reference, problem.fleet);
    CHECK(normalised_hypervolume(problem, state, front) ==
          Approx((1 - 1.5 / latency) * (1 - 0.2 / 0.9)));
}

TEST_CASE("what misses the constraints least is told with the constraints that it misses") {
    const auto network = prunable();
    const SearchState state = sample_state();
    const std::string report = infeasibility_report(
        problem_of(network, {"latency.mean <= 0.25x", "accuracy_drop <= 0.5"}), state);
    CHECK_THAT(report, Contains("none of 2 candidates") &&
                           Contains("'latency.mean <= 0.25x' by 100 % (it has 1.500)") &&
                           !Contains("accuracy_drop"));
}
