#include "hdap/ablation/execution.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using core::ExitCode;
using Indices = std::vector<std::size_t>;

namespace {

ablation::Plan five_cells() {
    ablation::Plan plan;
    plan.name = "five";
    for (const char* id :
         {"00000000000a", "00000000000b", "00000000000c", "000000000003", "123456789012"})
        plan.cells.push_back({.id = id, .labels = {}, .overrides = {}});
    return plan;
}

} // namespace

TEST_CASE("a choice that names no cell is a UsageError that says what to give") {
    const auto plan = five_cells();
    for (const char* text : {"0", "6", "2-6", "3-2", "a", "00000000000d", "1,,2", "-1", "1-",
                             "99999999999999999999999"})
        CHECK_THROWS_WITH(ablation::choose_cells(plan, text),
                          Catch::Contains("numbers from 1 to 5"));
}

TEST_CASE("cells are chosen by number, range and id, in the order of the plan") {
    const auto plan = five_cells();
    CHECK(ablation::choose_cells(plan, "") == Indices{0, 1, 2, 3, 4});
    CHECK(ablation::choose_cells(plan, "4,1-2") == Indices{0, 1, 3});
    CHECK(ablation::choose_cells(plan, "00000000000c,1,00000000000a") == Indices{0, 2});
    CHECK(ablation::choose_cells(plan, "123456789012") == Indices{4}); // an id of digits alone
}

TEST_CASE("an execution's exit code is that of its first failure, unless it was stopped") {
    ablation::ExecutionResult result;
    CHECK(result.exit_code() == ExitCode::complete);
    result.failed = {{.cell = 1, .exit_code = 4, .reason = ""},
                     {.cell = 2, .exit_code = 2, .reason = ""}};
    CHECK(result.exit_code() == ExitCode::infeasible);
    result.failed.front().exit_code = 137;
    CHECK(result.exit_code() == ExitCode::internal_error);
    result.waiting = {{.cell = 0, .reason = ""}};
    CHECK(result.exit_code() == ExitCode::internal_error);
    result.stopped = true;
    CHECK(result.exit_code() == ExitCode::stopped);
}

TEST_CASE("an execution whose cells are complete or wait for measurements waits") {
    const ablation::ExecutionResult result{
        .complete = 3, .stopped = false, .waiting = {{.cell = 4, .reason = "waiting"}}};
    CHECK(result.exit_code() == ExitCode::waiting);
}
