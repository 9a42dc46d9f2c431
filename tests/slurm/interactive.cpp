// hdap without srun in a job of several tasks, and jobs that are submitted from within a job.
#include "end_to_end/run_comparison.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace hdap::test;
using Lines = std::vector<std::string>;

namespace {

void write_plan(const TinyStudy& study) {
    std::ofstream(study / "plan.toml")
        << "[ablation]\nname = \"tiny\"\nbase = \"tiny.toml\"\n[[axis]]\nkey = \"study.seed\"\n"
        << "values = [1, 2]\n";
}

/// "hdap run tiny.toml --out NAME", as a shell reads it.
std::string run_command(const TinyStudy& study, const std::string& name) {
    return hdap_program().string() + " run " + study.config().string() + " --threads 1 --out " +
           (study / name).string();
}

/// "hdap ablate COMMAND plan.toml"
std::string ablate_command(const TinyStudy& study, const std::string& command) {
    return hdap_program().string() + " ablate " + command + " " + (study / "plan.toml").string() +
           " --out " + (study / "ablation").string();
}

} // namespace

TEST_CASE("in a job of two tasks hdap is one process without srun: a study, cells, a measurement") {
    const TinyStudy study;
    Cluster cluster(study);
    write_plan(study);
    const std::string measure = hdap_program().string() + " fleet measure " +
                                study.config().string() + " --rounds 2 --runs 2 --out " +
                                (study / "measured.h5").string();
    const std::string job = cluster.submit(
        {"--ntasks=2", "--time=10", "--wrap",
         run_command(study, "batch") + " && " + ablate_command(study, "run") + " && " + measure});
    Arguments salloc{"salloc", "--ntasks=2", "--time=10", "sh", "-c", run_command(study, "salloc")};
    const Outcome outcome = cluster.call(salloc);
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    const JobState end = cluster.wait(job);
    INFO(cluster.log(job));
    CHECK(end.state == "COMPLETED");
    CHECK(differences(study / "batch", study / "salloc") == Lines{});
}

TEST_CASE(
    "one shell of srun's runs hdap twice and submits cells, which learn nothing of its step") {
    const TinyStudy study;
    Cluster cluster(study);
    write_plan(study);
    const std::string submit = ablate_command(study, "submit") + " --template " +
                               slurm_file("ablation.sbatch") +
                               " --sbatch '--cpus-per-task=1 --time=10'";
    const Outcome outcome = cluster.call(
        {"srun", "--ntasks=1", "--time=10", "sh", "-c",
         run_command(study, "one") + " && " + run_command(study, "two") + " && " + submit});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    CHECK(differences(study / "one", study / "two") == Lines{});
    const std::string before_job = "submitted job ";
    const auto at = outcome.output.find(before_job);
    REQUIRE(at != std::string::npos);
    const std::string array =
        std::to_string(std::stol(outcome.output.substr(at + before_job.size())));
    cluster.adopt({array});
    for (const std::string task : {"_1", "_2"})
        CHECK(cluster.wait(array + task).state == "COMPLETED");
}

TEST_CASE("a chain that is submitted from a job with another kind of memory limit completes") {
    const TinyStudy study;
    Cluster cluster(study);
    const std::string options = "--nodes=1 --ntasks-per-node=1 --cpus-per-task=1 --time=10 "
                                "--mem-per-cpu=100 --output=" +
                                (study / "%j.log").string();
    const Outcome outcome =
        cluster.call({"salloc", "--ntasks=1", "--mem=300", "--time=10", slurm_file("chain.sh"), "1",
                      study.config(), "--out", study / "run"},
                     {{"SBATCH_OPTIONS", options}});
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    const auto at = outcome.output.find("jobs ");
    REQUIRE(at != std::string::npos);
    const std::string job = std::to_string(std::stol(outcome.output.substr(at + 5)));
    cluster.adopt({job});
    const JobState end = cluster.wait(job);
    INFO(cluster.log(job));
    CHECK(end.state == "COMPLETED");
}
