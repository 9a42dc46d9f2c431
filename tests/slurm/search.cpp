// A search over two nodes is the search on one machine; tasks that do not find each other are no
// search.
#include "end_to_end/run_comparison.hpp"
#include "slurm/cluster.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;
using Lines = std::vector<std::string>;

TEST_CASE("a search over two nodes, by srun and by mpirun, gives the bits of a local run") {
    const TinyStudy study;
    Cluster cluster(study);
    const std::string by_srun = cluster.submit_search(2, "srun", {});
    const std::string by_mpirun =
        cluster.submit({"--nodes=2", "--ntasks-per-node=2", "--time=10", "--wrap",
                        std::string("exec " HDAP_MPIEXEC " --quiet --bind-to none ") +
                            hdap_program().string() + " run " + study.config().string() +
                            " --threads 1 --out " + (study / "mpirun").string()});
    REQUIRE(study.run({.ranks = 0}, "local").exit_code == 0);

    for (const auto& [job, name, ranks] :
         {std::tuple{by_srun, "srun", "2 ranks"}, std::tuple{by_mpirun, "mpirun", "4 ranks"}}) {
        const JobState end = cluster.wait(job);
        INFO(cluster.log(job));
        CHECK(end.state == "COMPLETED");
        CHECK_THAT(cluster.log(job), Catch::Contains(ranks));
        // Of the ten minutes that the job asked for.
        CHECK_THAT(cluster.log(job), Catch::Contains("time left for this job: 9 min") ||
                                         Catch::Contains("time left for this job: 10 min"));
        CHECK(differences(study / "local", study / name) == Lines{});
    }

    // The networks can be fine-tuned by a job of their own.
    std::filesystem::remove_all(study / "srun/networks");
    const std::string finetune =
        cluster.submit({"--cpus-per-task=1", "--time=10", slurm_file("finetune.sbatch"),
                        study.config(), "--out", study / "srun"});
    const JobState end = cluster.wait(finetune);
    INFO(cluster.log(finetune));
    CHECK(end.state == "COMPLETED");
    CHECK(differences(study / "local", study / "srun") == Lines{});
}

TEST_CASE("tasks that srun starts without PMI are refused, and what to do is said") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Cluster cluster(study);
    const Outcome outcome =
        cluster.call({"srun", "--mpi=none", "--nodes=2", "--ntasks=2", "--time=10", hdap_program(),
                      "run", study.config(), "--out", study / "run"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 2);
    CHECK_THAT(outcome.errors, Catch::Contains("MPI sees one rank"));
    CHECK_THAT(outcome.errors, Catch::Contains("srun --mpi=pmix"));
    CHECK_FALSE(std::filesystem::exists(study / "run"));
}
