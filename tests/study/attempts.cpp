#include "hdap/study/attempts.hpp"

#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace hdap;

namespace {

study::Attempt some_attempt(std::int64_t progress) {
    study::Attempt attempt;
    attempt.started = "2026-01-01T00:00:00Z";
    attempt.job = "12.1";
    attempt.host = "node1";
    attempt.ranks = 4;
    attempt.threads = 2;
    attempt.progress_start = progress;
    return attempt;
}

} // namespace

TEST_CASE("a folder without attempts has none, and no progress") {
    const test::TemporaryFolder folder;
    CHECK(study::read_attempts(folder.path()).empty());
    CHECK(study::progress_of(folder.path()) == 0);
    CHECK(study::progress_of(folder / "none") == 0);
}

TEST_CASE("attempts are read as they were appended, one that was killed without an end") {
    const test::TemporaryFolder folder;
    study::append_attempt_start(folder.path(), some_attempt(3));
    study::Attempt second = some_attempt(5);
    study::append_attempt_start(folder.path(), second);
    second.ended = "2026-01-01T00:01:00Z";
    second.exit_code = 75;
    second.progress_end = 9;
    second.message = "said \"stop\"\n";
    study::append_attempt_end(folder.path(), second);
    const auto attempts = study::read_attempts(folder.path());
    REQUIRE(attempts.size() == 2);
    CHECK(attempts[0].job == "12.1");
    CHECK(attempts[0].ranks == 4);
    CHECK_FALSE(attempts[0].exit_code);
    CHECK(attempts[0].ended.empty());
    CHECK(attempts[0].progress_end == 3);
    CHECK(attempts[1].exit_code == 75);
    CHECK(attempts[1].progress_start == 5);
    CHECK(attempts[1].progress_end == 9);
    CHECK(attempts[1].message == "said \"stop\"\n");
}

TEST_CASE("lines of attempts that cannot be read are left out") {
    const test::TemporaryFolder folder;
    study::append_attempt_start(folder.path(), some_attempt(1));
    std::ofstream(folder / "attempts.jsonl", std::ios::app)
        << "{\"event\":\"sta\n[1]\n\xff\xfe\n{\"event\":\"start\",\"ranks\":\"many\"}\n"
        << "{\"event\":\"end\",\"exit_code\":1e99}\n{\"event\":\"e";
    study::append_attempt_start(folder.path(), some_attempt(2));
    const auto attempts = study::read_attempts(folder.path());
    REQUIRE(attempts.size() == 3);
    CHECK(attempts[1].ranks == 0);
    CHECK(attempts[1].exit_code == 1);
    CHECK(attempts[2].progress_start == 2);
}

TEST_CASE("attempts are in vain when all of the last ones began where the next one would begin") {
    const auto attempt = [](std::int64_t progress, std::optional<int> exit_code) {
        study::Attempt result = some_attempt(progress);
        result.exit_code = exit_code;
        return result;
    };
    const auto killed = std::nullopt;
    CHECK_FALSE(study::lack_of_progress({}, 0, 1));
    CHECK_FALSE(study::lack_of_progress({attempt(5, killed)}, 5, 2));
    CHECK_FALSE(study::lack_of_progress({attempt(5, killed), attempt(5, 75)}, 6, 2));
    CHECK_FALSE(study::lack_of_progress({attempt(4, killed), attempt(5, 75)}, 5, 2));
    CHECK_FALSE(study::lack_of_progress({attempt(5, killed), attempt(5, 0)}, 5, 2));
    CHECK_FALSE(study::lack_of_progress({attempt(5, 76), attempt(5, 76)}, 5, 2)); // it waits
    auto failed = attempt(5, 1);
    failed.message = "disk full";
    const auto why = study::lack_of_progress({attempt(1, 1), attempt(5, killed), failed}, 5, 2);
    REQUIRE(why);
    CHECK_THAT(*why, Catch::Contains("last 2 attempts") && Catch::Contains("ended with 1") &&
                         Catch::Contains("disk full") && Catch::Contains("node1"));
    CHECK_THAT(*study::lack_of_progress({attempt(5, killed)}, 5, 1), Catch::Contains("was killed"));
}

TEST_CASE("progress counts stages and networks, and nothing for a damaged search") {
    const test::TemporaryFolder folder;
    std::filesystem::create_directory(folder / "networks");
    for (const char* name : {"fleet.h5", "search.h5", "networks/front-01.h5", "networks/x.tmp"})
        std::ofstream(folder / name) << "no HDF5";
    CHECK(study::progress_of(folder.path()) == 2);
    std::filesystem::create_directory(folder / "measurements");
    std::ofstream(folder / "measurements/measurements.jsonl") << "{}\n{}\n{";
    CHECK(study::progress_of(folder.path()) == 4);
}
