#include "hdap/parallel/launch.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>

using namespace hdap;
using parallel::Communicator;

TEST_CASE("several Slurm tasks that each see one rank are refused") {
    const auto world = Communicator::world();
    setenv("SLURM_NTASKS", "4", 1);
    if (world.size() == 1)
        CHECK_THROWS_WITH(parallel::inspect_launch(world, 0),
                          Catch::Contains("Slurm started 4 tasks, but MPI sees one rank"));
    else
        CHECK_NOTHROW(parallel::inspect_launch(world, 0));
    unsetenv("SLURM_NTASKS");
}

TEST_CASE("threads per rank follow the request, then OpenMP's and Slurm's variables") {
    const auto world = Communicator::world();
    setenv("SLURM_CPUS_PER_TASK", "5", 1);
    CHECK(parallel::inspect_launch(world, 0).threads_per_rank == 5);
    setenv("OMP_NUM_THREADS", "3,2", 1);
    CHECK(parallel::inspect_launch(world, 0).threads_per_rank == 3);
    CHECK(parallel::inspect_launch(world, 2).threads_per_rank == 2);
    unsetenv("SLURM_CPUS_PER_TASK");
    unsetenv("OMP_NUM_THREADS");
    const auto launch = parallel::inspect_launch(world, 0);
    CHECK(launch.threads_per_rank >= 1);
    CHECK(launch.ranks == world.size());
    if (world.is_root()) CHECK(launch.bindings.size() == static_cast<std::size_t>(world.size()));
}
