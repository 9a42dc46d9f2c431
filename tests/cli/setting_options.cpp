#include "cli/setting_options.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

using namespace hdap;
using Catch::Contains;
using core::Outputs;

namespace {

enum class Metric { level, shape };

struct Example {
    std::int64_t min_points = 5;
    double rate = 0.05;
    bool augment = true;
    std::string schedule = "cosine";
    std::string file;
    std::vector<std::string> layers;
    std::vector<double> mean;
    std::string network;
    Metric metric = Metric::level;
    CLI::App app{"example"};

    Example() {
        cli::add_setting_options(
            app,
            {core::integer("min_points", min_points, {0, 10}, "Points", Outputs::nothing),
             core::real("rate", rate, {0.0, 1.0, true}, "The rate", Outputs::nothing),
             core::boolean("augment", augment, "Flips", Outputs::nothing),
             core::text("schedule", schedule, {"cosine", "step"}, "How it falls", Outputs::nothing),
             core::path("file", file, "A file", Outputs::nothing),
             core::text_list("layers", layers, "Some layers", Outputs::nothing),
             core::real_list("mean", mean, {-1.0, 255.0}, "Of pixels", Outputs::nothing),
             core::choice("metric", metric, {{"level", Metric::level}, {"shape", Metric::shape}},
                          "What is compared", Outputs::nothing)});
        app.add_option("NETWORK", network);
    }

    void parse(std::vector<std::string> arguments) {
        std::reverse(arguments.begin(), arguments.end()); // as CLI11 wants them
        app.parse(arguments);
    }
};

std::string refusal(std::vector<std::string> arguments) {
    Example example;
    try {
        example.parse(std::move(arguments));
    } catch (const CLI::ParseError& error) {
        return error.what();
    }
    return "no error";
}

} // namespace

TEST_CASE("an option refuses what the setting refuses") {
    CHECK_THAT(refusal({"--min-points", "11"}),
               Contains("--min-points") && Contains("'11' is not in [0 - 10]"));
    CHECK_THAT(refusal({"--min-points", "2.5"}), Contains("--min-points") && Contains("2.5"));
    CHECK_THAT(refusal({"--rate", "0"}), Contains("--rate") && Contains("'0' is not above 0"));
    CHECK_THAT(refusal({"--rate", "nan"}), Contains("'nan' is not a finite number"));
    CHECK_THAT(refusal({"--mean", "1,256"}), Contains("--mean") && Contains("'256' is not in"));
    CHECK_THAT(refusal({"--schedule", "cos"}), Contains("--schedule") && Contains("cosine"));
    CHECK_THAT(refusal({"--metric", "size"}), Contains("--metric") && Contains("shape"));
    CHECK_THAT(refusal({"--min_points", "1"}), Contains("--min_points"));
}

TEST_CASE("without options all settings keep their values") {
    Example example;
    example.parse({});
    CHECK(example.min_points == 5);
    CHECK(example.rate == 0.05);
    CHECK(example.augment);
    CHECK(example.schedule == "cosine");
    CHECK(example.file.empty());
    CHECK(example.layers.empty());
    CHECK(example.metric == Metric::level);
}

TEST_CASE("options set settings of every kind") {
    Example example;
    example.parse({"--min-points", "7", "--rate", "1", "--no-augment", "--schedule", "step",
                   "--file", "a b", "--layers", "x,y", "--metric", "shape", "--mean", "-0.5,104",
                   "a.onnx"});
    CHECK(example.mean == std::vector<double>{-0.5, 104.0});
    CHECK(example.network == "a.onnx");
    CHECK(example.min_points == 7);
    CHECK(example.rate == 1.0);
    CHECK_FALSE(example.augment);
    CHECK(example.schedule == "step");
    CHECK(example.file == "a b");
    CHECK(example.layers == std::vector<std::string>{"x", "y"});
    CHECK(example.metric == Metric::shape);
    Example again;
    again.augment = false;
    again.parse({"--augment"});
    CHECK(again.augment);
}

TEST_CASE("the help says comment, choices, range and default") {
    Example example;
    const std::string help = example.app.help();
    // Versions of CLI11 write defaults as "=5" or as "[5]".
    CHECK_THAT(help, Contains("Points") && Contains("in [0 - 10]") &&
                         (Contains("=5") || Contains("[5]")));
    CHECK_THAT(help, Contains("What is compared") && Contains("{level,shape}") &&
                         (Contains("=level") || Contains("[level]")));
    CHECK_THAT(help, Contains("--augment,--no-augment") && Contains("Flips (default: yes)"));
}
