#include "hdap/parallel/launch.hpp"

#include "hdap/core/error.hpp"
#include "support/environment.hpp"

#include <catch2/catch.hpp>

#include <omp.h>
#include <utility>

using namespace hdap;
using parallel::core_list;
using test::Variable;

TEST_CASE("OpenMP regions take as many threads as were asked for") {
    for (const int threads : {3, 1}) {
        parallel::use_openmp_threads(threads);
        CHECK(omp_get_max_threads() == threads);
    }
}

TEST_CASE("a core list joins neighbours") {
    CHECK(core_list({}).empty());
    CHECK(core_list({3}) == "3");
    CHECK(core_list({0, 1, 2, 3, 8}) == "0-3,8");
    CHECK(core_list({0, 2, 3}) == "0,2-3");
}

TEST_CASE("tasks that srun started without PMI are refused, other processes in a job are not") {
    CHECK_NOTHROW(parallel::refuse_launch_without_pmi());
    const Variable job("SLURM_NTASKS", "4");
    CHECK_NOTHROW(parallel::refuse_launch_without_pmi());
    const Variable step("SLURM_STEP_NUM_TASKS", "4");
    CHECK_THROWS_AS(parallel::refuse_launch_without_pmi(), core::UsageError);
    {
        const Variable by_mpirun("OMPI_COMM_WORLD_SIZE", "1");
        CHECK_NOTHROW(parallel::refuse_launch_without_pmi());
    }
    {
        const Variable by_a_rank("ORTE_SCHIZO_DETECTION", "SLURM");
        CHECK_NOTHROW(parallel::refuse_launch_without_pmi());
    }
    const Variable with_pmix("PMIX_RANK", "2");
    CHECK_NOTHROW(parallel::refuse_launch_without_pmi());
}

TEST_CASE("a child of a rank of Open MPI 5 is told from a rank") {
    const Variable rank("PMIX_RANK", "0");
    const Variable size("OMPI_COMM_WORLD_SIZE", "2");
    const Variable mode("PMIX_SECURITY_MODE", "native");
    const Variable parent("OMPI_COMMAND", "/opt/bin/another_program");
    CHECK(parallel::launched_ranks() == 2);
    const Variable by_mpi_init("HFI_NO_BACKTRACE", "1");
    {
        const Variable users("PMIX_MCA_psec", "^munge");
        CHECK(parallel::launched_ranks() == 2);
    }
    const Variable also_by_mpi_init("PMIX_MCA_psec", "native");
    CHECK(parallel::launched_ranks() == 1);
    CHECK(parallel::is_certainly_alone());
    const Variable nested_mpirun("OMPI_COMMAND", "./bin/test_parallel");
    CHECK(parallel::launched_ranks() == 2);
}

TEST_CASE("a process is alone unless a launcher started more, or might have") {
    CHECK(parallel::is_certainly_alone());
    {
        const Variable size("OMPI_COMM_WORLD_SIZE", "1");
        CHECK(parallel::is_certainly_alone());
    }
    const Variable pmix("PMIX_RANK", "0");
    CHECK_FALSE(parallel::is_certainly_alone());
    {
        const Variable step("SLURM_STEP_NUM_TASKS", "1");
        CHECK(parallel::is_certainly_alone());
    }
    const Variable size("OMPI_COMM_WORLD_SIZE", "2");
    CHECK_FALSE(parallel::is_certainly_alone());
    CHECK(parallel::launched_ranks() == 2);
    const Variable of_a_rank("OMPI_MCA_ess", "^singleton");
    CHECK(parallel::launched_ranks() == 2);
    for (const auto& [name, value] :
         {std::pair("ORTE_SCHIZO_DETECTION", "SLURM"), std::pair("OMPI_MCA_ess", "pmi")}) {
        const Variable of_a_child(name, value);
        CHECK(parallel::is_certainly_alone());
        CHECK(parallel::launched_ranks() == 1);
    }
}
