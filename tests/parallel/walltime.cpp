#include "hdap/parallel/walltime.hpp"

#include "support/environment.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>
using namespace hdap;
using namespace std::chrono_literals;
using parallel::parse_duration;
using parallel::Walltime;
using test::Variable;
namespace fs = std::filesystem;

TEST_CASE("what is no duration is refused") {
    for (const char* text :
         {"",      "s",      "h",         "-5",      "-5s", "0",    "0s",   "1:2:3:4",
          "1-",    "-1:00",  "1:",        ":30",     "1e3", "nan",  "infs", "1 h",
          "1-2-3", "99999d", "UNLIMITED", "INVALID", "5x",  "0x10s"})
        CHECK_FALSE(parse_duration(text));
}

TEST_CASE("durations are read with units and in Slurm's forms") {
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("1.5m") == 90s);
    CHECK(parse_duration("2h") == 2h);
    CHECK(parse_duration("1d") == 24h);
    CHECK(parse_duration("30") == 30min);
    CHECK(parse_duration("1:30") == 90s);
    CHECK(parse_duration("1:30:05") == 1h + 30min + 5s);
    CHECK(parse_duration("1-2") == 26h);
    CHECK(parse_duration("1-02:30") == 26h + 30min);
    CHECK(parse_duration("1-02:30:15") == 26h + 30min + 15s);
}

TEST_CASE("a job without a limit is never near its end") {
    const Walltime walltime;
    CHECK_FALSE(walltime.limit());
    CHECK_FALSE(walltime.is_near(Walltime::Clock::time_point::max()));
}

TEST_CASE("the reserve before the end grows with the longest evaluation and checkpoint") {
    const Walltime::Clock::time_point start{};
    Walltime walltime(start, 1000s);
    CHECK(walltime.limit() == 1000s);
    CHECK(walltime.reserve() == 20s);
    CHECK_FALSE(walltime.is_near(start + 979s));
    CHECK(walltime.is_near(start + 981s));
    walltime.saw_evaluation(30s);
    walltime.saw_evaluation(5s);
    walltime.saw_checkpoint(10s);
    CHECK(walltime.reserve() == 110s);
    CHECK_FALSE(walltime.is_near(start + 889s));
    CHECK(walltime.is_near(start + 891s));
}

TEST_CASE("the reserve for what nobody measured lies between a second and a minute") {
    CHECK(Walltime({}, 10s).reserve() == 1s);
    CHECK(Walltime({}, 48h).reserve() == 60s);
}

TEST_CASE("a process knows when it was started") {
    const auto now = Walltime::Clock::now();
    const auto start = parallel::process_start();
    CHECK(start <= now);
    CHECK(now - start < 10min);
    // The kernel counts in ticks of 10 ms.
    CHECK(std::chrono::abs(parallel::process_start() - start) < 20ms);
}

TEST_CASE("the time left of a Slurm job comes from the environment, else from squeue") {
    const Variable no_job("SLURM_JOB_ID", nullptr);
    const Variable no_end("SLURM_JOB_END_TIME", nullptr);
    CHECK_FALSE(parallel::slurm_time_left());
    {
        const Variable job("SLURM_JOB_ID", "42");
        const auto end = std::chrono::system_clock::now().time_since_epoch() + 1h;
        const Variable time(
            "SLURM_JOB_END_TIME",
            std::to_string(std::chrono::duration_cast<std::chrono::seconds>(end).count()).c_str());
        const auto left = parallel::slurm_time_left();
        REQUIRE(left);
        CHECK(left->count() == Approx(3600.0).margin(5.0));
    }
    // A squeue of our own stands in front of the system's: it answers for job 42 alone.
    const test::TemporaryFolder folder;
    std::ofstream(folder / "squeue") << "#!/bin/sh\n"
                                        "case \"$*\" in *--jobs=42*) echo '1-00:00:30';; "
                                        "*) echo INVALID;; esac\n";
    fs::permissions(folder / "squeue", fs::perms::owner_all);
    const Variable path("PATH", (folder.path().string() + ":" + std::getenv("PATH")).c_str());
    {
        const Variable job("SLURM_JOB_ID", "42");
        CHECK(parallel::slurm_time_left() == 24h + 30s);
    }
    const Variable other("SLURM_JOB_ID", "43");
    CHECK_FALSE(parallel::slurm_time_left());
    const Variable hostile("SLURM_JOB_ID", "42; echo 1:00");
    CHECK_FALSE(parallel::slurm_time_left());
}
