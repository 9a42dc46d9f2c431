#include "hdap/ablation/collection.hpp"

#include "ablation/synthetic_cells.hpp"
#include "hdap/core/version.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>

using namespace hdap;
using namespace hdap::ablation;
using Catch::Contains;

namespace {

study::Results results_of(double value) {
    return {.final_metrics = {{"hypervolume", "1", value}, {"latency_mean", "ms", 10.0 * value}},
            .costs = {{"wall", "s", 100.0}},
            .history = {{"evaluations", "1", {8.0, 16.0}}, {"seconds", "s", {1.0, value}}}};
}

/// A plan of four cells, none of them complete yet.
struct FourCells {
    test::TemporaryFolder temporary;
    Folder folder{temporary.path()};
    Plan plan = test::grid_plan({"method", "seed"}, {{"a", "b"}, {"1", "2"}});

    void complete(std::size_t cell, const study::Results& results) const {
        test::write_cell(folder, plan.cells[cell], results);
    }
    [[nodiscard]] std::filesystem::path results_file(std::size_t cell) const {
        return folder.run_directory(plan.cells[cell]) / "results.h5";
    }
};

} // namespace

TEST_CASE("without a folder all cells are missing") {
    const FourCells ablation;
    const Collection collection = collect(ablation.plan, {ablation.temporary / "none"});
    CHECK(collection.cells.empty());
    CHECK(collection.missing.size() == 4);
    CHECK(collection.damaged.empty());
    CHECK(collection.final_metrics.empty());
}

TEST_CASE("cells that name the same inputs but were made from other content are told") {
    FourCells ablation;
    ablation.plan.cells[3].overrides = {"network.weights=\"other.h5\""};
    const std::vector<std::string> contents{"old", "old", "new", "other"};
    for (std::size_t i = 0; i < 4; ++i)
        test::write_cell(ablation.folder, ablation.plan.cells[i], results_of(1.0),
                         study::results_schema, contents[i]);
    const Collection collection = collect(ablation.plan, ablation.folder);
    CHECK(collection.cells.size() == 4);
    REQUIRE(collection.mixed.size() == 1);
    CHECK(collection.mixed[0].id == ablation.plan.cells[2].id);
    CHECK(collection.mixed[0].other_id == ablation.plan.cells[0].id);
}

TEST_CASE("one complete cell is collected with its history and its provenance") {
    const FourCells ablation;
    ablation.complete(2, results_of(0.5));
    const Collection collection = collect(ablation.plan, ablation.folder);
    CHECK(collection.cells == std::vector<std::size_t>{2});
    CHECK(collection.missing == std::vector<std::string>{ablation.plan.cells[0].id,
                                                         ablation.plan.cells[1].id,
                                                         ablation.plan.cells[3].id});
    REQUIRE(collection.final_metrics.size() == 2);
    CHECK(collection.final_metrics[1] ==
          study::ResultSeries{.name = "latency_mean", .unit = "ms", .values = {5.0}});
    REQUIRE(collection.costs.size() == 1);
    CHECK(collection.costs[0].values == std::vector<double>{100.0});
    CHECK(collection.history_cell == std::vector<std::int64_t>{0, 0});
    CHECK(collection.history_generation == std::vector<std::int64_t>{0, 1});
    REQUIRE(collection.history.size() == 2);
    CHECK(collection.history[1].values == std::vector<double>{1.0, 0.5});
    CHECK(collection.provenance[0].software_version == std::string(core::version));
    CHECK_FALSE(collection.provenance[0].host.empty());
    CHECK_FALSE(collection.provenance[0].created.empty());
}

TEST_CASE("metrics and series that a cell lacks are NaN there") {
    const FourCells ablation;
    ablation.complete(0, results_of(0.25));
    ablation.complete(1, {.final_metrics = {{"hypervolume", "1", 0.75}, {"new", "1", 3.0}},
                          .costs = {},
                          .history = {{"evaluations", "1", {9.0}}}});
    ablation.complete(3, {.final_metrics = {}, .costs = {}, .history = {}});
    const Collection collection = collect(ablation.plan, ablation.folder);
    CHECK(collection.cells == std::vector<std::size_t>{0, 1, 3});
    REQUIRE(collection.final_metrics.size() == 3);
    CHECK(collection.final_metrics[0].values[1] == 0.75);
    CHECK(std::isnan(collection.final_metrics[0].values[2]));
    CHECK(std::isnan(collection.final_metrics[1].values[1]));
    CHECK(std::isnan(collection.final_metrics[2].values[0]));
    CHECK(collection.final_metrics[2].values[1] == 3.0);
    CHECK(std::isnan(collection.costs[0].values[1]));
    CHECK(collection.history_cell == std::vector<std::int64_t>{0, 0, 1});
    CHECK(collection.history[0].values == std::vector<double>{8.0, 16.0, 9.0});
    CHECK(std::isnan(collection.history[1].values[2]));
}

TEST_CASE("damaged cells are named with the reason, and the others are collected") {
    const FourCells ablation;
    for (std::size_t i = 0; i < 4; ++i)
        ablation.complete(i, results_of(1.0));
    std::filesystem::resize_file(ablation.results_file(0), 700);
    std::fstream file(ablation.results_file(1), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(900).put('X');
    file.close();
    test::write_cell(ablation.folder, ablation.plan.cells[2], results_of(1.0), "hdap-search/1");
    const Collection collection = collect(ablation.plan, ablation.folder);
    CHECK(collection.cells == std::vector<std::size_t>{3});
    REQUIRE(collection.damaged.size() == 3);
    CHECK(collection.damaged[0].id == ablation.plan.cells[0].id);
    CHECK_THAT(collection.damaged[0].reason, Contains("truncated"));
    CHECK_THAT(collection.damaged[1].reason, Contains("SHA-256"));
    CHECK_THAT(collection.damaged[2].reason, Contains("expected 'hdap-results/1'"));
    CHECK(collection.final_metrics[0].values.size() == 1);
}

TEST_CASE("results that do not fit the other cells' are damaged and leave no trace") {
    const FourCells ablation;
    ablation.complete(0, results_of(1.0));
    ablation.complete(1, {.final_metrics = {{"extra", "1", 1.0}, {"latency_mean", "s", 1.0}},
                          .costs = {},
                          .history = {}});
    ablation.complete(2, {.final_metrics = {{"a/b", "1", 1.0}}, .costs = {}, .history = {}});
    ablation.complete(
        3, {.final_metrics = {{"x", "1", 1.0}, {"x", "1", 2.0}}, .costs = {}, .history = {}});
    const Collection collection = collect(ablation.plan, ablation.folder);
    CHECK(collection.cells == std::vector<std::size_t>{0});
    CHECK(collection.final_metrics.size() == 2);
    REQUIRE(collection.damaged.size() == 3);
    CHECK_THAT(collection.damaged[0].reason, Contains("latency_mean is in 's'"));
    CHECK_THAT(collection.damaged[1].reason, Contains("'a/b' is no name of a metric"));
    CHECK_THAT(collection.damaged[2].reason, Contains("two metrics of the name 'x'"));
}

TEST_CASE("the generations that are counted here replace a series of that name") {
    const FourCells ablation;
    ablation.complete(
        0, {.final_metrics = {}, .costs = {}, .history = {{"generation", "1", {0.0, 1.0, 2.0}}}});
    const Collection collection = collect(ablation.plan, ablation.folder);
    CHECK(collection.history.empty());
    CHECK(collection.history_generation == std::vector<std::int64_t>{0, 1, 2});
}

TEST_CASE("the collection's hash tells whether a result has changed") {
    const FourCells ablation;
    ablation.complete(0, results_of(1.0));
    const std::string before = collect(ablation.plan, ablation.folder).sha256;
    CHECK(collect(ablation.plan, ablation.folder).sha256 == before);
    ablation.complete(1, results_of(1.0));
    const std::string two = collect(ablation.plan, ablation.folder).sha256;
    CHECK(two != before);
    std::filesystem::resize_file(ablation.results_file(1), 700);
    CHECK(collect(ablation.plan, ablation.folder).sha256 != two);
}
