#include "hdap/core/environment.hpp"

#include "hdap/core/command.hpp"
#include "support/environment.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <deque>

using namespace hdap;
using core::Started;
using test::Variable;

namespace {

/// Variables with a value of their own for the life of the object.
class Variables {
  public:
    explicit Variables(const std::vector<const char*>& names) {
        for (const char* name : names)
            variables_.emplace_back(name, "1");
    }

  private:
    std::deque<Variable> variables_; // which cannot be moved
};

bool gets(Started program, const std::string& name) {
    const std::vector<std::string> environment = core::environment_of(program);
    return std::any_of(environment.begin(), environment.end(),
                       [&](const std::string& entry) { return entry.starts_with(name + "="); });
}

/// Those of `names` that a program gets.
std::vector<std::string> received(Started program, const std::vector<const char*>& names) {
    std::vector<std::string> result;
    for (const char* name : names)
        if (gets(program, name)) result.emplace_back(name);
    return result;
}

const std::vector<std::string> none;

} // namespace

TEST_CASE("no program gets what a launcher told this process") {
    const std::vector<const char*> launchers{"OMPI_COMM_WORLD_SIZE",
                                             "OMPI_UNIVERSE_SIZE",
                                             "OMPI_MCA_ess",
                                             "OMPI_MCA_ess_singleton_isolated",
                                             "OMPI_MCA_orte_launch",
                                             "OMPI_MCA_pmix",
                                             "OMPI_MCA_initial_wdir",
                                             "PMIX_RANK",
                                             "PMIX_SERVER_URI41",
                                             "PMIX_MCA_psec",
                                             "PMI_SIZE",
                                             "ORTE_SCHIZO_DETECTION",
                                             "OPAL_OUTPUT_STDERR_FD",
                                             "PRTE_MCA_prte_hnp_uri"};
    const Variables set(launchers);
    CHECK(received(Started::inside, launchers) == none);
    CHECK(received(Started::job, launchers) == none);
}

TEST_CASE("what users tell Open MPI and Slurm reaches every program") {
    const std::vector<const char*> users{
        "OMPI_ALLOW_RUN_AS_ROOT", "OMPI_MCA_btl",     "OMPI_MCA_plm_rsh_agent",
        "PMIX_MCA_gds",           "OPAL_PREFIX",      "SLURM_CONF",
        "SBATCH_ACCOUNT",         "SBATCH_TIMELIMIT", "SRUN_CPUS_PER_TASK"};
    const Variables set(users);
    const Variables job({"SLURM_JOB_ID", "SLURM_STEP_ID"});
    const std::vector<std::string> all(users.begin(), users.end());
    CHECK(received(Started::inside, users) == all);
    CHECK(received(Started::job, users) == all);
}

TEST_CASE("a program within a step of Slurm's knows the job, but not the step") {
    const Variables job({"SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID"});
    const std::vector<const char*> of_step{"SLURM_STEP_ID",        "SLURM_STEPID",
                                           "SLURM_STEP_NUM_TASKS", "SLURM_SRUN_COMM_PORT",
                                           "SLURM_CPU_BIND",       "SLURM_MPI_TYPE"};
    const Variables step(of_step);
    CHECK(received(Started::inside, {"SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID"}).size() == 3);
    CHECK(received(Started::inside, of_step) == none);
    // Outside of a step it is the user's default.
    const Variable outside("SLURM_STEP_ID", nullptr);
    CHECK(gets(Started::inside, "SLURM_MPI_TYPE"));
}

TEST_CASE("what submits a job learns nothing of the job that this process is in") {
    const std::vector<const char*> of_job{
        "SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "SLURM_NTASKS",   "SLURM_CPUS_PER_TASK",
        "SLURM_PROCID", "SLURMD_NODENAME",    "SBATCH_CPU_BIND"};
    {
        const Variables job(of_job);
        CHECK(received(Started::job, of_job) == none);
    }
    const Variable outside("SLURM_JOB_ID", nullptr);
    const Variable users("SLURM_HINT", "nomultithread");
    CHECK(gets(Started::job, "SLURM_HINT"));
    const Variable filter("SQUEUE_STATES", "RUNNING");
    CHECK_FALSE(gets(Started::job, "SQUEUE_STATES"));
}

TEST_CASE("a program that is run has that environment, and forgetting a launcher leaves the rest") {
    const Variables set({"PMIX_RANK", "SLURM_JOB_ID", "OMPI_MCA_btl"});
    const std::vector<std::string> show{
        "sh", "-c", "echo ${PMIX_RANK-none} ${SLURM_JOB_ID-none} ${OMPI_MCA_btl-none}"};
    CHECK(core::run_command(show).output == "none 1 1\n");
    CHECK(core::run_job_command(show).output == "none none 1\n");
    core::forget_launcher();
    CHECK(std::getenv("PMIX_RANK") == nullptr);
    CHECK(std::getenv("SLURM_JOB_ID") != nullptr);
}
