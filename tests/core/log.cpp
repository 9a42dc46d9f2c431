#include "hdap/core/log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/progress.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

using namespace hdap::core;

TEST_CASE("a log file in a folder that is not there is a DataError that names it") {
    Log log({.quiet = true});
    // spdlog makes missing folders, but none below a file.
    CHECK_THROWS_WITH(log.open_file("/dev/null/log.jsonl"), Catch::Contains("/dev/null/log.jsonl"));
}

TEST_CASE("the log file holds one JSON object a message and is appended to") {
    const hdap::test::TemporaryFolder folder;
    for (const char* message : {"first \"quoted\"", "second\nline"}) {
        Log log({.quiet = true});
        log.open_file(folder / "log.jsonl");
        log.warning(message);
    }
    std::ifstream file(folder / "log.jsonl");
    std::string line;
    REQUIRE(std::getline(file, line));
    CHECK_THAT(line, Catch::Contains(R"("level":"warning","message":"first \"quoted\"")"));
    REQUIRE(std::getline(file, line));
    CHECK_THAT(line, Catch::Contains(R"("second\u000aline")"));
    CHECK_FALSE(std::getline(file, line));
}

TEST_CASE("a progress line tells position, rate, detail and remaining time") {
    const ProgressState state{.stage = "search",
                              .position = "generation 3/12",
                              .done = 96,
                              .total = 384,
                              .unit = "evaluations",
                              .detail = "hypervolume 0.52"};
    CHECK(progress_line(state, 48, 10.0) ==
          "search  generation 3/12  96/384 evaluations  4.80/s  hypervolume 0.52  ETA 1 min 00 s");
    CHECK(progress_line(state, 96, 10.0) ==
          "search  generation 3/12  96/384 evaluations  hypervolume 0.52");
}
