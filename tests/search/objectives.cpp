#include "hdap/search/objectives.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <limits>
#include <set>
#include <string>
#include <vector>

using namespace hdap::search;
using Catch::Matchers::Contains;
using hdap::core::ConfigError;
using hdap::core::InternalError;

namespace {

const CandidateFigures unpruned{20, 30, 0.9, 0, 1000, 500, 64};

CandidateFigures with_flops(double flops) {
    CandidateFigures figures = unpruned;
    figures.flops = flops;
    return figures;
}

} // namespace

TEST_CASE("an unknown figure is refused with the nearest and all known names") {
    CHECK_THROWS_AS(parse_figure(""), ConfigError);
    CHECK_THROWS_AS(parse_figure("FLOPS"), ConfigError);
    CHECK_THROWS_AS(parse_figure("flops "), ConfigError);
    CHECK_THROWS_WITH(parse_figure("latency.maen"),
                      Contains("'latency.mean'") && Contains("memory.peak"));
    CHECK_THROWS_WITH(parse_figure(std::string(100000, 'a')), Contains("..."));
}

TEST_CASE("a malformed constraint is refused with its text and the position") {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"", "position 1: expected the name of a figure"},
        {"   ", "position 4"},
        {"<= 3", "position 1: expected the name of a figure"},
        {"flops", "position 6: expected \"<=\""},
        {"flops < 3", "position 7: expected \"<=\""},
        {"flops >= 3", "position 7: expected \"<=\""},
        {"flops = 3", "position 7: expected \"<=\""},
        {"flops < = 3", "position 7: expected \"<=\""},
        {"flopz <= 3", "position 1: unknown figure"},
        {"accuracy <= 0.9", "position 1: unknown figure"},
        {"flops params <= 3", "position 7: expected \"<=\""},
        {"flops <=", "position 9: expected a number"},
        {"flops <= x", "position 10: expected a number"},
        {"flops <= +3", "position 10: expected a number"},
        {"flops <= 3 GB", "position 12: unexpected text"},
        {"flops <= 3xx", "position 12: unexpected text"},
        {"flops <= 3,5", "position 11: unexpected text"},
        {"flops <= 0x10", "position 12: unexpected text"},
        {"flops <= 3\n", "position 11: unexpected text"},
        {"flops <= 0", "position 10: the bound must be a positive number"},
        {"flops <= -1", "position 10: the bound must be a positive number"},
        {"flops <= inf", "position 10: the bound must be a positive number"},
        {"flops <= nan", "position 10: the bound must be a positive number"},
        {"flops <= 1e999", "position 10: the bound is out of range"},
        {"accuracy_drop <= 0.5x", "position 18: accuracy_drop cannot be relative"},
        {"accuracy_drop <= 5", "position 18: accuracy_drop is a share"},
    };
    for (const auto& [text, message] : wrong) {
        INFO(text);
        CHECK_THROWS_AS(parse_constraint(text), ConfigError);
        CHECK_THROWS_WITH(parse_constraint(text),
                          Contains("\"" + text + "\"") && Contains(message));
    }
    CHECK_THROWS_AS(parse_constraint("flops <= 0.5x" + std::string(1000000, ' ') + "y"),
                    ConfigError);
}

TEST_CASE("a violation needs numbers and a positive reference") {
    const Constraint half = parse_constraint("flops <= 0.5x");
    const double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(violation(half, with_flops(nan), unpruned), InternalError);
    CHECK_THROWS_AS(violation(half, unpruned, with_flops(0)), InternalError);
    CHECK_THROWS_AS(violation(half, unpruned, with_flops(nan)), InternalError);
}

TEST_CASE("every figure has its own name and value, and is parsed back") {
    const CandidateFigures figures{1, 2, 0.5, 0.25, 3, 4, 5};
    std::set<std::string> names;
    std::multiset<double> values;
    for (const Figure figure : all_figures) {
        names.insert(name_of(figure));
        values.insert(value_of(figures, figure));
        CHECK(parse_figure(name_of(figure)) == figure);
    }
    CHECK(names == std::set<std::string>{"latency.mean", "latency.worst_cluster", "accuracy_drop",
                                         "flops", "params", "memory.peak"});
    CHECK(values == std::multiset<double>{0.25, 1, 2, 3, 4, 5});
    CHECK(value_of(figures, Figure::latency_worst_cluster) == 2);
    CHECK(value_of(figures, Figure::accuracy_drop) == 0.25);
}

TEST_CASE("constraints are parsed with and without blanks") {
    for (const std::string text : {"flops <= 0.5x", "flops<=0.5x", "\tflops  <=0.5 x "}) {
        INFO(text);
        const Constraint constraint = parse_constraint(text);
        CHECK(constraint.figure == Figure::flops);
        CHECK(constraint.bound == 0.5);
        CHECK(constraint.relative);
        CHECK(constraint.text == text);
    }
    const Constraint latency = parse_constraint("latency.mean <= 1.25e1");
    CHECK(latency.figure == Figure::latency_mean);
    CHECK(latency.bound == 12.5);
    CHECK_FALSE(latency.relative);
    CHECK(parse_constraint("accuracy_drop <= 1").bound == 1);
}

TEST_CASE("a violation is the excess relative to the bound, and 0 at the bound") {
    const Constraint half = parse_constraint("flops <= 0.5x");
    CHECK(violation(half, with_flops(100), unpruned) == 0);
    CHECK(violation(half, with_flops(500), unpruned) == 0);
    CHECK(violation(half, with_flops(750), unpruned) == Approx(0.5));
    CHECK(violation(half, unpruned, unpruned) == Approx(1));
    CHECK(violation(parse_constraint("flops <= 800"), unpruned, unpruned) == Approx(0.25));

    CandidateFigures better = unpruned;
    better.accuracy_drop = -0.02;
    const Constraint drop = parse_constraint("accuracy_drop <= 0.05");
    CHECK(violation(drop, better, unpruned) == 0);
    better.accuracy_drop = 0.1;
    CHECK(violation(drop, better, unpruned) == Approx(1));

    // The smallest possible excess still counts.
    CHECK(violation(half, with_flops(std::nextafter(500.0, 501.0)), unpruned) > 0);
}

TEST_CASE("violations of several constraints add up") {
    const std::vector<Constraint> constraints{parse_constraint("flops <= 0.5x"),
                                              parse_constraint("latency.mean <= 16"),
                                              parse_constraint("params <= 1x")};
    CHECK(total_violation(constraints, unpruned, unpruned) == Approx(1.25));
    CHECK(total_violation({}, unpruned, unpruned) == 0);
}
