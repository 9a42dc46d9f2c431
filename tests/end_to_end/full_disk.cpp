// Disks that are full, or cannot be written.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/small_disk.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

TEST_CASE("a disk that is full at a checkpoint ends the job with 1, and with space again the same "
          "command completes the study",
          "[mpi]") {
    const Arguments longer{"--set", "search.generations=8"};
    const TinyStudy study;
    const SmallDisk disk(study / "disk");
    if (!disk.mounted()) {
        WARN("skipped: no right to mount a small disk");
        return;
    }
    REQUIRE(study.run({.ranks = 2}, "undisturbed", longer).exit_code == 0);
    const Outcome full =
        interrupted_run(study, {.ranks = 2}, "disk/run", longer, [&](Process& job) {
            // What the job frees between two checkpoints is taken, too.
            job.wait_until([&] {
                disk.fill();
                return false;
            });
        });
    INFO(full.errors);
    CHECK(full.exit_code == 1);
    CHECK_THAT(full.errors, Catch::Contains("hdap: error: cannot write ") &&
                                Catch::Contains("No space left on device") &&
                                !Catch::Contains("terminate called"));
    CHECK_NOTHROW(is_complete_search(study / "disk/run/search.h5"));
    disk.make_space();
    const Outcome continued = study.run({.ranks = 2}, "disk/run", longer);
    INFO(continued.errors);
    REQUIRE(continued.exit_code == 0);
    CHECK(differences(study / "undisturbed", study / "disk/run") == Lines{});
}

TEST_CASE("a disk that is full from the beginning ends the job with 1 and says so") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const SmallDisk disk(study / "disk");
    if (!disk.mounted()) {
        WARN("skipped: no right to mount a small disk");
        return;
    }
    disk.fill();
    const Outcome full = study.run({.ranks = 0}, "disk/run");
    INFO(full.errors);
    CHECK(full.exit_code == 1);
    CHECK_THAT(full.errors, Catch::Contains("No space left on device"));
}

TEST_CASE("a run directory that cannot be written ends with 3 and says so") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const SmallDisk disk(study / "disk");
    if (!disk.mounted() || !disk.make_read_only()) {
        WARN("skipped: no right to mount a small disk");
        return;
    }
    const Outcome outcome = study.run({.ranks = 0}, "disk/run");
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 3);
    CHECK_THAT(outcome.errors,
               Catch::Contains("disk/run") && Catch::Contains("Read-only file system"));
}
