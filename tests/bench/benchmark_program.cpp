#include "benchmark_program.hpp"

#include "bench.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>

using namespace hdap;
using Catch::Matchers::Contains;

namespace {

core::ExitCode run(const char* argument) {
    const std::array words{"bench", argument};
    return hdap_run_benchmarks(2, words.data());
}

} // namespace

TEST_CASE("hdap bench refuses a benchmark that does not exist", "[bench]") {
    CHECK_THROWS_AS(run("nosuch"), core::UsageError);
    CHECK_THROWS_WITH(run("nosuch"), Contains("nosuch") && Contains("see hdap bench --help"));
    CHECK_THROWS_WITH(run("--json"), Contains("NAME is required"));
}

TEST_CASE("the benchmarks are in the order of their names, which --help shows", "[bench]") {
    const auto by_name = [](const bench::Benchmark& a, const bench::Benchmark& b) {
        return a.name < b.name;
    };
    CHECK(std::is_sorted(bench::benchmarks().begin(), bench::benchmarks().end(), by_name));
    CHECK(run("--help") == core::ExitCode::complete);
}
