#include "hdap/parallel/launch.hpp"
#include "support/environment.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using parallel::Communicator;
using test::Variable;

TEST_CASE("several tasks of a step that each see one rank are refused") {
    const auto world = Communicator::world();
    const Variable tasks("SLURM_STEP_NUM_TASKS", "4");
    if (world.size() == 1)
        CHECK_THROWS_WITH(parallel::inspect_launch(world, 0),
                          Catch::Contains("Slurm started 4 tasks, but MPI sees one rank"));
    else
        CHECK_NOTHROW(parallel::inspect_launch(world, 0));
}

TEST_CASE("a job of several tasks may start one process without a step") {
    const Variable tasks("SLURM_NTASKS", "4");
    CHECK_NOTHROW(parallel::inspect_launch(Communicator::world(), 0));
}

TEST_CASE("threads per rank follow the request, then OpenMP's and Slurm's variables") {
    const auto world = Communicator::world();
    {
        const Variable cores("SLURM_CPUS_PER_TASK", "5");
        CHECK(parallel::inspect_launch(world, 0).threads_per_rank == 5);
        const Variable threads("OMP_NUM_THREADS", "3,2");
        CHECK(parallel::inspect_launch(world, 0).threads_per_rank == 3);
        CHECK(parallel::inspect_launch(world, 2).threads_per_rank == 2);
    }
    const auto launch = parallel::inspect_launch(world, 0);
    CHECK(launch.threads_per_rank >= 1);
    CHECK(launch.ranks == world.size());
    if (world.is_root()) CHECK(launch.bindings.size() == static_cast<std::size_t>(world.size()));
}

TEST_CASE("cores of the job that stand idle are told, unless no more threads were asked for") {
    const auto world = Communicator::world();
    const Variable job("SLURM_JOB_ID", "1");
    const Variable cores("SLURM_CPUS_ON_NODE", "100000");
    const Variable threads("OMP_NUM_THREADS", "1");
    CHECK(parallel::inspect_launch(world, 1).idle_cores.empty());
    const std::string text = parallel::inspect_launch(world, 0).idle_cores;
    if (world.is_root())
        CHECK_THAT(text, Catch::Contains("cores of") && Catch::Contains(" idle: "));
    const std::string many = parallel::inspect_launch(world, 100).idle_cores;
    if (world.is_root()) CHECK_THAT(many, Catch::Contains("rank 0 with 100 threads is bound to"));
    CHECK((world.is_root() || (text.empty() && many.empty())));
}

TEST_CASE("a process uses no more cores than its job has on this node") {
    const int bound = parallel::available_cores();
    const Variable cores("SLURM_CPUS_ON_NODE", "1");
    CHECK(parallel::available_cores() == bound); // in no job
    const Variable job("SLURM_JOB_ID", "1");
    CHECK(parallel::available_cores() == 1);
}
