#include "hdap/report/fleet_verdict.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

using namespace hdap;
using namespace hdap::report;
using search::ObjectiveRegret;
using search::ViewKind;
using search::ViewRegret;

namespace {

ViewRegret view(ViewKind kind, std::size_t clusters, double mean, double margin) {
    return {.kind = kind,
            .clusters = clusters,
            .regret = {mean, {mean - margin, mean + margin}},
            .worst_draw = {2 * mean, {2 * mean - margin, 2 * mean + margin}}};
}

/// Of three clusters; `one` and `two`: what one device and the two largest clusters regret.
std::vector<ObjectiveRegret> regrets(double one, double two, double margin) {
    return {{"latency.mean",
             {view(ViewKind::one_device, 1, one, margin),
              view(ViewKind::largest_clusters, 1, one, margin),
              view(ViewKind::largest_clusters, 2, two, margin),
              view(ViewKind::equal_weights, 3, 0.001, margin),
              view(ViewKind::all_clusters, 3, 0.0, 0.0)}},
            {"latency.p95",
             {view(ViewKind::one_device, 1, one / 2, margin),
              view(ViewKind::largest_clusters, 1, one / 2, margin),
              view(ViewKind::largest_clusters, 2, two, margin),
              view(ViewKind::equal_weights, 3, 0.001, margin),
              view(ViewKind::all_clusters, 3, 0.0, 0.0)}}};
}

} // namespace

TEST_CASE("a verdict needs regrets") {
    CHECK_THROWS_AS(fleet_verdict({}), core::InternalError);
}

TEST_CASE("a fleet that costs a single device nothing does not matter, and one device is enough") {
    const auto of = regrets(0.002, 0.001, 0.003);
    const FleetVerdict verdict = fleet_verdict(of);
    CHECK(verdict.matters == FleetMatters::no);
    CHECK(verdict.sentence == "The fleet does not matter here: networks that are chosen for one "
                              "device are slower over the fleet by 0.20 % (-0.10 to 0.50 %) at "
                              "most, in latency.mean.");
    CHECK(verdict.advice == "Any one device is enough, instead of all 3 clusters.");
    CHECK(clusters_toml(*verdict.enough) == "[clusters]\nmethod = \"single_device\"\n");
}

TEST_CASE("a fleet whose regret is above a per cent and above chance matters") {
    const auto of = regrets(0.05, 0.002, 0.004);
    const FleetVerdict verdict = fleet_verdict(of);
    CHECK(verdict.matters == FleetMatters::yes);
    CHECK_THAT(verdict.sentence, Catch::StartsWith("The fleet matters: ") &&
                                     Catch::Contains("5.0 % (4.6 to 5.4 %) in latency.mean") &&
                                     Catch::Contains("by 10 % (9.6 to 10 %)"));
    CHECK(verdict.enough->kind == ViewKind::largest_clusters);
    CHECK(verdict.advice ==
          "Representatives of the 2 largest clusters are enough, instead of all 3 clusters.");
    CHECK(clusters_toml(*verdict.enough) ==
          "[clusters]\nmethod = \"covering\"\nmost_clusters = 2\n");
    const auto all = regrets(0.05, 0.03, 0.004);
    CHECK(fleet_verdict(all).enough->kind == ViewKind::all_clusters);
    CHECK(fleet_verdict(all).advice == "Measure representatives of all 3 clusters.");
}

TEST_CASE("what a profile is too small to tell is said to be unknown") {
    const auto of = regrets(0.008, 0.0, 0.02);
    const FleetVerdict verdict = fleet_verdict(of);
    CHECK(verdict.matters == FleetMatters::unknown);
    CHECK_THAT(verdict.sentence, Catch::Contains("not known") &&
                                     Catch::Contains("0.80 % (-1.2 to 2.8 %)") &&
                                     Catch::Contains("profile.candidates"));
    CHECK(verdict.enough->kind == ViewKind::all_clusters);
}

TEST_CASE("the table of regrets has a line for each view but the one that sees all") {
    const std::string table = regret_table(regrets(0.05, 0.002, 0.004));
    CHECK_THAT(table, Catch::Contains("latency.mean") && Catch::Contains("latency.p95") &&
                          Catch::Contains("one device") &&
                          Catch::Contains("the 2 largest clusters") &&
                          Catch::Contains("5.00 (4.60 to 5.40)") &&
                          Catch::Contains("2.50 (2.10 to 2.90)"));
    CHECK_THAT(table, !Catch::Contains("all clusters"));
    CHECK(std::count(table.begin(), table.end(), '\n') == 5);
}
