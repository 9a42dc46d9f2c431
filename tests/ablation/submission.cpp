#include "hdap/ablation/submission.hpp"

#include "hdap/core/error.hpp"
#include "hdap/study/attempts.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>

using namespace hdap;
using Catch::Contains;
using Texts = std::vector<std::string>;

namespace {

/// Hides all programs for as long as it lives.
class EmptyPath {
  public:
    EmptyPath() : path_(std::getenv("PATH")) { ::setenv("PATH", "/nowhere", 1); }
    ~EmptyPath() { ::setenv("PATH", path_.c_str(), 1); }
    EmptyPath(const EmptyPath&) = delete;
    EmptyPath& operator=(const EmptyPath&) = delete;

  private:
    std::string path_;
};

struct ThreeCells {
    ThreeCells() {
        plan.name = "three";
        for (const char* id : {"00000000000a", "00000000000b", "00000000000c"})
            plan.cells.push_back({.id = id, .labels = {}, .overrides = {}});
    }
    [[nodiscard]] ablation::Submission planned(int cells_per_task = 1) const {
        return ablation::plan_submission(plan, folder, "plan.toml", parameters(cells_per_task));
    }
    [[nodiscard]] static ablation::SubmissionParameters parameters(int cells_per_task = 1) {
        return {.program = "/bin/hdap",
                .script = "/slurm/ablation.sbatch",
                .throttle = 4,
                .cells_per_task = cells_per_task,
                .retries = 0,
                .sbatch_options = {"--time=5"}};
    }

    test::TemporaryFolder temporary;
    ablation::Folder folder{temporary.path()};
    ablation::Plan plan;
};

} // namespace

TEST_CASE("a missing sbatch is a UsageError, and leaves nothing behind") {
    const ThreeCells three;
    const EmptyPath hidden;
    CHECK_THROWS_WITH(
        ablation::submit(three.plan, three.folder, "plan.toml", ThreeCells::parameters()),
        Contains("sbatch is not there"));
    CHECK_FALSE(std::filesystem::exists(three.temporary / "array-1.txt"));
}

TEST_CASE("a squeue that does not answer is an error: cells might be submitted twice") {
    const ThreeCells three;
    CHECK(ablation::queued_cells(three.folder).empty()); // nobody is asked without an array
    std::ofstream(three.temporary / "array-1.txt") << "00000000000a\n";
    CHECK(ablation::queued_cells(three.folder).empty()); // it was never accepted
    std::ofstream(three.temporary / "array-1.toml") << "[array]\njob = \"7\"\n";
    const EmptyPath hidden;
    CHECK_THROWS_AS(ablation::queued_cells(three.folder), core::UsageError);
}

TEST_CASE("what is missing becomes tasks of an array, and the command says what they need") {
    const ThreeCells three;
    const auto submission = three.planned(2);
    CHECK(submission.tasks ==
          std::vector<Texts>{{"00000000000a", "00000000000b"}, {"00000000000c"}});
    CHECK(submission.cells_file == three.temporary / "array-1.txt");
    const Texts& command = submission.command;
    const auto has = [&](const std::string& word) {
        return std::find(command.begin(), command.end(), word) != command.end();
    };
    CHECK(has("--array=1-2%4"));
    CHECK(has("HDAP_CELLS_FILE=" + submission.cells_file.string()));
    CHECK(has("HDAP_ABLATION=" + three.folder.root.string()));
    CHECK(has("HDAP_PLAN=" + (std::filesystem::current_path() / "plan.toml").string()));
    CHECK(command[command.size() - 2] == "--time=5");
    CHECK(command.back() == "/slurm/ablation.sbatch");
    CHECK_FALSE(std::filesystem::exists(submission.cells_file));
}

TEST_CASE("cells that run or failed too often are not submitted") {
    const ThreeCells three;
    const auto claim = ablation::CellClaim::take(three.folder, three.plan.cells[0]);
    const auto record = three.folder.attempts(three.plan.cells[1]);
    std::filesystem::create_directories(record);
    study::Attempt attempt;
    attempt.exit_code = 3;
    study::append_attempt_start(record, attempt);
    study::append_attempt_end(record, attempt);
    const auto submission = three.planned();
    CHECK(submission.tasks == std::vector<Texts>{{"00000000000c"}});
    CHECK(submission.elsewhere == 1);
    CHECK(submission.given_up == Texts{"00000000000b"});
}
