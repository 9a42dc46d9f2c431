#include "hdap/core/settings.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap::core;
using Catch::Contains;
using Catch::StartsWith;

namespace {

enum class Metric { level, shape };

struct Example {
    std::string preset;
    std::int64_t population = 32;
    std::int64_t generations = 20;
    double eta = 15.0;
    bool augment = true;
    Metric metric = Metric::level;
    std::string algorithm = "nsga2";
    std::string weights;
    std::vector<std::string> objectives{"latency.mean"};
    std::vector<double> mean;

    Configuration configuration() {
        return {{"",
                 "",
                 {text("preset", preset, {"", "paper", "fast"}, "What the rest begins with",
                       Outputs::nothing)}},
                {"search",
                 "The search",
                 {text("algorithm", algorithm, {"nsga2", "random"}, "Chooses candidates",
                       Outputs::search),
                  integer("population", population, {4, 1000}, "Candidates per generation",
                          Outputs::search),
                  integer("generations", generations, {}, "Generations", Outputs::search_length),
                  real("eta", eta, {0.0, 100.0, true}, "Crossover index", Outputs::search),
                  text_list("objectives", objectives, "What is minimised",
                            Outputs::search | Outputs::results),
                  real_list("mean", mean, {-1.0, 255.0}, "Of pixels", Outputs::nothing)}},
                {"fleet.cluster",
                 "The clusters",
                 {boolean("augment", augment, "Flips", Outputs::nothing),
                  choice("metric", metric, {{"level", Metric::level}, {"shape", Metric::shape}},
                         "Signature", Outputs::clusters),
                  path("weights", weights, "A file", Outputs::fleet)}}};
    }
    void load(const std::string& toml, const std::vector<std::string>& overrides = {}) {
        load_settings(configuration(), toml, "a.toml", overrides);
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

TEST_CASE("a key in the wrong section names the one that it belongs to") {
    CHECK_THAT(message_of("population = 3\n"),
               Contains("a.toml:1: unknown key 'population' (did you mean 'search.population'?)"));
    CHECK_THAT(message_of("[fleet.cluster]\npopulation = 3\n"),
               Contains("unknown key 'fleet.cluster.population' (did you mean "
                        "'search.population'?)"));
    CHECK_THAT(message_of("[search]\npreset = \"paper\"\n"),
               Contains("a.toml:2: unknown key 'search.preset' (did you mean 'preset' above all "
                        "sections?)"));
    CHECK_THAT(message_of("", {"generations=3"}), Contains("did you mean 'search.generations'?"));
}

TEST_CASE("a setting above all sections is loaded, overridden, printed first and read back") {
    Example example;
    example.load("preset = \"paper\"\n[search]\npopulation = 8\n");
    CHECK(example.preset == "paper");
    example.load("", {"preset=fast"});
    CHECK(example.preset == "fast");
    const std::string printed = settings_as_toml(example.configuration());
    CHECK_THAT(printed, StartsWith("# What the rest begins with; \"\" | paper | fast\n"
                                   "preset = \"fast\"\n\n# The search\n[search]\n"));
    Example copy;
    copy.load(printed);
    CHECK(copy.preset == "fast");
    CHECK_THAT(setting_lines(copy.configuration()), StartsWith("preset = \"fast\"\nsearch."));
}

TEST_CASE("a mistake in a setting above all sections is told as any other") {
    CHECK_THAT(message_of("preset = \"papper\"\n"),
               Contains("a.toml:1: preset = 'papper' is unknown (did you mean 'paper'?); known: "
                        "\"\", paper, fast"));
    CHECK_THAT(message_of("preset = 3\n"), Contains("a.toml:1: preset = 3 is not a text"));
    CHECK_THAT(message_of("[preset]\nname = \"paper\"\n"),
               Contains("a.toml:1: preset = ") && Contains("is not a text in quotes"));
    CHECK_THAT(message_of("", {"preset=papper"}),
               Contains("--set preset=papper: preset = 'papper' is unknown"));
    CHECK_THAT(message_of("preste = \"paper\"\n"),
               Contains("a.toml:1: unknown key 'preste' (did you mean 'preset'?)"));
}

TEST_CASE("a remark stands below the comment of its setting") {
    Example example;
    Configuration configuration = example.configuration();
    configuration[1].settings[1].remark = "the paper says 10";
    CHECK_THAT(settings_as_toml(configuration),
               Contains("# Candidates per generation; [4, 1000]\n# the paper says 10\n"
                        "population = 32\n"));
}

TEST_CASE("a value out of range or of another type names the value and what is allowed") {
    CHECK_THAT(message_of("[search]\npopulation = 2\n"),
               Contains("a.toml:2: search.population = 2 is out of range; allowed: [4, 1000]"));
    CHECK_THAT(message_of("[search]\npopulation = 8.5\n"), Contains("is not an integer"));
    CHECK_THAT(message_of("[search]\npopulation = \"8\"\n"), Contains("is not an integer"));
    CHECK_THAT(message_of("[search]\neta = 0.0\n"), Contains("allowed: (0.0, 100.0]"));
    CHECK_THAT(message_of("[search]\neta = nan\n"), Contains("not a finite number"));
    CHECK_THAT(message_of("[search]\nobjectives = [1]\n"), Contains("is not a list of texts"));
    CHECK_THAT(message_of("[search]\nmean = [1.0, 256]\n"),
               Contains("search.mean = [ 1.0, 256 ] is out of range; allowed: [-1.0, 255.0]"));
    CHECK_THAT(message_of("[search]\nmean = [\"1\"]\n"), Contains("is not a number"));
    CHECK_THAT(message_of("[search]\nmean = [nan]\n"), Contains("is not a finite number"));
    CHECK_THAT(message_of("[fleet.cluster]\nmetric = \"shap\"\n"),
               Contains("is unknown (did you mean 'shape'?); known: level, shape"));
    CHECK_THAT(message_of("[search]\nalgorithm = \"nsga3\"\n"),
               Contains("a.toml:2: search.algorithm = 'nsga3' is unknown (did you mean 'nsga2'?); "
                        "known: nsga2, random"));
    CHECK_THAT(message_of("[fleet.cluster]\nmetric = 1\n"), Contains("is not a text in quotes"));
    CHECK_THAT(message_of("[fleet.cluster]\nweights = 1\n"), Contains("is not a text in quotes"));
    CHECK_THAT(message_of("[fleet.cluster]\naugment = 1\n"), Contains("neither true nor false"));
}

TEST_CASE("text that is no TOML names file, line and column") {
    CHECK_THAT(message_of("[search]\npopulation = \n"), Contains("a.toml:2:"));
}

TEST_CASE("overrides win over the file and need no quotes for texts") {
    Example example;
    example.load(
        "[search]\npopulation = 8\n",
        {"search.population=16", "fleet.cluster.metric=shape", "search.eta=2", "search.mean=0.5"});
    CHECK(example.mean == std::vector<double>{0.5});
    CHECK(example.population == 16);
    CHECK(example.metric == Metric::shape);
    CHECK(example.eta == 2.0);
    CHECK_THAT(message_of("", {"search.population=2"}),
               Contains("--set search.population=2: search.population = 2 is out of range"));
    CHECK_THAT(message_of("", {"population"}), Contains("expected KEY=VALUE"));
    CHECK_THAT(message_of("", {"a b=c"}), Contains("expected KEY=VALUE"));
}

TEST_CASE("every kind of setting is printed and read back") {
    Example original;
    original.load("[search]\nalgorithm = \"random\"\npopulation = 99\ngenerations = -1\neta = 0.1\n"
                  "objectives = [\"a\\\"b\", \"c\"]\nmean = [0.1, 2]\n"
                  "[fleet.cluster]\naugment = false\nmetric = \"shape\"\nweights = \"w.h5\"\n");
    const std::string printed = settings_as_toml(original.configuration());
    CHECK_THAT(printed, Contains("# The search\n[search]\n") && Contains("\n\n# The clusters\n") &&
                            Contains("# Candidates per generation; [4, 1000]\npopulation = 99\n") &&
                            Contains("# Generations\ngenerations = -1\n") &&
                            Contains("# Signature; level | shape\nmetric = \"shape\"\n"));
    Example copy;
    copy.load(printed);
    CHECK(copy.algorithm == "random");
    CHECK(copy.population == 99);
    CHECK(copy.generations == -1);
    CHECK(copy.eta == 0.1);
    CHECK(copy.mean == std::vector<double>{0.1, 2.0});
    CHECK(copy.objectives == std::vector<std::string>{"a\"b", "c"});
    CHECK_FALSE(copy.augment);
    CHECK(copy.metric == Metric::shape);
    CHECK(copy.weights == "w.h5");
    CHECK(settings_as_toml(copy.configuration()) == printed);
}

TEST_CASE("the canonical lines are those of the settings that shape an output") {
    Example example;
    const auto lines = [&](Outputs outputs) {
        return canonical_lines(example.configuration(), outputs);
    };
    CHECK(lines(Outputs::nothing).empty());
    CHECK(lines(Outputs::networks).empty());
    CHECK(lines(Outputs::search_length) == "search.generations = 20\n");
    CHECK(lines(Outputs::clusters | Outputs::results) ==
          "search.objectives = [\"latency.mean\"]\nfleet.cluster.metric = \"level\"\n");
    CHECK_THAT(lines(Outputs::search), !Contains("generations"));
    CHECK_THAT(lines(without(Outputs::everything, Outputs::search_length)),
               Contains("search.eta") && !Contains("generations"));
    CHECK_THAT(lines(Outputs::everything), !Contains("augment"));
    CHECK_THAT(setting_lines(example.configuration()),
               Contains("fleet.cluster.augment = true\n") && Contains("search.generations = 20\n"));
}

TEST_CASE("whether a path is given is canonical, but not where it leads") {
    Example example;
    CHECK(canonical_lines(example.configuration(), Outputs::fleet) ==
          "fleet.cluster.weights = \"\"\n");
    example.weights = "/a/w.h5";
    CHECK(canonical_lines(example.configuration(), Outputs::fleet) ==
          "fleet.cluster.weights = a file\n");
    CHECK_THAT(setting_lines(example.configuration()),
               Contains("fleet.cluster.weights = \"/a/w.h5\"\n"));
}

TEST_CASE("differences are named with both values, where they shape an output") {
    Example here;
    Example there;
    there.load("",
               {"search.population=64", "search.generations=30", "fleet.cluster.augment=false"});
    const auto differences = [&](Outputs outputs) {
        return setting_differences(there.configuration(), here.configuration(), outputs);
    };
    CHECK(differences(Outputs::clusters).empty());
    CHECK(differences(Outputs::everything) ==
          std::vector<std::string>{"search.population = 64 there, 32 here",
                                   "search.generations = 30 there, 20 here"});
}

TEST_CASE("the paths of a configuration are found by their kind") {
    Example example;
    const auto paths = path_settings(example.configuration());
    REQUIRE(paths.size() == 1);
    CHECK(paths[0].first == "fleet.cluster.weights");
    *paths[0].second = "elsewhere";
    CHECK(example.weights == "elsewhere");
}
