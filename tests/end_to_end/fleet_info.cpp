// hdap fleet info: what it says of a fleet, on the terminal and as JSON.
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fstream>

using namespace hdap::test;
using Catch::Contains;

namespace {

/// A table of 40 devices with a ratio each, of which every fourth has an old firmware that makes
/// the last two of `benchmarks` benchmarks slower by `slower`.
std::string fleet_file(const TinyStudy& study, int benchmarks, double slower) {
    std::ofstream table(study / "table.csv");
    table << "device_id,benchmark,run,latency_ms,firmware\n";
    for (int d = 0; d < 40; ++d)
        for (int b = 0; b < benchmarks; ++b)
            for (int run = 0; run < 5; ++run) {
                const double ratio = 1.0 + 0.004 * (d * 7 % 10);
                const double ms = 10.0 * (b + 1) * ratio * (d % 4 == 0 && b > 1 ? slower : 1.0) *
                                  (1.0 + 1e-5 * (run - 2));
                table << fmt::format("device-{},net-{},{},{:.6f},{}\n", d, b, run, ms,
                                     d % 4 == 0 ? "1.0" : "2.0");
            }
    table.close();
    const Outcome imported = study.call({.ranks = 0}, {"fleet", "import", study / "table.csv",
                                                       study / "fleet.h5", "--sku", "board"});
    INFO(imported.errors);
    REQUIRE(imported.exit_code == 0);
    return study / "fleet.h5";
}

Outcome info(const TinyStudy& study, const Arguments& more) {
    Arguments arguments{"fleet", "info"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return study.call({.ranks = 0}, arguments);
}

} // namespace

TEST_CASE("A fleet whose firmware changes the order of networks matters, and says what it costs") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string file = fleet_file(study, 4, 1.3);
    const Outcome text = info(study, {file});
    CHECK(text.exit_code == 0);
    CHECK_THAT(text.output, Contains("40 devices of board") && Contains("noise (of runs)") &&
                                Contains("firmware") && Contains("Devices differ by") &&
                                Contains("can make the fleet's mean up to"));
    const auto json = nlohmann::json::parse(info(study, {file, "--json"}).output);
    CHECK(json.at("benchmarks").size() == 4);
    const auto& differences = json.at("differences");
    CHECK(differences.at("noise") == "runs");
    CHECK(differences.at("explanations").at(0).at("name") == "firmware");
    CHECK(differences.at("explanations").at(0).at("shape_p") < 0.05);
    CHECK(differences.at("regret").at("mean").at("one_device_p95").at("value") > 0.1);
    CHECK_THAT(text.output, Contains(differences.at("verdict").get<std::string>()));
}

TEST_CASE("A fleet of one ratio per device does not matter") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto json =
        nlohmann::json::parse(info(study, {fleet_file(study, 4, 1.0), "--json"}).output);
    CHECK(json.at("differences").at("dimension").at("rank") == 1);
    CHECK(json.at("differences").at("dimension").at("one_ratio") == true);
    CHECK_THAT(json.at("differences").at("verdict").get<std::string>(),
               Contains("one device stands for all"));
}

TEST_CASE("Of one benchmark it says what that cannot tell") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string file = fleet_file(study, 1, 1.0);
    const Outcome text = info(study, {file});
    CHECK(text.exit_code == 0);
    CHECK_THAT(text.output, Contains("one benchmark cannot tell") && !Contains("nan"));
    const auto json = nlohmann::json::parse(info(study, {file, "--json"}).output);
    CHECK(json.at("differences").at("dimension").at("rank").is_null());
    CHECK_THAT(json.at("differences").at("dimension").at("unknown").get<std::string>(),
               Contains("there is one benchmark"));
}

TEST_CASE("Advice asks for no more devices than there are") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "table.csv") << "device_id,benchmark,latency_ms\n"
                                          "one,a,1.5\none,b,2.5\none,c,4.5\n";
    REQUIRE(study
                .call({.ranks = 0},
                      {"fleet", "import", study / "table.csv", study / "one.h5", "--sku", "board"})
                .exit_code == 0);
    const auto advice = nlohmann::json::parse(
        study.call({.ranks = 0}, {"fleet", "advise", study / "one.h5", "--json"}).output);
    CHECK(advice.at("clusters") == 1);
    CHECK(advice.at("devices") == 1);
    CHECK(advice.at("central_device").is_null());
}
