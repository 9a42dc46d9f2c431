// Ablations: cells that run side by side, fail, are killed and interrupted, and end in the results
// of an undisturbed run.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <csignal>
#include <fstream>

using namespace hdap;
using namespace hdap::test;
using Catch::Contains;
using Lines = std::vector<std::string>;
using Clock = std::chrono::steady_clock;

namespace {

constexpr const char* settings = R"([ablation]
base = "tiny.toml"
[settings]
search.generations = 2
search.population = 6
)";

/// An ablation of tiny studies.
class TinyAblation {
  public:
    TinyAblation(TinyStudy::Weights weights, const std::string& axes) : study_(weights) {
        write_plan(axes);
    }

    void write_plan(const std::string& axes) const {
        std::ofstream(plan_file()) << settings << axes;
    }
    [[nodiscard]] std::filesystem::path plan_file() const { return study_ / "plan.toml"; }
    [[nodiscard]] const TinyStudy& study() const { return study_; }
    [[nodiscard]] ablation::Plan plan() const { return ablation::read_plan(plan_file()); }
    [[nodiscard]] ablation::Folder folder(const std::string& name) const { return {study_ / name}; }

    /// Starts `hdap ablate COMMAND plan.toml --out NAME MORE`.
    [[nodiscard]] Process start(const std::string& command, const std::string& name,
                                const Arguments& more = {}) const {
        Arguments arguments{"ablate", command, plan_file(), "--out", study_ / name};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return study_.start({.ranks = 0}, arguments);
    }
    [[nodiscard]] Outcome call(const std::string& command, const std::string& name,
                               const Arguments& more = {}) const {
        return start(command, name, more).wait();
    }

    /// In what the cells of two folders differ.
    [[nodiscard]] Lines differences(const std::string& name, const std::string& other) const {
        Lines result;
        for (const ablation::Cell& cell : plan().cells)
            for (const std::string& line : test::differences(folder(name).run_directory(cell),
                                                             folder(other).run_directory(cell)))
                result.push_back(cell.id + ": " + line);
        return result;
    }

    [[nodiscard]] nlohmann::json status(const std::string& name) const {
        return nlohmann::json::parse(call("status", name, {"--json"}).output);
    }

  private:
    TinyStudy study_;
};

/// Waits until no program of ours runs in the job's session: the system tells the studies that
/// their runner has gone.
void await_end_of_orphans(const Process& job) {
    const auto end = Clock::now() + std::chrono::seconds(60);
    while (!job.running(hdap_program()).empty())
        REQUIRE(Clock::now() < end);
}

} // namespace

TEST_CASE(
    "an ablation that is asked to stop ends with 75, and it and a second runner are killed again "
    "and again, and end in the results of one undisturbed run") {
    const TinyAblation tiny(TinyStudy::Weights::trained,
                            "[[axis]]\nkey = \"study.seed\"\nseeds = 2\n");
    const auto begin = Clock::now();
    const Outcome undisturbed = tiny.call("run", "undisturbed", {"--workers", "2"});
    INFO(undisturbed.errors);
    REQUIRE(undisturbed.exit_code == 0);
    CHECK_THAT(undisturbed.output, Contains("2 of 2 cells are complete, 0 failed"));
    const std::chrono::duration<double> duration = Clock::now() - begin;

    const auto start = [&] { return tiny.start("run", "disturbed", {"--workers", "1"}); };
    const auto first_run = tiny.folder("disturbed").run_directory(tiny.plan().cells[0]);
    {
        Process job = start();
        REQUIRE(job.wait_until([&] { return std::filesystem::exists(first_run / "search.h5"); }));
        job.signal(SIGTERM);
        const Outcome outcome = job.wait();
        INFO(outcome.errors);
        REQUIRE(outcome.exit_code == 75);
        CHECK_THAT(outcome.output, Contains("stopped early"));
        CHECK(job.running(hdap_program()).empty());
    }
    core::RandomStream random(2, core::StreamId::testing);
    for (const bool runner_alone : {true, false}) {
        Process first = start();
        Process second = start();
        const auto end = Clock::now() + (0.2 + 0.3 * random.uniform()) * duration;
        first.wait_until([&] { return Clock::now() > end; });
        if (runner_alone) {
            first.signal(SIGKILL);
            first.wait();
            await_end_of_orphans(first);
        } else {
            first.kill_all();
        }
        second.kill_all();
    }
    Process first = start();
    const Outcome second = start().wait();
    const Outcome outcome = first.wait();
    INFO(outcome.errors << second.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(second.exit_code == 0);
    CHECK(tiny.differences("undisturbed", "disturbed") == Lines{});
}

TEST_CASE("a failing cell is tried again within its bound and named, and holds no other cell up") {
    const TinyAblation tiny(TinyStudy::Weights::initial, R"([[axis]]
name = "weights"
[axis.points.missing]
"network.weights" = "none.h5"
[axis.points.there]
)");
    const Arguments once_more{"--retries", "1"};
    const Outcome outcome = tiny.call("run", "failing", once_more);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 3);
    CHECK_THAT(outcome.output, Contains("1 of 2 cells are complete, 1 failed") &&
                                   Contains("(missing) failed 2 times, exit code 3: ") &&
                                   Contains("none.h5"));
    const auto status = tiny.status("failing");
    CHECK(status["cells"][0]["state"] == "failed");
    CHECK(status["cells"][0]["labels"]["weights"] == "missing");
    CHECK(status["cells"][1]["state"] == "complete");

    const auto folder = tiny.folder("failing");
    const ablation::Cell cell = tiny.plan().cells[0];
    const std::string log = text_of(folder.log(cell));
    CHECK(tiny.call("run", "failing", once_more).exit_code == 3);
    CHECK(text_of(folder.log(cell)) == log); // nothing was started

    std::filesystem::copy(tiny.study() / "weights.h5", tiny.study() / "none.h5");
    CHECK(tiny.call("run", "failing", {"--retry-failed"}).exit_code == 0);
    CHECK(tiny.status("failing")["counts"]["complete"] == 2);
}

TEST_CASE("an ablation is planned, grows, and says what its plan has no more") {
    const TinyAblation tiny(TinyStudy::Weights::initial,
                            "[[axis]]\nkey = \"study.seed\"\nseeds = 3\n");
    const Outcome manifest = tiny.call("plan", "p", {"--dry-run"});
    CHECK(manifest.output == ablation::manifest_csv(tiny.plan()));
    CHECK_FALSE(std::filesystem::exists(tiny.study() / "p"));
    CHECK(tiny.call("plan", "p").exit_code == 0);
    CHECK(text_of(tiny.study() / "p/manifest.csv") == manifest.output);
    CHECK(tiny.status("p")["counts"]["missing"] == 3);
    const auto done = tiny.folder("p").run_directory(tiny.plan().cells[0]);
    std::filesystem::create_directory(done);

    tiny.write_plan("[[axis]]\nkey = \"study.seed\"\nseeds = { first = 2, count = 3 }\n");
    const Outcome grown = tiny.call("plan", "p");
    CHECK_THAT(grown.output,
               Contains("left alone, as the plan has them no more: " + done.filename().string()));
    CHECK(tiny.call("run", "p", {"--time-limit", "soon"}).exit_code == 2);
    const Outcome none = tiny.call("run", "p", {"--cells", ""});
    CHECK(none.exit_code == 2);
    CHECK_THAT(none.errors, Contains("--cells: names no cell"));
}

TEST_CASE("a cell runs on several ranks with a launcher", "[mpi]") {
    const TinyAblation tiny(TinyStudy::Weights::initial,
                            "[[axis]]\nkey = \"study.seed\"\nseeds = 1\n");
    const std::string launcher =
        std::string(HDAP_MPIEXEC) + " --quiet --oversubscribe --bind-to none -n 2";
    const Outcome outcome = tiny.call("run", "ranks", {"--launcher", launcher});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(tiny.call("run", "alone").exit_code == 0);
    CHECK(tiny.differences("alone", "ranks") == Lines{});
}
