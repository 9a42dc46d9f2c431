#include "bench_command.hpp"

#include "bench.hpp"

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include <algorithm>

using namespace hdap;

TEST_CASE("hdap bench refuses a benchmark that does not exist", "[bench]") {
    CLI::App app;
    cli::Action action;
    bench::add_bench_command(app, action);
    CHECK_THROWS_AS(app.parse("bench"), CLI::RequiredError);
    CHECK_THROWS_AS(app.parse("bench nosuch"), CLI::ValidationError);
    CHECK_FALSE(action);
}

TEST_CASE("the benchmarks are in the order of their names, which --help shows", "[bench]") {
    CLI::App app;
    cli::Action action;
    bench::add_bench_command(app, action);
    const std::string help = app.get_subcommand("bench")->help();
    const auto by_name = [](const bench::Benchmark& a, const bench::Benchmark& b) {
        return a.name < b.name;
    };
    CHECK(std::is_sorted(bench::benchmarks().begin(), bench::benchmarks().end(), by_name));
    for (const bench::Benchmark& benchmark : bench::benchmarks()) {
        CHECK_THAT(help, Catch::Contains(std::string(benchmark.name) + ": "));
        app.parse("bench " + std::string(benchmark.name) + " --json");
        CHECK(action);
    }
}
