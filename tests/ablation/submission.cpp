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

/// Another PATH for as long as it lives; without one, none where there is a program.
class OtherPath {
  public:
    explicit OtherPath(const std::string& path = "/nowhere") : path_(std::getenv("PATH")) {
        ::setenv("PATH", path.c_str(), 1);
    }
    ~OtherPath() { ::setenv("PATH", path_.c_str(), 1); }
    OtherPath(const OtherPath&) = delete;
    OtherPath& operator=(const OtherPath&) = delete;

  private:
    std::string path_;
};

/// A Slurm of shell scripts: sbatch gives out 101, 102, … and takes so many arrays, squeue shows
/// all tasks that were ever submitted.
class ScriptedSlurm {
  public:
    ScriptedSlurm(const std::string& configuration, int most_arrays) {
        program("scontrol", "echo 'MaxJobCount = 9'; echo '" + configuration + "'");
        program("sbatch", "n=$(cat count 2>/dev/null || echo 100); n=$((n + 1))\n[ $n -gt " +
                              std::to_string(100 + most_arrays) +
                              " ] && { echo 'sbatch: error: AssocMaxSubmitJobLimit' >&2; exit 1; }"
                              "\necho $n > count; echo $n\n"
                              "for a; do case $a in --array=1-*) t=${a#*1-}; t=${t%\\%*};; esac; "
                              "done\nfor i in $(seq $t); do echo ${n}_$i >> tasks; done");
        program("squeue", "cat tasks 2> /dev/null; true");
    }

  private:
    void program(const std::string& name, const std::string& text) const {
        const std::filesystem::path file = folder_ / name;
        std::ofstream(file) << "#!/bin/sh\ncd " << folder_.path().string() << "\n" << text << "\n";
        std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    }

    test::TemporaryFolder folder_;
    OtherPath path_{folder_.path().string() + ":" + std::getenv("PATH")};
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
    const OtherPath hidden;
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
    const OtherPath hidden;
    CHECK_THROWS_AS(ablation::queued_cells(three.folder), core::UsageError);
}

TEST_CASE("what is missing becomes tasks of an array, and the command says what they need") {
    const ThreeCells three;
    const auto submission = three.planned(2);
    REQUIRE(submission.arrays.size() == 1);
    const ablation::JobArray& array = submission.arrays[0];
    CHECK(array.tasks == std::vector<Texts>{{"00000000000a", "00000000000b"}, {"00000000000c"}});
    CHECK(array.cells_file == three.temporary / "array-1.txt");
    const Texts& command = array.command;
    const auto has = [&](const std::string& word) {
        return std::find(command.begin(), command.end(), word) != command.end();
    };
    CHECK(has("--array=1-2%4"));
    CHECK(has("HDAP_CELLS_FILE=" + array.cells_file.string()));
    CHECK(has("HDAP_ABLATION=" + three.folder.root.string()));
    CHECK(has("HDAP_PLAN=" + (std::filesystem::current_path() / "plan.toml").string()));
    CHECK(command[command.size() - 2] == "--time=5");
    CHECK(command.back() == "/slurm/ablation.sbatch");
    CHECK_FALSE(std::filesystem::exists(array.cells_file));
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
    REQUIRE(submission.arrays.size() == 1);
    CHECK(submission.arrays[0].tasks == std::vector<Texts>{{"00000000000c"}});
    CHECK(submission.elsewhere == 1);
    CHECK(submission.given_up == Texts{"00000000000b"});
}

TEST_CASE("cells that wait for measurements are submitted when that is asked for") {
    const ThreeCells three;
    for (const ablation::Cell& cell : three.plan.cells) {
        std::filesystem::create_directories(three.folder.attempts(cell));
        study::Attempt attempt;
        attempt.exit_code = 76;
        study::append_attempt_start(three.folder.attempts(cell), attempt);
        study::append_attempt_end(three.folder.attempts(cell), attempt);
    }
    const auto submission = three.planned(3);
    REQUIRE(submission.arrays.size() == 1);
    CHECK(submission.arrays[0].tasks.front().size() == 3);
    CHECK(submission.given_up.empty());
}

TEST_CASE("an array longer than the cluster takes is cut into several, one after the other, and is "
          "submitted once") {
    const ThreeCells three;
    const ScriptedSlurm slurm("MaxArraySize            = 3", 9); // so the largest index is 2
    const auto submission =
        ablation::submit(three.plan, three.folder, "plan.toml", ThreeCells::parameters());
    REQUIRE(submission.arrays.size() == 2);
    CHECK(submission.tasks() == 3);
    CHECK(submission.arrays[0].tasks.size() == 2);
    CHECK(submission.arrays[1].tasks == std::vector<Texts>{{"00000000000c"}});
    CHECK(submission.arrays[1].cells_file == three.temporary / "array-2.txt");
    const auto waits_for = [](const ablation::JobArray& array, const std::string& job) {
        const Texts& command = array.command;
        return std::find(command.begin(), command.end(), "--dependency=afterany:" + job) !=
               command.end();
    };
    CHECK(submission.arrays[0].job == "101");
    CHECK_FALSE(waits_for(submission.arrays[0], ""));
    CHECK(waits_for(submission.arrays[1], "101"));
    const auto again =
        ablation::submit(three.plan, three.folder, "plan.toml", ThreeCells::parameters());
    CHECK(again.arrays.empty());
    CHECK(again.elsewhere == 3);
}

TEST_CASE("a limit of the cluster's is passed on with what was submitted before, and what was not "
          "is submitted later") {
    const ThreeCells three;
    const auto submit = [&] {
        return ablation::submit(three.plan, three.folder, "plan.toml", ThreeCells::parameters());
    };
    {
        const ScriptedSlurm slurm("MaxArraySize = 2", 1);
        CHECK_THROWS_WITH(submit(), Contains("AssocMaxSubmitJobLimit") &&
                                        Contains("no more tasks in the queue") &&
                                        Contains("job 101"));
        CHECK_THROWS_WITH(submit(), Contains("array of 1 task ") && !Contains("job 101"));
    }
    const ScriptedSlurm nothing_queued("MaxArraySize = 1001", 9);
    std::ofstream(three.temporary / "array-1.toml") << "[array]\njob = \"7\"\n";
    CHECK(submit().tasks() == 3);
}

TEST_CASE("what a submission without a job's id may have queued keeps its list of cells") {
    const ThreeCells three;
    const test::TemporaryFolder programs;
    std::ofstream(programs / "sbatch") << "#!/bin/sh\necho 'Submitted, see the portal'\n";
    std::ofstream(programs / "scontrol") << "#!/bin/sh\nexit 1\n";
    for (const char* name : {"sbatch", "scontrol"})
        std::filesystem::permissions(programs / name, std::filesystem::perms::owner_all);
    const OtherPath path(programs.path().string() + ":" + std::getenv("PATH"));
    CHECK_THROWS_WITH(
        ablation::submit(three.plan, three.folder, "plan.toml", ThreeCells::parameters()),
        Contains("no job's id but 'Submitted, see the portal': ") && !Contains("refused"));
    CHECK(std::filesystem::exists(three.temporary / "array-1.txt"));
}

TEST_CASE("a cluster without job arrays is a UsageError that names the way without") {
    const ThreeCells three;
    const ScriptedSlurm slurm("MaxArraySize = 0", 9);
    CHECK_THROWS_WITH(three.planned(), Contains("MaxArraySize = 0") && Contains("ablate run"));
}
