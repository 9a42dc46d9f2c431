#include "hdap/ablation/plan.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <set>

using namespace hdap;
using Catch::Contains;
using Texts = std::vector<std::string>;

namespace {

/// A folder with a base configuration and a plan.
class PlanFolder {
  public:
    /// `body` is what follows the table [ablation] with its base; `head` is added to that.
    explicit PlanFolder(const std::string& body, const std::string& head = "") {
        std::ofstream(folder_ / "base.toml")
            << "[data]\nfile = \"images.h5\"\n[network]\nweights = \"weights.h5\"\n";
        std::ofstream(folder_ / "plan.toml")
            << "[ablation]\nbase = \"base.toml\"\n" + head + "\n" + body + "\n";
    }
    [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
        return folder_ / name;
    }
    [[nodiscard]] ablation::Plan read() const { return ablation::read_plan(folder_ / "plan.toml"); }

    /// The message of the ConfigError that reading must throw.
    [[nodiscard]] std::string error() const {
        try {
            (void)read();
        } catch (const core::ConfigError& error) {
            return error.what();
        }
        return "no error";
    }

  private:
    test::TemporaryFolder folder_;
};

std::string axis(const std::string& body) {
    return "[[axis]]\n" + body + "\n";
}

/// The TOML files of a folder of the repository.
std::vector<std::filesystem::path> files_of(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(HDAP_SOURCE_DIR) / folder))
        if (entry.path().extension() == ".toml") files.push_back(entry.path());
    return files;
}

const std::string two_seeds = axis("key = \"study.seed\"\nvalues = [1, 2]");
const std::string two_populations = axis("key = \"search.population\"\nvalues = [16, 32]");

} // namespace

TEST_CASE("a plan that is not there, is a folder, or is no TOML is a ConfigError") {
    const test::TemporaryFolder folder;
    CHECK_THROWS_AS(ablation::read_plan(folder / "none.toml"), core::ConfigError);
    CHECK_THROWS_AS(ablation::read_plan(folder.path()), core::ConfigError);
    CHECK_THAT(PlanFolder("[[axis").error(), Contains("plan.toml:4: not valid TOML"));
}

TEST_CASE("a plan needs a table ablation with a base that can be read, and at least one cell") {
    const auto error_of = [](const std::string& text) {
        try {
            (void)ablation::parse_plan(text, "/nowhere/plan.toml");
        } catch (const core::ConfigError& error) {
            return std::string(error.what());
        }
        return std::string("no error");
    };
    CHECK_THAT(error_of(""), Contains("ablation is missing"));
    CHECK_THAT(error_of("ablation = 1"), Contains("ablation is not a table"));
    CHECK_THAT(error_of("[ablation]\nname = \"a\""), Contains("base is missing"));
    CHECK_THAT(error_of("[ablation]\nbase = 3"), Contains("plan.toml:2: ablation: base is not"));
    CHECK_THAT(error_of("[ablation]\nbase = \"b.toml\""), Contains("has no cells"));
    CHECK_THAT(error_of("[ablation]\nbase = \"b.toml\"\n" + two_seeds),
               Contains("cannot read the configuration /nowhere/b.toml"));
    CHECK_THAT(error_of("[ablation]\nbase = \"b.toml\"\nname = \"../up\"\n" + two_seeds),
               Contains("must be a file name"));
}

TEST_CASE("a misspelt key of a plan is named with its line and the nearest key") {
    CHECK_THAT(PlanFolder("", "bas = 1").error(),
               Contains("plan.toml:3: ablation: unknown key 'bas' (did you mean 'base'?)"));
    CHECK_THAT(PlanFolder("[setting]").error(), Contains("did you mean 'settings'?"));
    CHECK_THAT(PlanFolder(axis("key = \"study.seed\"\nvalue = [1]")).error(),
               Contains("axis 1: unknown key 'value' (did you mean 'values'?)"));
    CHECK_THAT(PlanFolder("[[cell]]\nlabel = {}").error(), Contains("did you mean 'labels'?"));
    CHECK_THAT(PlanFolder(axis("key = \"study.seed\"\nseeds = { cuont = 2 }")).error(),
               Contains("did you mean 'count'?"));
}

TEST_CASE("a setting that does not exist or is out of range is named with line and cell") {
    CHECK_THAT(PlanFolder(axis("key = \"search.populaton\"\nvalues = [8]")).error(),
               Contains("plan.toml:6: cell (populaton=8)") &&
                   Contains("did you mean 'search.population'?"));
    CHECK_THAT(PlanFolder(axis("key = \"search.population\"\nvalues = [8,\n 1]")).error(),
               Contains("plan.toml:7: cell (population=1)") && Contains("out of range"));
    CHECK_THAT(PlanFolder("[settings]\n\"search.population\" = \"x\"\n" + two_seeds).error(),
               Contains("plan.toml:5: cell (seed=1)") && Contains("not an integer"));
    CHECK_THAT(PlanFolder(axis("key = \"a b = 1\"\nvalues = [8]")).error(),
               Contains("no setting's key"));
    CHECK_THAT(PlanFolder(axis("key = \"study.seed\"\nvalues = [1979-05-27]")).error(),
               Contains("neither a number, a text"));
    CHECK_THAT(PlanFolder(axis("key = \"data.held_out\"\nvalues = [10]")).error(),
               Contains("cell (held_out=10)") && Contains("data.evaluation_images"));
}

TEST_CASE("a preset is a setting like any other: of all cells, or the values of an axis") {
    const auto population = [](const ablation::Plan& plan, std::size_t cell) {
        return ablation::cell_settings(plan, plan.cells[cell]).search.parameters.population;
    };
    const PlanFolder settings("[settings]\npreset = \"paper\"\n" + two_seeds);
    CHECK(population(settings.read(), 0) == 10);
    CHECK(population(settings.read(), 1) == 10);
    const PlanFolder values(axis("key = \"preset\"\nvalues = [\"\", \"paper\"]\n"
                                 "labels = [\"ours\", \"theirs\"]"));
    CHECK(values.read().axis_names == Texts{"preset"});
    CHECK(population(values.read(), 0) == 32);
    CHECK(population(values.read(), 1) == 10);
    CHECK_THAT(PlanFolder(axis("key = \"preset\"\nvalues = [\"papper\"]")).error(),
               Contains("plan.toml:6: cell (preset=papper)") && Contains("did you mean 'paper'?"));
}

TEST_CASE("an axis is of exactly one kind") {
    const auto error_of = [](const std::string& body) { return PlanFolder(axis(body)).error(); };
    CHECK_THAT(error_of("key = \"study.seed\""), Contains("exactly one of") && Contains("none"));
    CHECK_THAT(error_of("key = \"study.seed\"\nvalues = [1]\nseeds = 2"),
               Contains("has values and seeds"));
    CHECK_THAT(error_of("values = [1]"), Contains("needs either key or keys"));
    CHECK_THAT(error_of("key = \"study.seed\"\nkeys = [\"study.seed\"]\nvalues = [1]"),
               Contains("needs either key or keys"));
    CHECK_THAT(error_of("name = \"n\"\nkeys = [\"study.seed\"]\nseeds = 3"),
               Contains("keys go with values"));
    CHECK_THAT(error_of("key = \"study.seed\"\n[axis.points.a]"), Contains("name their own keys"));
    CHECK_THAT(error_of("[axis.points.a]\n\"study.seed\" = 1"), Contains("name is missing"));
    CHECK_THAT(error_of("key = \"study.seed\"\nvalues = []"), Contains("has no points"));
    CHECK_THAT(error_of("name = \"n\"\nkeys = [\"a\", \"b\"]\nvalues = [[1]]"),
               Contains("lists of 2 values"));
    CHECK_THAT(error_of("key = \"study.seed\"\nseeds = 0"), Contains("integer in [1, 100000]"));
    CHECK_THAT(error_of("key = \"study.seed\"\nseeds = { first = -1, count = 2 }"),
               Contains("first must be an integer in [0"));
    CHECK_THAT(error_of("key = \"fleet.file\"\nfiles = \"fleets/*.h5\""),
               Contains("no file matches") && Contains("fleets/*.h5"));
    CHECK_THAT(error_of("key = \"study.seed\"\nvalues = [1, 2]\nlabels = [\"a\"]"),
               Contains("one for each of the 2 values"));
    CHECK_THAT(error_of("key = \"study.seed\"\nvalues = [1, 2]\nlabels = [\"a\", \"a\"]"),
               Contains("label 'a' is empty or occurs twice"));
    CHECK_THAT(PlanFolder(two_seeds + two_seeds).error(), Contains("two axes are named 'seed'"));
}

TEST_CASE("two cells of equal settings are refused by both their names") {
    CHECK_THAT(
        PlanFolder(axis("key = \"study.seed\"\nvalues = [3, 3]\nlabels = [\"a\", \"b\"]")).error(),
        Contains("cell (seed=b) has the same settings as cell (seed=a)"));
    CHECK_THAT(PlanFolder(two_seeds + "[[cell]]\nlabels = { seed = \"two\" }\n"
                                      "settings = { \"study.seed\" = 2 }")
                   .error(),
               Contains("cell (seed=two) has the same settings as cell (seed=2)"));
}

TEST_CASE("axes that span too many cells are refused before any cell is made") {
    const std::string seeds = "\nseeds = 400";
    CHECK_THAT(PlanFolder(axis("key = \"study.seed\"" + seeds) +
                          axis("key = \"profile.candidates\"" + seeds))
                   .error(),
               Contains("more than 100000 cells"));
}

TEST_CASE("a plan spans the grid of its axes, the last one fastest") {
    const PlanFolder folder(two_populations + axis("key = \"study.seed\"\nseeds = 3"));
    const auto plan = folder.read();
    CHECK(plan.name == "plan");
    CHECK(plan.axis_names == Texts{"population", "seed"});
    REQUIRE(plan.cells.size() == 6);
    CHECK(plan.cells[0].overrides == Texts{"search.population=16", "study.seed=1"});
    CHECK(plan.cells[5].overrides == Texts{"search.population=32", "study.seed=3"});
    CHECK(plan.cells[5].labels == Texts{"32", "3"});
    CHECK(ablation::labels_of(plan, 0) == Texts{"16", "32"});
    CHECK(ablation::labels_of(plan, 1) == Texts{"1", "2", "3"});
    const auto settings = ablation::cell_settings(plan, plan.cells[4]);
    CHECK(settings.search.parameters.population == 32);
    CHECK(settings.search.parameters.seed == 2);
}

TEST_CASE("settings of all cells give way to those of axes, and those to those of later axes") {
    const PlanFolder folder("[settings]\n\"search.population\" = 64\nsearch.generations = 5\n" +
                            axis("key = \"search.population\"\nvalues = [16]") +
                            axis(R"(name = "more"
[axis.points.zulu]
[axis.points.alpha]
"search.population" = 8)"));
    const auto plan = folder.read();
    REQUIRE(plan.cells.size() == 2);
    CHECK(plan.cells[0].labels == Texts{"16", "zulu"}); // points keep the order of the file
    CHECK(plan.cells[0].overrides == Texts{"search.generations=5", "search.population=16"});
    CHECK(plan.cells[1].overrides == Texts{"search.generations=5", "search.population=8"});
}

TEST_CASE("values of every type become what --set takes") {
    const PlanFolder folder(
        "[settings]\n\"surrogate.l2\" = 2.0\n\"finetune.augment\" = false\n"
        "\"study.name\" = \"a \\\"b\\\"\"\n" +
        axis("key = \"search.objectives\"\nvalues = [[\"latency.mean\", \"flops\"]]") +
        axis("name = \"effort\"\nkeys = [\"search.population\", \"surrogate.learning_rate\"]\n"
             "values = [[16, 0.1], [32, 1e-3]]"));
    const auto plan = folder.read();
    REQUIRE(plan.cells.size() == 2);
    CHECK(plan.cells[1].labels == Texts{"latency.mean, flops", "32 / 0.001"});
    const auto settings = ablation::cell_settings(plan, plan.cells[1]);
    CHECK(settings.surrogate.gbrt.l2 == 2.0);
    CHECK(settings.surrogate.gbrt.learning_rate == 0.001);
    CHECK_FALSE(settings.finetune.training.augment);
    CHECK(settings.name == "a \"b\"");
    CHECK(settings.search.objectives == Texts{"latency.mean", "flops"});
}

TEST_CASE("seeds count from one, or from where the plan says") {
    CHECK(PlanFolder(axis("key = \"study.seed\"\nseeds = { first = 10, count = 2 }"))
              .read()
              .cells[1]
              .overrides == Texts{"study.seed=11"});
    const auto plan = PlanFolder(axis("key = \"study.seed\"\nseeds = 1")).read();
    CHECK(plan.cells.front().labels == Texts{"1"});
}

TEST_CASE("paths of a plan are relative to its folder, and files of a pattern are sorted") {
    const PlanFolder folder("[settings]\n\"network.weights\" = \"other.h5\"\n" +
                            axis("key = \"data.file\"\nfiles = \"sets/*.h5\""));
    std::filesystem::create_directory(folder / "sets");
    for (const char* name : {"sets/b.h5", "sets/a.h5", "sets/c.txt"})
        std::ofstream(folder / name) << "x";
    const auto plan = folder.read();
    REQUIRE(plan.cells.size() == 2);
    CHECK(plan.cells[0].labels == Texts{"a"});
    const auto settings = ablation::cell_settings(plan, plan.cells[0]);
    CHECK(settings.data.file == (folder / "sets/a.h5").string());
    CHECK(settings.network.weights == (folder / "other.h5").string());
}

/// A plan over fleets, with what its [ablation] says beside.
struct FleetPlan : PlanFolder {
    explicit FleetPlan(const std::string& head, const std::string& more_axes = two_seeds)
        : PlanFolder("[settings]\n\"fleet.source\" = \"command\"\n"
                     "\"latency.command\" = \"measure {device} {network}\"\n" +
                         axis("name = \"fleet\"\nkey = \"fleet.file\"\n"
                              "files = \"*.fleet\"") +
                         more_axes,
                     head) {
        for (const char* name : {"north.fleet", "south.fleet"})
            std::ofstream(*this / name) << "read by the studies, not by the plan\n";
    }
};

TEST_CASE("an axis over files of real devices runs with the source that all cells have") {
    CHECK_THAT(PlanFolder(axis("key = \"fleet.file\"\nfiles = \"*.fleet\"")).error(),
               Contains("no file matches") && Contains("*.fleet"));
    const PlanFolder simulated(axis("key = \"fleet.file\"\nvalues = [\"a.h5\"]"));
    CHECK_THAT(simulated.error(), Contains("fleet.source = \"simulated\""));
    const FleetPlan folder("");
    const auto plan = folder.read();
    REQUIRE(plan.cells.size() == 4);
    CHECK(plan.cells[2].labels == Texts{"south", "1"});
    const auto settings = ablation::cell_settings(plan, plan.cells[2]);
    CHECK(settings.fleet.fleet_file == (folder / "south.fleet").string());
    CHECK(settings.fleet.source == "command");
}

TEST_CASE("an axis over tables of recorded latencies is over fleets, too") {
    const PlanFolder folder("[settings]\n\"fleet.source\" = \"recorded\"\n" +
                            axis("name = \"table\"\nkey = \"fleet.recorded.file\"\n"
                                 "files = \"tables/*.csv\""));
    CHECK_THAT(folder.error(), Contains("no file matches") && Contains("tables/*.csv"));
    std::filesystem::create_directory(folder / "tables");
    for (const char* name : {"tables/b.csv", "tables/a.csv"})
        std::ofstream(folder / name) << "device_id,latency_ms\n";
    const auto plan = folder.read();
    REQUIRE(plan.cells.size() == 2);
    CHECK(plan.comparison.fleets == "table");
    CHECK(ablation::cell_settings(plan, plan.cells[1]).fleet.file ==
          (folder / "tables/b.csv").string());
}

TEST_CASE("an axis over fleets counts fleets unless it is compared, kept apart, or not to") {
    CHECK(FleetPlan("").read().comparison.fleets == "fleet");
    CHECK(FleetPlan("fleets = \"none\"").read().comparison.fleets.empty());
    CHECK(FleetPlan("fleets = \"seed\"").read().comparison.fleets == "seed");
    CHECK(FleetPlan("within = [\"fleet\"]").read().comparison.fleets.empty());
    CHECK(FleetPlan("compare = \"fleet\"\nbaseline = \"north\"").read().comparison.fleets.empty());
    CHECK(PlanFolder(two_seeds).read().comparison.fleets.empty());
    CHECK_THAT(FleetPlan("fleets = \"sed\"").error(), Contains("did you mean 'seed'?"));
    CHECK_THAT(FleetPlan("fleets = \"seed\"\nwithin = [\"seed\"]").error(),
               Contains("ablation.fleets = 'seed'") && Contains("one of within"));
    const std::string tables = axis("name = \"table\"\nkey = \"fleet.recorded.file\"\n"
                                    "values = [\"a.csv\"]");
    CHECK_THAT(FleetPlan("", tables).error(),
               Contains("several axes are over fleets (fleet, table)"));
}

TEST_CASE("listed cells follow the grid, or make up the whole plan") {
    const PlanFolder mixed(two_seeds + R"([[cell]]
labels = { seed = "none" }
settings = { "search.population" = 8 })");
    const auto plan = mixed.read();
    REQUIRE(plan.cells.size() == 3);
    CHECK(plan.cells[2].labels == Texts{"none"});
    CHECK(plan.cells[2].overrides == Texts{"search.population=8"});

    const PlanFolder list(R"([[cell]]
labels = { size = "small", age = 3 }
settings = { "search.population" = 8 }
[[cell]]
labels = { age = 4, size = "large" })");
    CHECK(list.read().axis_names == Texts{"size", "age"});
    CHECK(list.read().cells[1].labels == Texts{"large", "4"});
    CHECK_THAT(PlanFolder(two_seeds + "[[cell]]\nlabels = { sed = \"1\" }").error(),
               Contains("unknown key 'sed' (did you mean 'seed'?)"));
    CHECK_THAT(PlanFolder(two_seeds + "[[cell]]\nlabels = {}").error(),
               Contains("seed is missing"));
}

TEST_CASE("a comparison names an axis, one of its labels, and other axes") {
    const std::string body = two_populations + two_seeds;
    const auto plan = PlanFolder(body, R"(compare = "population"
baseline = "16"
within = ["seed"])")
                          .read();
    CHECK(plan.comparison ==
          ablation::Comparison{.axis = "population", .baseline = "16", .within = {"seed"}});
    CHECK(PlanFolder(body).read().comparison == ablation::Comparison{});
    CHECK_THAT(PlanFolder(body, "compare = \"seed\"").error(), Contains("need each other"));
    CHECK_THAT(PlanFolder(body, "compare = \"sed\"\nbaseline = \"1\"").error(),
               Contains("no axis is named 'sed' (did you mean 'seed'?)"));
    CHECK_THAT(PlanFolder(body, "compare = \"seed\"\nbaseline = \"5\"").error(),
               Contains("'5' is no label of seed; its labels are 1, 2"));
    CHECK_THAT(
        PlanFolder(body, "compare = \"seed\"\nbaseline = \"1\"\nwithin = [\"seed\"]").error(),
        Contains("the axis that is compared"));
}

TEST_CASE("the manifest has index, id, labels and overrides, and quotes what has commas") {
    const PlanFolder folder(
        axis("key = \"search.objectives\"\nvalues = [[\"latency.mean\", \"flops\"]]"));
    const auto plan = folder.read();
    CHECK(ablation::manifest_csv(plan) ==
          "index,id,objectives,overrides\n1," + plan.cells[0].id +
              ",\"latency.mean, flops\",\"search.objectives=[\"\"latency.mean\"\", "
              "\"\"flops\"\"]\"\n");
}

TEST_CASE("a cell keeps its id when axes grow and when labels change") {
    const PlanFolder folder(two_seeds);
    const auto small = folder.read();
    const auto large = ablation::parse_plan("[ablation]\nbase = \"base.toml\"\n" +
                                                axis("key = \"study.seed\"\nvalues = [3, 2, 1]\n"
                                                     "labels = [\"c\", \"b\", \"a\"]"),
                                            folder / "plan.toml");
    REQUIRE(large.cells.size() == 3);
    CHECK(large.cells[2].id == small.cells[0].id);
    CHECK(large.cells[1].id == small.cells[1].id);
    CHECK(small.cells[0].id.size() == 12);
}

TEST_CASE("every cell of a large plan has an id of its own") {
    const PlanFolder folder(axis("key = \"study.seed\"\nseeds = 1000"));
    std::set<std::string> ids;
    for (const ablation::Cell& cell : folder.read().cells)
        ids.insert(cell.id);
    CHECK(ids.size() == 1000);
}

TEST_CASE("every plan in jobs/ can be carried out") {
    const std::vector<std::filesystem::path> plans = files_of("jobs");
    REQUIRE(plans.size() >= 8);
    for (const std::filesystem::path& file : plans) {
        INFO(file);
        const ablation::Plan plan = ablation::read_plan(file); // checks every cell's settings
        CHECK(plan.name == file.stem());
        CHECK(plan.cells.size() > 1);
    }
}

TEST_CASE("every configuration in configs/ can be run") {
    const std::vector<std::filesystem::path> configurations = files_of("configs");
    REQUIRE_FALSE(configurations.empty());
    for (const std::filesystem::path& file : configurations) {
        if (file.stem() == "local-conditions") continue; // of devices, no study's
        INFO(file);
        const std::string plan =
            "[ablation]\nbase = \"" + file.filename().string() + "\"\n" + two_seeds;
        CHECK(ablation::parse_plan(plan, file.parent_path() / "plan.toml").cells.size() == 2);
    }
}
