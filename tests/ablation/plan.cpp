#include "hdap/ablation/plan.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <fstream>

#include "support/temporary_folder.hpp"

using namespace hdap;
using Catch::Contains;

namespace {

/// A folder with a base configuration and a plan.
class PlanFolder {
  public:
    explicit PlanFolder(const std::string& axes) {
        std::ofstream(folder_ / "base.toml")
            << "[data]\nfile = \"images.h5\"\n[network]\nweights = \"weights.h5\"\n";
        std::ofstream(folder_ / "plan.toml")
            << "[ablation]\nname = \"p\"\nbase = \"base.toml\"\naxes = " << axes << "\n";
    }
    [[nodiscard]] ablation::Plan read() const { return ablation::read_plan(folder_ / "plan.toml"); }

  private:
    test::TemporaryFolder folder_;
};

} // namespace

TEST_CASE("a plan that is not there, or names no base, is a ConfigError") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_AS(ablation::read_plan(folder / "none.toml"), core::ConfigError);
    std::ofstream(folder / "plan.toml") << "[ablation]\naxes = [\"a = 1\"]\n";
    CHECK_THROWS_WITH(ablation::read_plan(folder / "plan.toml"), Contains("ablation.base"));
}

TEST_CASE("axes that cannot be read, are out of range or span too much are refused") {
    CHECK_THROWS_WITH(PlanFolder("[\"study.seed\"]").read(), Contains("has no '='"));
    CHECK_THROWS_WITH(PlanFolder("[\"study.seed = 1 | \"]").read(), Contains("empty part"));
    CHECK_THROWS_WITH(PlanFolder("[\"search.population = 1\"]").read(), Contains("out of range"));
    CHECK_THROWS_WITH(PlanFolder("[\"search.populaton = 8\"]").read(), Contains("did you mean"));
    CHECK_THROWS_WITH(PlanFolder("[\"study.seed = 1 | 1\"]").read(), Contains("equal settings"));
    std::string many = "\"study.seed = 1";
    for (int i = 2; i <= 400; ++i)
        many += " | " + std::to_string(i);
    CHECK_THROWS_WITH(PlanFolder("[" + many + "\", " + many + "\"]").read(),
                      Contains("more than 100000 cells"));
}

TEST_CASE("a plan spans the grid of its axes, the last one fastest") {
    const PlanFolder folder("[\"search.population = 16 | 32\", \"study.seed = 1 | 2 | 3\"]");
    const auto plan = folder.read();
    REQUIRE(plan.cells.size() == 6);
    CHECK(plan.cells[0].overrides ==
          std::vector<std::string>{"search.population=16", "study.seed=1"});
    CHECK(plan.cells[5].overrides ==
          std::vector<std::string>{"search.population=32", "study.seed=3"});
    const auto settings = ablation::cell_settings(plan, plan.cells[4]);
    CHECK(settings.search.nsga2.population == 32);
    CHECK(settings.search.nsga2.seed == 2);
    CHECK_THAT(ablation::manifest_csv(plan), Contains("id,search.population,study.seed\n") &&
                                                 Contains(plan.cells[5].id + ",32,3\n"));
}

TEST_CASE("the manifest quotes values with commas") {
    const PlanFolder folder("['search.objectives = [\"latency.mean\", \"flops\"]']");
    const auto plan = folder.read();
    CHECK(ablation::manifest_csv(plan) == "id,search.objectives\n" + plan.cells[0].id +
                                              ",\"[\"\"latency.mean\"\", \"\"flops\"\"]\"\n");
}

TEST_CASE("a cell keeps its id when axes grow") {
    const PlanFolder small("[\"study.seed = 1 | 2\"]");
    const PlanFolder large("[\"study.seed = 3 | 2 | 1\"]");
    // Paths are settings too, so compare within equal folders only by what the seed changes.
    const auto first = small.read();
    const auto again = small.read();
    CHECK(first.cells[0].id == again.cells[0].id);
    CHECK(first.cells[0].id != first.cells[1].id);
    CHECK(large.read().cells.size() == 3);
}
