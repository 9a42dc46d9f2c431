#include "hdap/core/provenance.hpp"

#include "support/environment.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using test::Variable;

TEST_CASE("outside Slurm there is no job, and the nodes are the host") {
    const Variable job("SLURM_JOB_ID", nullptr);
    const Variable array("SLURM_ARRAY_JOB_ID", nullptr);
    const Variable nodes("SLURM_JOB_NODELIST", nullptr);
    const auto provenance = core::current_provenance();
    CHECK(provenance.job.empty());
    CHECK_FALSE(provenance.host.empty());
    CHECK(provenance.nodes == provenance.host);
}

TEST_CASE("a Slurm job is named with its array task and its restarts") {
    const Variable job("SLURM_JOB_ID", "1234");
    const Variable array("SLURM_ARRAY_JOB_ID", nullptr);
    const Variable nodes("SLURM_JOB_NODELIST", "n[1-2]");
    CHECK(core::current_provenance().nodes == "n[1-2]");
    {
        const Variable restarts("SLURM_RESTART_COUNT", nullptr);
        CHECK(core::slurm_job() == "1234");
    }
    const Variable restarts("SLURM_RESTART_COUNT", "2");
    CHECK(core::slurm_job() == "1234.2");
    const Variable of_array("SLURM_ARRAY_JOB_ID", "1230");
    const Variable task("SLURM_ARRAY_TASK_ID", "4");
    CHECK(core::slurm_job() == "1230_4.2");
}

TEST_CASE("provenance names the libraries with their versions") {
    const std::string libraries = core::current_provenance().libraries;
    for (const char* name : {"LibTorch ", "XGBoost ", "HDF5 ", "Eigen ", "MPI "})
        CHECK_THAT(libraries, Catch::Contains(name));
    CHECK(libraries.find_first_of("0123456789") != std::string::npos);
}
