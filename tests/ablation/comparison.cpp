#include "hdap/ablation/comparison.hpp"

#include "ablation/synthetic_cells.hpp"
#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

using namespace hdap;
using namespace hdap::ablation;
using Catch::Contains;

namespace {

constexpr double absent = std::numeric_limits<double>::quiet_NaN();

/// A collection of all cells of `plan` with one metric, "score", that `value` gives.
Collection scores(const Plan& plan, const std::function<double(const Cell&)>& value) {
    Collection collection;
    collection.final_metrics = {{.name = "score", .unit = "1", .values = {}}};
    for (std::size_t i = 0; i < plan.cells.size(); ++i) {
        collection.cells.push_back(i);
        collection.final_metrics[0].values.push_back(value(plan.cells[i]));
    }
    return collection;
}

double number(const Cell& cell, std::size_t axis) {
    return std::stod(cell.labels[axis]);
}

Plan methods_and_seeds() {
    return test::grid_plan({"method", "seed"},
                           {{"plain", "better", "same"}, {"1", "2", "3", "4", "5", "6", "7"}});
}

const Comparison with_plain{.axis = "method", .baseline = "plain", .within = {}};

/// "better" gains 0.5 for odd seeds and 1 for even ones.
double score(const Cell& cell) {
    const double seed = number(cell, 1);
    if (cell.labels[0] != "better") return seed;
    return seed + (std::fmod(seed, 2.0) == 0.0 ? 1.0 : 0.5);
}

} // namespace

TEST_CASE("an unknown or ambiguous baseline is a UsageError that says what to do") {
    Plan plan = test::grid_plan({"a", "b"}, {{"x", "y"}, {"x", "z"}});
    CHECK_THROWS_WITH(choose_comparison(plan, "w"), Contains("any axis"));
    CHECK_THROWS_WITH(choose_comparison(plan, "x"),
                      Contains("several axes") && Contains("compare = \"a\""));
    plan.comparison = {.axis = "b", .baseline = "x", .within = {"a"}};
    CHECK_THROWS_WITH(choose_comparison(plan, "y"), Contains("the axis b"));
    CHECK_THROWS_AS(choose_comparison(plan, "y"), core::UsageError);
}

TEST_CASE("the baseline comes from the plan unless another is named") {
    Plan plan = test::grid_plan({"a", "b"}, {{"x", "y"}, {"x", "z"}});
    CHECK(choose_comparison(plan, "").axis.empty());
    CHECK(choose_comparison(plan, "z") == Comparison{"b", "z", {}});
    plan.comparison = {.axis = "b", .baseline = "x", .within = {"a"}};
    CHECK(choose_comparison(plan, "") == plan.comparison);
    CHECK(choose_comparison(plan, "z") == Comparison{"b", "z", {"a"}});
    CHECK(choose_comparison(plan, "none") == Comparison{});
    plan.comparison.fleets = "a";
    CHECK(choose_comparison(plan, "none").fleets == "a");
    plan.comparison = {.axis = {}, .baseline = {}, .within = {}, .fleets = "a"};
    CHECK(choose_comparison(plan, "z").fleets == "a");
    CHECK(choose_comparison(plan, "y").fleets.empty()); // a itself is compared
}

TEST_CASE("cells that are equal on all other axes are paired") {
    const Plan plan = methods_and_seeds();
    const auto rows = compare(plan, scores(plan, score), with_plain);
    REQUIRE(rows.size() == 3);
    CHECK(rows[0].label == "plain");
    CHECK_FALSE(rows[0].difference.has_value());
    CHECK(rows[0].summary.median == 4.0);
    CHECK(rows[0].summary.count == 7);

    CHECK(rows[1].label == "better");
    REQUIRE(rows[1].difference.has_value());
    const PairedDifference better = *rows[1].difference;
    CHECK(better.pairs == 7);
    CHECK(better.baseline_median == 4.0);
    CHECK(better.shift == 0.75); // between the two gains
    CHECK(better.ratio_percent == Approx(100.0 * 7.0 / 6.0));
    CHECK(better.effect == 1.0);
    CHECK(better.p == 2.0 / 128.0);
    CHECK(better.p_holm == 4.0 / 128.0); // two labels are tested

    const PairedDifference same = rows[2].difference.value();
    CHECK(same.shift == 0.0);
    CHECK(same.ratio_percent == 100.0);
    CHECK(same.effect == 0.0);
    CHECK(same.p_holm == 1.0);
}

TEST_CASE("the order of the cells in the plan does not matter for pairs") {
    Plan plan = methods_and_seeds();
    const auto expected = compare(plan, scores(plan, score), with_plain);
    std::reverse(plan.cells.begin() + 1, plan.cells.end());
    const auto rows = compare(plan, scores(plan, score), with_plain);
    REQUIRE(rows.size() == expected.size());
    CHECK(rows[0].label == "plain");
    CHECK(rows[2].label == "better");
    CHECK(rows[2].difference->p == expected[1].difference->p);
    CHECK(rows[2].difference->shift == expected[1].difference->shift);
}

TEST_CASE("pairs that lack a side are left out and counted as missing") {
    const Plan plan = methods_and_seeds();
    Collection collection = scores(plan, [](const Cell& cell) {
        return cell.labels[0] == "better" && cell.labels[1] == "3" ? absent : score(cell);
    });
    collection.cells.erase(collection.cells.begin()); // plain, seed 1: not complete
    collection.final_metrics[0].values.erase(collection.final_metrics[0].values.begin());
    const auto rows = compare(plan, collection, with_plain);
    CHECK(rows[0].summary.count == 6);
    CHECK(rows[0].summary.missing == 1);
    CHECK(rows[1].summary.missing == 1);
    CHECK(rows[1].difference->pairs == 5);
    CHECK(rows[2].difference->pairs == 6);
}

TEST_CASE("a label without pairs has a summary and no difference, and counts as no test") {
    const Plan plan = methods_and_seeds();
    const auto rows = compare(
        plan,
        scores(plan,
               [](const Cell& cell) { return cell.labels[0] == "same" ? absent : score(cell); }),
        with_plain);
    CHECK(rows[2].summary.count == 0);
    CHECK_FALSE(rows[2].difference.has_value());
    CHECK(rows[1].difference->p_holm == rows[1].difference->p);
}

TEST_CASE("groups are compared separately") {
    const Plan plan = test::grid_plan({"fleet", "method", "seed"},
                                      {{"small", "large"}, {"x", "y"}, {"1", "2", "3"}});
    const auto rows =
        compare(plan,
                scores(plan,
                       [](const Cell& cell) {
                           const double gain = cell.labels[0] == "small" ? 2.0 : -1.0;
                           return number(cell, 2) + (cell.labels[1] == "y" ? gain : 0.0);
                       }),
                {.axis = "method", .baseline = "x", .within = {"fleet"}});
    REQUIRE(rows.size() == 4);
    CHECK(rows[0].group == "fleet=small");
    CHECK(rows[1].difference->shift == 2.0);
    CHECK(rows[1].difference->pairs == 3);
    CHECK(rows[2].group == "fleet=large");
    CHECK(rows[3].difference->shift == -1.0);
    CHECK(rows[3].difference->effect == -1.0);
}

TEST_CASE("over fleets, each fleet is one difference: the mean over its seeds") {
    const Plan plan =
        test::grid_plan({"fleet", "method", "seed"}, {{"a", "b", "c"}, {"x", "y"}, {"1", "2"}});
    // By fleet and seed: the gain of y. Fleet c has lost its second seed.
    const std::map<std::string, std::vector<double>> gains{
        {"a", {1.0, 3.0}}, {"b", {-2.0, 0.0}}, {"c", {8.0, absent}}};
    const auto value = [&](const Cell& cell) {
        const double base = 10.0 * number(cell, 2);
        if (cell.labels[1] == "x") return base;
        return base + gains.at(cell.labels[0])[static_cast<std::size_t>(number(cell, 2)) - 1];
    };
    const auto rows = compare(plan, scores(plan, value),
                              {.axis = "method", .baseline = "x", .within = {}, .fleets = "fleet"});
    REQUIRE(rows.size() == 2 + 3 * 2);
    CHECK(rows[0].summary.count == 3); // fleets
    CHECK(rows[0].summary.median == 15.0);
    CHECK(rows[1].fleet.empty());
    CHECK(rows[1].summary.missing == 1);   // cells
    CHECK(rows[1].summary.median == 17.0); // of 17, 14 and 18
    const PairedDifference over = rows[1].difference.value();
    CHECK(over.pairs == 5);
    CHECK(over.fleets == 3);
    CHECK(over.tested() == 3);
    // Of the fleets' means 2, -1 and 8: the means of pairs are -1, 0.5, 2, 3.5, 5, 8.
    CHECK(over.shift == 2.75);
    CHECK(over.p == 0.5); // ranks 2 and 3 against 1
    CHECK(over.effect == Approx(4.0 / 6.0));
    CHECK(over.baseline_median == 15.0);
    CHECK(over.ratio_percent == Approx(100.0 * 17.0 / 15.0));
    // The pairs' differences by hand: 1, 3 | -2, 0 | 8, with the mean 2.
    CHECK(over.variances.within == Approx((2.0 + 2.0) / 2.0));
    CHECK(over.variances.between ==
          Approx(((2.0 * 0.0 + 2.0 * 9.0 + 36.0) / 2.0 - 2.0) / ((5.0 - 9.0 / 5.0) / 2.0)));

    CHECK(rows[3].fleet == "a");
    CHECK(rows[3].group == "fleet=a");
    CHECK(rows[3].difference->shift == 2.0);
    CHECK(rows[3].difference->pairs == 2);
    CHECK(rows[3].difference->fleets == 0);
    CHECK(rows[7].fleet == "c");
    CHECK(rows[7].difference->shift == 8.0);
}

TEST_CASE("many seeds of few fleets do not make a difference significant") {
    const Plan plan =
        test::grid_plan({"fleet", "method", "seed"},
                        {{"a", "b", "c"}, {"x", "y"}, {"1", "2", "3", "4", "5", "6", "7", "8"}});
    const Collection collection = scores(plan, [](const Cell& cell) {
        return number(cell, 2) + (cell.labels[1] == "y" ? 1.0 : 0.0);
    });
    Comparison comparison{.axis = "method", .baseline = "x", .within = {}};
    CHECK(compare(plan, collection, comparison)[1].difference->p < 1e-6);
    comparison.fleets = "fleet";
    CHECK(compare(plan, collection, comparison)[1].difference->p == 0.25);
}

TEST_CASE("without a comparison, the summaries of other axes are over fleets") {
    const Plan plan = test::grid_plan({"fleet", "method"}, {{"a", "b", "c"}, {"x", "y"}});
    const auto rows = compare(
        plan, scores(plan, [](const Cell& cell) { return cell.labels[0] == "a" ? 4.0 : 1.0; }),
        {.axis = {}, .baseline = {}, .within = {}, .fleets = "fleet"});
    REQUIRE(rows.size() == 3 + 2 + 1);
    CHECK(rows[5].label == "all");
    CHECK(rows[5].axis.empty());
    CHECK(rows[5].summary.count == 3);
    CHECK(rows[5].summary.median == 1.0);
    CHECK(rows[0].axis == "fleet");
    CHECK(rows[0].summary.count == 1);
    CHECK(rows[0].summary.median == 4.0);
    CHECK(rows[3].axis == "method");
    CHECK(rows[3].summary.count == 3);
}

TEST_CASE("a group without the baseline is summarised without differences") {
    Plan plan = test::grid_plan({"fleet", "method"}, {{"small", "large"}, {"x", "y"}});
    std::erase_if(plan.cells,
                  [](const Cell& c) { return c.labels[0] == "large" && c.labels[1] == "x"; });
    const auto rows = compare(plan, scores(plan, [](const Cell&) { return 1.0; }),
                              {.axis = "method", .baseline = "x", .within = {"fleet"}});
    REQUIRE(rows.size() == 3);
    CHECK(rows[1].difference.has_value());
    CHECK(rows[2].group == "fleet=large");
    CHECK_FALSE(rows[2].difference.has_value());
}

TEST_CASE("ratios to a baseline of 0 are not given") {
    const Plan plan = methods_and_seeds();
    const auto rows = compare(
        plan, scores(plan, [](const Cell& cell) { return number(cell, 1) - 3.0; }), with_plain);
    CHECK(std::isnan(rows[1].difference->ratio_percent));
    CHECK(rows[1].difference->shift == 0.0);
}

TEST_CASE("without a comparison every axis is summarised by label") {
    const Plan plan = methods_and_seeds();
    const auto rows = compare(plan, scores(plan, score), {});
    REQUIRE(rows.size() == 3 + 7);
    CHECK(rows[2].axis == "method");
    CHECK(rows[3].axis == "seed");
    CHECK(rows[3].summary.count == 3);
    CHECK(std::none_of(rows.begin(), rows.end(),
                       [](const ComparisonRow& row) { return row.difference.has_value(); }));
}

TEST_CASE("a plan without axes is summarised as a whole") {
    Plan plan = test::grid_plan({}, {});
    const auto rows = compare(plan, scores(plan, [](const Cell&) { return 2.0; }), {});
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].label == "all");
    CHECK(rows[0].summary.median == 2.0);
}

TEST_CASE("two cells with the same labels make pairs ambiguous: a ConfigError") {
    Plan plan = methods_and_seeds();
    plan.cells[1].labels = plan.cells[0].labels;
    const Collection collection = scores(plan, score);
    CHECK_THROWS_AS(compare(plan, collection, with_plain), core::ConfigError);
    CHECK_NOTHROW(compare(plan, collection, {}));
}

TEST_CASE("differences that are rounding errors are zeros") {
    const Plan plan = methods_and_seeds();
    const auto rows = compare(
        plan,
        scores(plan, [](const Cell& cell) { return cell.labels[0] == "better" ? 0.1 + 0.2 : 0.3; }),
        with_plain);
    CHECK(rows[1].difference->p == 1.0);
}
