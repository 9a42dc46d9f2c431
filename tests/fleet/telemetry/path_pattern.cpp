#include "fleet/telemetry/path_pattern.hpp"

#include "hdap/core/error.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>

using namespace hdap;
using namespace hdap::fleet;

namespace {

void touch(const std::filesystem::path& path) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "x";
}

/// "device/benchmark" of each file that matches, with "-" for what the path does not name.
std::vector<std::string> names(const std::string& pattern) {
    std::vector<std::string> names;
    for (const MatchedFile& file : matched_files(pattern))
        names.push_back(file.device.value_or("-") + "/" + file.benchmark.value_or("-"));
    return names;
}

using Names = std::vector<std::string>;

} // namespace

TEST_CASE("patterns with unknown marks, or that match nothing, are refused") {
    const test::TemporaryFolder folder;
    touch(folder / "logs/a/r.json");
    const std::string root = folder.path().string();
    for (const char* pattern : {"{devices}.json", "{}.json", "{device.json", "{Device}/x"})
        CHECK_THROWS_AS(matched_files(root + "/" + pattern), core::UsageError);
    for (const char* pattern : {"log/{device}/r.json", "logs/{device}/s.json", "logs/{device}.json",
                                "logs/a/r.json/{device}", "{device}"}) {
        CHECK_THROWS_AS(matched_files(root + "/" + pattern), core::DataError);
        CHECK_THROWS_WITH(matched_files(root + "/" + pattern), Catch::Contains(root));
    }
}

TEST_CASE("a path without marks is itself") {
    const auto files = matched_files("no/such file.csv");
    REQUIRE(files.size() == 1);
    CHECK(files[0].path == "no/such file.csv");
    CHECK(!files[0].device);
}

TEST_CASE("marks name what they stand for, in the order of the paths") {
    const test::TemporaryFolder folder;
    for (const char* path : {"logs/b/r.json", "logs/a/s.json", "logs/a/r.json", "logs/a/r.txt",
                             "logs/stray.json", "logs/a/deep/r.json"})
        touch(folder / path);
    const std::string root = folder.path().string();
    CHECK(names(root + "/logs/{device}/{benchmark}.json") == Names{"a/r", "a/s", "b/r"});
    CHECK(names(root + "/*/{device}/{benchmark}.*") == Names{"a/r", "a/r", "a/s", "b/r"});
    CHECK(names(root + "/logs/a/{benchmark}.txt") == Names{"-/r"});
}

TEST_CASE("a mark stands for as little as possible, and twice for the same") {
    const test::TemporaryFolder folder;
    for (const char* path : {"nx-1_r_v2.log", "a/a.log", "a/b.log", "_x.log"})
        touch(folder / path);
    const std::string root = folder.path().string();
    CHECK(names(root + "/{device}_{benchmark}.log") == Names{"nx-1/r_v2"});
    CHECK(names(root + "/{device}/{device}.log") == Names{"a/-"});
}

TEST_CASE("a pattern of stars that nearly matches ends soon") {
    const test::TemporaryFolder folder;
    touch(folder / std::string(60, 'a'));
    CHECK_THROWS_AS(matched_files(folder.path().string() + "/*a*a*a*a*b"), core::DataError);
}
