// Simulated devices that heat up and that a supply limits: energy and latency under continuous
// load.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/study/results.hpp"
#include "hdap/study/run_directory.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace hdap;
using namespace hdap::test;

namespace {

double result(const std::filesystem::path& run, const std::string& name) {
    const auto results =
        study::read_results(study::open_stage(run / "results.h5", study::results_schema));
    const auto at = std::ranges::find(results.final_metrics, name, &study::ResultMetric::name);
    REQUIRE(at != results.final_metrics.end());
    return at->value;
}

} // namespace

TEST_CASE("a study of energy and of hot phones has the same bits on 1 and 2 ranks, and predictions "
          "that the devices bear out",
          "[mpi]") {
    const TinyStudy study;
    // Such a batch keeps a phone busy.
    const Arguments hot{"--set", "fleet.synthetic.preset=phone",
                        "--set", "fleet.synthetic.mixture=hostile",
                        "--set", "fleet.batch=4096",
                        "--set", "fleet.synthetic.devices=300",
                        "--set", "fleet.benchmarks=6",
                        "--set", "profile.candidates=120",
                        "--set", "search.objectives=[\"energy.mean\", \"accuracy_drop\"]",
                        "--set", "search.constraints=[\"latency.sustained <= 0.9x\"]"};
    const Outcome alone = study.run({.ranks = 0}, "alone", hot);
    INFO(alone.errors);
    REQUIRE(alone.exit_code == 0);
    const Outcome two = study.run({.ranks = 2, .threads = 2}, "two", hot);
    INFO(two.errors);
    REQUIRE(two.exit_code == 0);
    CHECK(differences(study / "alone", study / "two") == std::vector<std::string>{});
    const std::string front = text_of(study / "alone/front.csv");
    for (const char* column :
         {"energy_mean_mj", "latency_sustained_ms", "latency_sustained_ms_on_devices"})
        CHECK_THAT(front.substr(0, front.find('\n')), Catch::Contains(column));
    CHECK(result(study / "alone", "front_least_energy_mean_mj") > 0.0);
    CHECK(result(study / "alone", "energy_error_on_devices") < 0.15);
    CHECK(result(study / "alone", "sustained_error_on_devices") < 0.15);
}
