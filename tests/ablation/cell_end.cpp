#include "ablation/cell_end.hpp"

#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace hdap;
using ablation::reason_of_end;
using Catch::Contains;

TEST_CASE("a program that ended with an error is told by its last error, or its last line") {
    const test::TemporaryFolder folder;
    const auto log = folder / "cell.log";
    CHECK(reason_of_end(1, log, 0, false) == "no message");
    const std::string before = "hdap: error: of the attempt before\n";
    std::ofstream(log) << before << "starting\n \n";
    CHECK(reason_of_end(1, log, before.size(), false) == "starting");
    std::ofstream(log, std::ios::app) << "hdap: error: no images\nmpirun: a process failed\n";
    CHECK(reason_of_end(3, log, before.size(), false) == "no images");
    CHECK(reason_of_end(3, log, before.size(), true) == "no images");
    std::ofstream(log, std::ios::app) << "hdap: waiting for measurements: 1 of 2\nmpirun: 76\n";
    CHECK(reason_of_end(76, log, before.size(), false) == "waiting for measurements: 1 of 2");
    std::ofstream(log, std::ios::app) << "hdap: error: no images\n";
    // ssh's and Slurm's own number for a failure is no signal.
    CHECK(reason_of_end(255, log, before.size(), false) == "no images");
}

TEST_CASE(
    "a program that crashed is told by the signal, and by want of memory where that was seen") {
    const test::TemporaryFolder folder;
    const auto log = folder / "cell.log";
    CHECK(reason_of_end(139, log, 0, false) == "ended by signal 11 (Segmentation fault)");
    CHECK(reason_of_end(139, log, 0, true) == "ended by signal 11 (Segmentation fault)");
    std::ofstream(log) << "search: generation 3\n";
    CHECK_THAT(reason_of_end(137, log, 0, false),
               Contains("signal 9 (Killed), often for want of") &&
                   Contains("its log ends: search: generation 3"));
    CHECK_THAT(reason_of_end(137, log, 0, true),
               Contains("killed by the kernel for want of memory"));
}

TEST_CASE("the kernel's count of processes killed for want of memory does not shrink") {
    const auto before = ablation::kills_for_memory();
    const auto after = ablation::kills_for_memory();
    CHECK(before.has_value() == after.has_value());
    CHECK(before <= after);
}
