#include "hdap/core/settings.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap::core;
using Catch::Contains;

namespace {

struct Example {
    std::int64_t population = 32;
    double eta = 15.0;
    bool augment = true;
    std::string metric = "level";
    std::vector<std::string> objectives{"latency.mean"};

    void describe(SettingVisitor& visitor) {
        visitor.section("search", "The search");
        visitor.integer("population", population, {4, 1000}, "Candidates a generation");
        visitor.real("eta", eta, {0.0, 100.0, true}, "Crossover index");
        visitor.text_list("objectives", objectives, "What is minimised");
        visitor.section("fleet.cluster", "The clusters");
        visitor.boolean("augment", augment, "Flips");
        visitor.text("metric", metric, {"level", "shape"}, "Signature");
    }
    void load(const std::string& toml, const std::vector<std::string>& overrides = {}) {
        load_settings(toml, "a.toml", overrides, [&](SettingVisitor& v) { describe(v); });
    }
};

std::string message_of(const std::string& toml, const std::vector<std::string>& overrides = {}) {
    Example example;
    try {
        example.load(toml, overrides);
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

} // namespace

TEST_CASE("an unknown key names file, line and the nearest valid key") {
    const std::string message = message_of("[search]\n\npopulaton = 8\n");
    CHECK_THAT(message, Contains("a.toml:3: unknown key 'search.populaton'"));
    CHECK_THAT(message, Contains("did you mean 'search.population'?"));
}

TEST_CASE("an unknown section names the nearest section") {
    CHECK_THAT(message_of("[serch]\npopulation = 8\n"),
               Contains("a.toml:1: unknown section 'serch' (did you mean 'search'?)"));
}

TEST_CASE("a section given as a value, and a key outside all sections, are errors") {
    CHECK_THAT(message_of("search = 3\n"), Contains("unknown key 'search'"));
    CHECK_THAT(message_of("population = 3\n"), Contains("unknown key 'population'"));
}

TEST_CASE("a value out of range or of another type names the value and what is allowed") {
    CHECK_THAT(message_of("[search]\npopulation = 2\n"),
               Contains("a.toml:2: search.population = 2 is out of range; allowed: [4, 1000]"));
    CHECK_THAT(message_of("[search]\npopulation = 8.5\n"), Contains("is not an integer"));
    CHECK_THAT(message_of("[search]\npopulation = \"8\"\n"), Contains("is not an integer"));
    CHECK_THAT(message_of("[search]\neta = 0.0\n"), Contains("allowed: (0.0, 100.0]"));
    CHECK_THAT(message_of("[search]\neta = nan\n"), Contains("not a finite number"));
    CHECK_THAT(message_of("[search]\nobjectives = [1]\n"), Contains("is not a list of texts"));
    CHECK_THAT(message_of("[fleet.cluster]\nmetric = \"shap\"\n"),
               Contains("is unknown (did you mean 'shape'?); known: level, shape"));
    CHECK_THAT(message_of("[fleet.cluster]\naugment = 1\n"), Contains("neither true nor false"));
}

TEST_CASE("text that is no TOML names file, line and column") {
    CHECK_THAT(message_of("[search]\npopulation = \n"), Contains("a.toml:2:"));
}

TEST_CASE("overrides win over the file and need no quotes for texts") {
    Example example;
    example.load("[search]\npopulation = 8\n",
                 {"search.population=16", "fleet.cluster.metric=shape", "search.eta=2"});
    CHECK(example.population == 16);
    CHECK(example.metric == "shape");
    CHECK(example.eta == 2.0);
    CHECK_THAT(message_of("", {"search.population=2"}),
               Contains("--set search.population=2: search.population = 2 is out of range"));
    CHECK_THAT(message_of("", {"population"}), Contains("expected KEY=VALUE"));
    CHECK_THAT(message_of("", {"a b=c"}), Contains("expected KEY=VALUE"));
}

TEST_CASE("the printed settings read back to the same settings") {
    Example original;
    original.load("[search]\npopulation = 99\neta = 0.1\nobjectives = [\"a\\\"b\", \"c\"]\n");
    const auto describe = [&](SettingVisitor& v) { original.describe(v); };
    const std::string printed = settings_as_toml(describe);
    CHECK_THAT(printed, Contains("# Candidates a generation; [4, 1000]\npopulation = 99\n"));
    Example copy;
    copy.load(printed);
    CHECK(copy.population == 99);
    CHECK(copy.eta == 0.1);
    CHECK(copy.objectives == std::vector<std::string>{"a\"b", "c"});
    CHECK(settings_as_toml([&](SettingVisitor& v) { copy.describe(v); }) == printed);
}

TEST_CASE("the canonical text holds the chosen settings only") {
    Example example;
    const auto describe = [&](SettingVisitor& v) { example.describe(v); };
    CHECK(canonical_settings(describe, {"fleet."}) ==
          "fleet.cluster.augment = true\nfleet.cluster.metric = \"level\"\n");
    CHECK(canonical_settings(describe, {"search.population"}) == "search.population = 32\n");
}
