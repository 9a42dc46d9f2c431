// hdap fleet advise and hdap fleet drift: what a study is told about its fleet, before and after.
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>

using namespace hdap::test;
using Catch::Contains;

namespace {

/// Without accuracies, over in a second; of devices that differ as much as they can.
Arguments hostile_study(const std::string& last_stage_options = "") {
    Arguments more{"--set", "fleet.synthetic.mixture=hostile",
                   "--set", "fleet.synthetic.devices=200",
                   "--set", "fleet.benchmarks=6",
                   "--set", "profile.candidates=60",
                   "--set", "accuracy.evaluator=none",
                   "--set", "data.file=",
                   "--set", "search.objectives=[\"latency.mean\",\"flops\"]",
                   "--set", "search.constraints=[]",
                   "--set", "finetune.candidates=0"};
    if (!last_stage_options.empty()) more.insert(more.end(), {"--set", last_stage_options});
    return more;
}

nlohmann::json document(const Outcome& outcome) {
    INFO(outcome.errors);
    REQUIRE(outcome.exit_code == 0);
    return nlohmann::json::parse(outcome.output);
}

} // namespace

TEST_CASE("A study says whether its fleet matters, and advise what is enough of it") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const Outcome ran = study.run({}, "run", hostile_study());
    INFO(ran.errors);
    REQUIRE(ran.exit_code == 0);
    CHECK_THAT(ran.errors, Contains("slower over the fleet by"));
    const Outcome text = study.call({.ranks = 0}, {"fleet", "advise", study / "run"});
    CHECK(text.exit_code == 0);
    CHECK_THAT(text.output, Contains("one device") && Contains("equal weights") &&
                                Contains("Kendall's tau") && Contains("[clusters]") &&
                                Contains("[profile]"));
    const auto after =
        document(study.call({.ranks = 0}, {"fleet", "advise", study / "run", "--json"}));
    CHECK_THAT(text.output, Contains(after.at("verdict").get<std::string>()));
    CHECK(after.at("candidates") == 60);
    CHECK(after.at("measurements") == 60 * after.at("devices").get<int>());
    const auto before =
        document(study.call({.ranks = 0}, {"fleet", "advise", study / "run/fleet.h5", "--json"}));
    CHECK_THAT(before.at("clusters_toml").get<std::string>(), Contains("[clusters]"));
    CHECK(before.at("clusters").get<int>() >= 1);
    CHECK(before.at("central_device").is_string());
    // A folder without surrogates, and what is no folder.
    const Outcome nothing = study.call({.ranks = 0}, {"fleet", "advise", study.folder()});
    CHECK(nothing.exit_code == 2);
    CHECK_THAT(nothing.errors, Contains("has no config.toml") && Contains("run directory"));
    CHECK(study.call({.ranks = 0}, {"fleet", "advise", study / "absent.h5"}).exit_code == 3);
}

TEST_CASE(
    "A fleet that changed is held against the study: clusters, devices, surrogates, network") {
    const TinyStudy study(TinyStudy::Weights::initial);
    REQUIRE(study.run({}, "run", hostile_study()).exit_code == 0);
    const auto drift = [&](const Arguments& more) {
        Arguments arguments{"fleet", "drift", study / "run"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return study.call({.ranks = 0}, arguments);
    };
    const auto same = document(drift({study / "run/fleet.h5", "--json"}));
    CHECK(same.at("mixture_changed") == false);
    CHECK(same.at("moved").empty());
    CHECK(same.at("common_devices") == 200);
    for (const auto& cluster : same.at("clusters"))
        CHECK(cluster.at("valid") == true);
    // Devices between clusters count to the nearest one in a drift.
    CHECK(same.at("deployed").at("now_ms").get<double>() ==
          Approx(same.at("deployed").at("then_ms").get<double>()).epsilon(0.005));
    CHECK(same.at("deployed").at("id") == same.at("deployed").at("best_id"));

    // The same devices and benchmarks; half of them now have a slow processor.
    Arguments arguments{"fleet", "synth", study.config(), "--out", study / "later"};
    for (const std::string& argument : hostile_study("fleet.synthetic.slow_cpu_share=0.5"))
        arguments.push_back(argument);
    const Outcome later = study.call({.ranks = 0}, arguments);
    INFO(later.errors);
    REQUIRE(later.exit_code == 0);
    const auto changed = document(drift({study / "later/fleet.h5", "--json"}));
    CHECK(changed.at("mixture_changed") == true);
    CHECK(changed.at("moved").size() > 10);
    CHECK(changed.at("deployed").at("now_ms") > changed.at("deployed").at("then_ms"));
    const Outcome text = drift({study / "later/fleet.h5", "--deployed", "front-01"});
    CHECK_THAT(text.output, Contains("cluster") && Contains("valid; another share") &&
                                Contains("The mixture has changed") && Contains("front-01 takes"));

    CHECK(drift({study / "later/fleet.h5", "--deployed", "front-999"}).exit_code == 2);
    // Of a study that is not complete all but its network can be told.
    std::filesystem::remove(study / "run/results.h5");
    CHECK_FALSE(document(drift({study / "later/fleet.h5", "--json"})).contains("deployed"));
    CHECK_THAT(drift({study / "later/fleet.h5", "--deployed", "front-01"}).errors,
               Contains("complete study"));
    const Outcome fleets = study.call(
        {.ranks = 0}, {"fleet", "drift", study / "run/fleet.h5", study / "later/fleet.h5"});
    CHECK(fleets.exit_code == 0);
    CHECK_THAT(fleets.output, !Contains("front-"));
    const Outcome wrong = study.call({.ranks = 0}, {"fleet", "drift", study / "run/fleet.h5",
                                                    study / "later/fleet.h5", "--deployed", "x"});
    CHECK(wrong.exit_code == 2);
    CHECK_THAT(wrong.errors, Contains("--deployed"));
    CHECK(study.call({.ranks = 0}, {"fleet", "drift", study.folder(), study / "later/fleet.h5"})
              .exit_code == 2);
}
