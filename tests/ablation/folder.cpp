#include "hdap/ablation/folder.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/run_lock.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace hdap;
using ablation::Cell;
using ablation::CellClaim;
using ablation::Folder;
using Texts = std::vector<std::string>;

namespace {

const Cell one{.id = "000000000001", .labels = {"1"}, .overrides = {"study.seed=1"}};
const Cell two{.id = "000000000002", .labels = {"2"}, .overrides = {"study.seed=2"}};

ablation::Plan plan_of(std::vector<Cell> cells) {
    return {.name = "p",
            .base = "base.toml",
            .axis_names = {"seed"},
            .cells = std::move(cells),
            .comparison = {}};
}

} // namespace

TEST_CASE("a folder that cannot be made is a DataError") {
    const test::TemporaryFolder temporary;
    std::ofstream(temporary / "file") << "x";
    const Folder folder{temporary / "file/ablation"};
    CHECK_THROWS_AS(ablation::write_plan(folder, plan_of({one}), temporary / "file"),
                    core::DataError);
}

TEST_CASE("an ablation lies below runs, or where it is told") {
    const auto plan = plan_of({one});
    CHECK(ablation::folder_of(plan).root == std::filesystem::current_path() / "runs/p");
    CHECK(ablation::folder_of(plan, "/a/../b").root == "/b");
}

TEST_CASE("planning again leaves cells alone that the plan has no more, and names them") {
    const test::TemporaryFolder temporary;
    const Folder folder{temporary / "p"};
    std::ofstream(temporary / "plan.toml") << "first";
    CHECK(ablation::write_plan(folder, plan_of({one, two}), temporary / "plan.toml").empty());
    std::filesystem::create_directory(folder.run_directory(one));
    std::filesystem::create_directory(folder.run_directory(two));
    std::ofstream(temporary / "plan.toml") << "second";
    CHECK(ablation::write_plan(folder, plan_of({two}), temporary / "plan.toml") == Texts{one.id});
    CHECK(std::filesystem::exists(folder.run_directory(one)));
    std::string text;
    std::ifstream(folder.root / "plan.toml") >> text;
    CHECK(text == "second");
    CHECK(std::filesystem::exists(folder.root / "manifest.csv"));
}

TEST_CASE("a cell has one claim at a time, which ends with its owner") {
    const test::TemporaryFolder temporary;
    const Folder folder{temporary.path()};
    CHECK_FALSE(CellClaim::is_taken(folder, one));
    {
        const auto claim = CellClaim::take(folder, one);
        REQUIRE(claim);
        CHECK(CellClaim::is_taken(folder, one));
        CHECK_FALSE(CellClaim::take(folder, one));
        CHECK(CellClaim::take(folder, two));
    }
    CHECK_FALSE(CellClaim::is_taken(folder, one));
    CHECK(CellClaim::take(folder, one));
}

TEST_CASE(
    "a cell whose run directory is in use cannot be claimed, and a stale lock file is no use") {
    const test::TemporaryFolder temporary;
    const Folder folder{temporary.path()};
    std::filesystem::create_directories(folder.run_directory(one));
    {
        const storage::RunLock lock(folder.run_directory(one));
        CHECK(CellClaim::is_taken(folder, one));
        CHECK_FALSE(CellClaim::take(folder, one));
    }
    std::ofstream(folder.run_directory(one) / "run.lock") << "host gone, process 1";
    CHECK_FALSE(CellClaim::is_taken(folder, one));
    CHECK(CellClaim::take(folder, one));
}
