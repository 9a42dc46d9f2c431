#include "hdap/search/goal.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace hdap::search;
using hdap::core::ConfigError;
using hdap::core::InternalError;

namespace {

std::vector<Metric> metrics_of(const std::vector<std::string>& names) {
    std::vector<Metric> metrics;
    for (const std::string& name : names)
        metrics.push_back(parse_metric(name));
    return metrics;
}

Goal goal_of(const std::vector<std::string>& objectives,
             const std::vector<std::string>& constraints = {}) {
    Goal goal{metrics_of(objectives), {}};
    for (const std::string& text : constraints)
        goal.constraints.push_back(parse_constraint(text));
    return goal;
}

/// A log of latencies, accuracy drops and multiply-accumulates, 1000 of them in the reference.
EvaluationLog log_of(const std::vector<std::vector<double>>& values) {
    EvaluationLog log(metrics_of({"latency.mean", "accuracy_drop", "flops"}));
    log.set_reference({20, 0, 1000});
    for (std::size_t i = 0; i < values.size(); ++i)
        log.append({.genome = {static_cast<std::int32_t>(i + 1)},
                    .accuracy = 0.5,
                    .cluster_latency_ms = {},
                    .values = values[i]});
    return log;
}

EvaluationLog sample_log() {
    return log_of({{5, 0.1, 500},     // 0: in
                   {4, 0.3, 500},     // 1: infeasible below a drop of 0.25
                   {6, 0.1, 500},     // 2: dominated by 0
                   {9, -0.1, 500},    // 3: in
                   {5, 0.1, 500},     // 4: equals 0
                   {4.5, 0.2, 500}}); // 5: in
}

std::vector<std::string> names_of(const std::vector<Metric>& metrics) {
    std::vector<std::string> names;
    for (const Metric& metric : metrics)
        names.push_back(metric.name());
    return names;
}

} // namespace

TEST_CASE("a front needs an objective, and a log that has it") {
    CHECK_THROWS_AS(Goal{}.front(sample_log()), InternalError);
    CHECK_THROWS_AS(goal_of({"params"}).front(sample_log()), InternalError);
    CHECK_THROWS_AS(goal_of({"flops"}, {"params <= 5"}).front(sample_log()), InternalError);
}

TEST_CASE("what could not be measured is in no front, though it were the fastest") {
    EvaluationLog log = sample_log();
    log.append({.genome = {7}, .accuracy = 0, .values = {1, 0.1, 100}, .failed = true});
    const Goal goal = goal_of({"latency.mean"});
    CHECK(goal.front(log) == std::vector<std::size_t>{1});
    CHECK(std::isinf(goal.violation_of(log, 6)));
    CHECK(goal.violation_of(log, 1) == 0);
}

TEST_CASE("a relative constraint needs the reference") {
    EvaluationLog log(metrics_of({"flops"}));
    log.append({.genome = {1}, .values = {500}});
    CHECK_THROWS_AS(goal_of({"flops"}, {"flops <= 0.5x"}).violation_of(log, 0), InternalError);
    CHECK(goal_of({"flops"}, {"flops <= 400"}).violation_of(log, 0) == Approx(0.25));
}

TEST_CASE("a goal that needs accuracies is refused where nothing measures them") {
    CHECK_THROWS_AS(study_metrics(goal_of({"flops", "accuracy_drop"}), false), ConfigError);
    CHECK_THROWS_AS(study_metrics(goal_of({"flops"}, {"accuracy_drop <= 0.1"}), false),
                    ConfigError);
}

TEST_CASE("a study logs the plain metrics and those that its goal names") {
    const std::vector<std::string> plain = names_of(plain_metrics());
    CHECK(names_of(study_metrics(goal_of({"flops"}), true)) == plain);
    std::vector<std::string> expected = plain;
    std::erase(expected, "accuracy_drop");
    CHECK(names_of(study_metrics(goal_of({"flops"}), false)) == expected);
    expected = plain;
    CHECK(std::ranges::count(plain, "accuracy_drop.relative") == 0);
    expected.insert(expected.end(),
                    {"latency.sla(20ms)", "latency.sla(33ms)", "accuracy_drop.relative"});
    CHECK(names_of(study_metrics(goal_of({"latency.sla(20ms)", "accuracy_drop"},
                                         {"latency.sla(33ms) <= 0.1", "latency.sla(20ms) <= 0.5",
                                          "params <= 0.5x", "accuracy_drop.relative <= 0.1"}),
                                 true)) == expected);
}

TEST_CASE("objectives and violations are those of the entries in their order") {
    const EvaluationLog log = sample_log();
    const Goal goal = goal_of({"flops", "latency.mean"}, {"accuracy_drop <= 0.2"});
    const std::vector<std::int32_t> entries{3, 1};
    CHECK(goal.objectives_of(log, entries) == std::vector<double>{500, 9, 500, 4});
    CHECK(goal.violations_of(log, entries) == std::vector<double>{0, (0.3 - 0.2) / 0.2});
}

TEST_CASE("violations of several constraints add up") {
    const EvaluationLog log = log_of({{20, 0, 1000}});
    CHECK(goal_of({"flops"}, {"flops <= 0.5x", "latency.mean <= 16", "accuracy_drop <= 1"})
              .violation_of(log, 0) == Approx(1.25));
    CHECK(goal_of({"flops"}).violation_of(log, 0) == 0);
}

TEST_CASE("the front holds the feasible entries that none dominates") {
    const EvaluationLog log = sample_log();
    const std::vector<std::string> both{"latency.mean", "accuracy_drop"};
    using Front = std::vector<std::size_t>;
    CHECK(goal_of(both).front(log) == Front{1, 5, 0, 3});
    CHECK(goal_of(both, {"accuracy_drop <= 0.25"}).front(log) == Front{5, 0, 3});
    CHECK(goal_of(both, {"flops <= 0.1x"}).front(log).empty());
    CHECK(goal_of({"latency.mean"}, {"accuracy_drop <= 0.25"}).front(log) == Front{5});
    CHECK(goal_of(both).front(log_of({})).empty());
}
