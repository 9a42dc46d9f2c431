#include "hdap/storage/owner_file.hpp"

#include "hdap/core/error.hpp"
#include "support/environment.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace hdap;
using storage::Owner;
using storage::OwnerFile;
using test::Variable;

namespace {

/// An owner on a machine of another name.
Owner elsewhere(const std::string& job) {
    Owner owner = Owner::current();
    owner.host = "another-host";
    owner.machine = "another-boot pid:[1]";
    owner.job = job;
    return owner;
}

/// A folder in PATH with a program squeue.
class Squeue {
  public:
    explicit Squeue(const std::string& script)
        : path_("PATH", (folder_.path().string() + ":" + std::getenv("PATH")).c_str()) {
        std::ofstream(folder_ / "squeue") << "#!/bin/sh\n" << script << "\n";
        std::filesystem::permissions(folder_ / "squeue", std::filesystem::perms::owner_all);
    }

  private:
    test::TemporaryFolder folder_;
    Variable path_;
};

} // namespace

TEST_CASE("an owner file in a folder that is not there is a DataError") {
    CHECK_THROWS_AS(OwnerFile::try_make("/nonexistent/x.owner", false), core::DataError);
    CHECK_FALSE(OwnerFile::is_held("/nonexistent/x.owner"));
    CHECK(OwnerFile::owner_text("/nonexistent/x.owner").empty());
}

TEST_CASE("one owner at a time, whose file is gone with the object") {
    const test::TemporaryFolder folder;
    const auto path = folder / "x.owner";
    {
        auto first = OwnerFile::try_make(path, false);
        REQUIRE(first);
        CHECK_FALSE(OwnerFile::try_make(path, false));
        CHECK(OwnerFile::is_held(path));
        CHECK_THAT(OwnerFile::owner_text(path),
                   Catch::Contains("process " + std::to_string(::getpid())));
        const OwnerFile moved(std::move(*first));
        first.reset();
        CHECK(OwnerFile::is_held(path));
    }
    CHECK_FALSE(std::filesystem::exists(path));
    CHECK(OwnerFile::try_make(path, false));
}

TEST_CASE("the file of a killed process is taken over, also before its parent knows") {
    const test::TemporaryFolder folder;
    const auto path = folder / "x.owner";
    for (const bool reaped : {true, false}) {
        const pid_t child = ::fork();
        if (child == 0) {
            const auto owner = OwnerFile::try_make(path, false);
            ::raise(owner ? SIGKILL : SIGTERM);
        }
        siginfo_t status{};
        ::waitid(P_PID, static_cast<id_t>(child), &status, WEXITED | (reaped ? 0 : WNOWAIT));
        REQUIRE(std::filesystem::exists(path));
        CHECK_FALSE(OwnerFile::is_held(path));
        CHECK(OwnerFile::try_make(path, false));
        CHECK_FALSE(std::filesystem::exists(path));
        ::waitpid(child, nullptr, 0);
    }
}

TEST_CASE("a file that is not whole has an owner, who may be writing it") {
    const test::TemporaryFolder folder;
    const auto path = folder / "x.owner";
    std::ofstream(path) << "host=n1\n";
    CHECK_FALSE(OwnerFile::try_make(path, false));
    CHECK(OwnerFile::owner_text(path) == "unknown");
}

TEST_CASE("an owner has ended when its process is another one, or its machine was started anew") {
    CHECK_FALSE(has_ended(Owner::current(), false));
    Owner owner = Owner::current();
    owner.process_start += "0";
    CHECK(has_ended(owner, false));
    owner = Owner::current();
    owner.machine = "another-boot pid:[1]";
    CHECK(has_ended(owner, false));
    // In another container of this machine it cannot be seen.
    owner.machine = Owner::current().machine + "0";
    CHECK_FALSE(has_ended(owner, false));
}

TEST_CASE("an owner on another machine has ended when its Slurm job has, or was started again") {
    const Variable no_job("SLURM_JOB_ID", nullptr);
    const Variable no_restart("SLURM_RESTART_COUNT", nullptr);
    CHECK_FALSE(has_ended(elsewhere(""), true));
    {
        const Variable job("SLURM_JOB_ID", "7");
        const Owner before = elsewhere("7");
        CHECK_FALSE(has_ended(before, true));
        const Variable restart("SLURM_RESTART_COUNT", "1");
        CHECK(has_ended(before, false));
    }
    const auto ended_as = [](const std::string& squeue) {
        const Squeue program(squeue);
        return has_ended(elsewhere("7"), true);
    };
    CHECK_FALSE(ended_as("echo RUNNING"));
    CHECK_FALSE(ended_as("echo COMPLETING"));
    CHECK(ended_as("echo PENDING"));
    CHECK(ended_as("exit 0"));
    CHECK(ended_as("echo slurm_load_jobs error: Invalid job id specified >&2; exit 1"));
    CHECK_FALSE(ended_as("echo Unable to contact slurm controller >&2; exit 1"));
    const Squeue never_asked("exit 0");
    CHECK_FALSE(has_ended(elsewhere("7"), false));
    CHECK_FALSE(has_ended(elsewhere("7; rm x"), true));
}
