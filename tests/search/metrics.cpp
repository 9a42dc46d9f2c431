#include "hdap/search/metrics.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"
#include "search/small_fleet.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace hdap::search;
using Catch::Matchers::Contains;
using hdap::core::ConfigError;
using hdap::core::InternalError;
using hdap::core::RandomStream;
using hdap::core::StreamId;
using hdap::fleet::FleetDistribution;
using testing::fleet_of;
using testing::small_fleet;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

const CandidateFacts unpruned{
    .costs = {.macs = 1000, .parameters = 500, .peak_activation_elements = 64},
    .cluster_latency_ms = {20, 30},
    .accuracy = 0.9};
const CandidateFacts pruned{
    .costs = {.macs = 300, .parameters = 200, .peak_activation_elements = 32},
    .cluster_latency_ms = {7, 13},
    .accuracy = 0.65};

double value_of(const std::string& name, const CandidateFacts& facts = pruned) {
    return parse_metric(name).value(facts, unpruned, small_fleet());
}

/// The latency of every device of a fleet whose bins are of one device each, ascending.
std::vector<double> device_latencies(const FleetDistribution& fleet,
                                     const std::vector<double>& cluster_latency_ms) {
    std::vector<double> latencies;
    for (std::size_t k = 0; k < fleet.clusters(); ++k)
        for (std::size_t i = fleet.first_bin[k]; i < fleet.first_bin[k + 1]; ++i)
            latencies.push_back(cluster_latency_ms[k] * fleet.bin_ratio[i]);
    std::ranges::sort(latencies);
    return latencies;
}

/// A random fleet of 3 clusters; 53 devices, so that no whole per cent of them is a whole number.
FleetDistribution random_fleet(RandomStream& random) {
    std::vector<std::vector<double>> ratios;
    for (const std::size_t devices : {30U, 3U, 20U}) {
        std::vector<double>& cluster = ratios.emplace_back();
        for (std::size_t i = 0; i < devices; ++i)
            cluster.push_back(0.5 + random.uniform());
        std::ranges::sort(cluster);
    }
    return fleet_of(ratios);
}

} // namespace

TEST_CASE("an unknown metric is refused with the nearest and all known names") {
    for (const std::string text : {"", "FLOPS", "flops ", "flops params", "latency", "accuracy"})
        CHECK_THROWS_AS(parse_metric(text), ConfigError);
    CHECK_THROWS_WITH(parse_metric("latency.maen"), Contains("'latency.mean'") &&
                                                        Contains("memory.peak") &&
                                                        Contains("latency.sla(33ms)"));
    CHECK_THROWS_WITH(parse_metric("latency.slo(33ms)"), Contains("'latency.sla'"));
    CHECK_THROWS_WITH(parse_metric(std::string(100000, 'a')), Contains("..."));
}

TEST_CASE("a metric's argument is refused with the position where it is missing or wrong") {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"latency.sla", "position 12: latency.sla needs a latency, as in \"latency.sla(33ms)\""},
        {"latency.sla(", "position 13: expected a number"},
        {"latency.sla()", "position 13: expected a number"},
        {"latency.sla(ms)", "position 13: expected a number"},
        {"latency.sla(33)", "position 15: expected \"ms\""},
        {"latency.sla(33s)", "position 15: expected \"ms\""},
        {"latency.sla(33ms", "position 17: expected \")\""},
        {"latency.sla(33ms))", "position 18: unexpected text after the metric"},
        {"latency.sla(0ms)", "position 13: the latency must be a positive number"},
        {"latency.sla(-1ms)", "position 13: the latency must be a positive number"},
        {"latency.sla(nanms)", "position 13: the latency must be a positive number"},
        {"latency.sla(1e999ms)", "position 13: the latency is out of range"},
        {"latency.sla(1e15ms)", "position 13: the latency must be from 1e-09 ms to 1e+12 ms"},
        {"flops(3)", "position 6: unexpected text after the metric"},
    };
    for (const auto& [text, message] : wrong) {
        INFO(text);
        CHECK_THROWS_AS(parse_metric(text), ConfigError);
        CHECK_THROWS_WITH(parse_metric(text), Contains("\"" + text + "\"") && Contains(message));
    }
}

TEST_CASE("a malformed constraint is refused with its text and the position") {
    const std::vector<std::pair<std::string, std::string>> wrong{
        {"", "position 1: expected the name of a metric"},
        {"   ", "position 4"},
        {"<= 3", "position 1: expected the name of a metric"},
        {"flops", "position 6: expected \"<=\""},
        {"flops < 3", "position 7: expected \"<=\""},
        {"flops >= 3", "position 7: expected \"<=\""},
        {"flops = 3", "position 7: expected \"<=\""},
        {"flops < = 3", "position 7: expected \"<=\""},
        {"flopz <= 3", "position 1: unknown metric"},
        {"accuracy <= 0.9", "position 1: unknown metric"},
        {"flops params <= 3", "position 7: expected \"<=\""},
        {"flops <=", "position 9: expected a number"},
        {"flops <= x", "position 10: expected a number"},
        {"flops <= +3", "position 10: expected a number"},
        {"flops <= 3 GB", "position 12: unexpected text"},
        {"flops <= 3xx", "position 12: unexpected text"},
        {"flops <= 3,5", "position 11: unexpected text"},
        {"flops <= 0x10", "position 10: the bound must be a positive number"},
        {"flops <= 3\n", "position 11: unexpected text"},
        {"flops <= 0", "position 10: the bound must be a positive number"},
        {"flops <= -1", "position 10: the bound must be a positive number"},
        {"flops <= inf", "position 10: the bound must be a positive number"},
        {"flops <= nan", "position 10: the bound must be a positive number"},
        {"flops <= 1e999", "position 10: the bound is out of range"},
        {"accuracy_drop <= 0.5x", "position 18: accuracy_drop cannot be relative"},
        {"accuracy_drop <= 5", "position 18: accuracy_drop is at most 1"},
        {"accuracy_drop.relative <= 10", "position 27: accuracy_drop.relative is at most 1"},
        {"accuracy_drop.relative <= 0.1x", "position 27: accuracy_drop.relative cannot be"},
        {"latency.sla(33ms) <= 0.5x", "position 22: latency.sla(33ms) cannot be relative"},
        {"latency.sla(33ms) <= 5", "position 22: latency.sla(33ms) is at most 1"},
        {"latency.sla <= 5", "position 13: latency.sla needs a latency"},
        {"latency.sla(33ms <= 5", "position 18: expected \")\""},
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

TEST_CASE("a violation needs numbers, and a positive reference where it is relative") {
    const Constraint half = parse_constraint("flops <= 0.5x");
    CHECK_THROWS_AS(violation(half, not_a_number, 1000), InternalError);
    CHECK_THROWS_AS(violation(half, 1000, 0), InternalError);
    CHECK_THROWS_AS(violation(half, 1000, not_a_number), InternalError);
    CHECK(violation(parse_constraint("flops <= 2000"), 1000, not_a_number) == 0);
    CHECK_THROWS_AS(limit(half, 0), InternalError);
    CHECK(limit(half, 1000) == 500);
    CHECK(limit(parse_constraint("flops <= 2000"), not_a_number) == 2000);
}

TEST_CASE("every metric has its own name, column and unit, and is parsed back") {
    std::vector<Metric> metrics = plain_metrics();
    CHECK(std::ranges::none_of(metrics, [](const Metric& metric) {
        return metric.name().find('(') != std::string::npos;
    }));
    for (const std::string text : {"accuracy_drop.relative", "pruning_loss", "latency.sustained",
                                   "energy.mean", "latency.sla(33ms)", "latency.sla(33.5ms)"})
        metrics.push_back(parse_metric(text));
    std::vector<std::string> names;
    std::vector<std::string> columns;
    std::vector<std::string> units;
    for (const Metric& metric : metrics) {
        names.push_back(metric.name());
        columns.push_back(metric.column());
        units.emplace_back(metric.unit());
        CHECK(parse_metric(metric.name()) == metric);
        CHECK(metric.lowest() < metric.highest());
    }
    CHECK(names == std::vector<std::string>{"latency.mean", "latency.worst_cluster", "latency.p50",
                                            "latency.p95", "latency.p99", "accuracy_drop", "flops",
                                            "params", "memory.peak", "accuracy_drop.relative",
                                            "pruning_loss", "latency.sustained", "energy.mean",
                                            "latency.sla(33ms)", "latency.sla(33.5ms)"});
    CHECK(columns == std::vector<std::string>{"latency_mean_ms", "latency_worst_cluster_ms",
                                              "latency_p50_ms", "latency_p95_ms", "latency_p99_ms",
                                              "accuracy_drop", "flops", "params", "memory_peak",
                                              "accuracy_drop_relative", "pruning_loss",
                                              "latency_sustained_ms", "energy_mean_mj",
                                              "latency_sla_33ms", "latency_sla_33.5ms"});
    CHECK(units == std::vector<std::string>{"ms", "ms", "ms", "ms", "ms", "1", "MACs", "parameters",
                                            "elements", "1", "1", "ms", "mJ", "1", "1"});
    CHECK(parse_metric(" latency.sla ( 33.50 ms )") == metrics.back());
    CHECK_FALSE(metrics[13] == metrics[14]);
}

TEST_CASE("metrics tell what they need") {
    std::set<std::string> accuracy;
    std::set<std::string> costs;
    std::set<std::string> absolute;
    std::vector<Metric> metrics = plain_metrics();
    metrics.push_back(parse_metric("accuracy_drop.relative"));
    metrics.push_back(parse_metric("latency.sla(1ms)"));
    for (const Metric& metric : metrics) {
        if (metric.needs_accuracy()) accuracy.insert(metric.name());
        if (metric.follows_from_costs()) costs.insert(metric.name());
        if (!metric.can_be_relative()) absolute.insert(metric.name());
    }
    CHECK(accuracy == std::set<std::string>{"accuracy_drop", "accuracy_drop.relative"});
    CHECK(costs == std::set<std::string>{"flops", "params", "memory.peak"});
    CHECK(absolute ==
          std::set<std::string>{"accuracy_drop", "accuracy_drop.relative", "latency.sla(1ms)"});
}

TEST_CASE("metrics of costs and accuracy are as the facts") {
    CHECK(value_of("flops") == 300);
    CHECK(value_of("params") == 200);
    CHECK(value_of("memory.peak") == 32);
    CHECK(value_of("accuracy_drop") == 0.9 - 0.65);
    CHECK(value_of("accuracy_drop", unpruned) == 0);
}

TEST_CASE("a relative accuracy drop is the share of the reference's accuracy that is lost") {
    const auto drop = [](double accuracy, double reference) {
        CandidateFacts facts = pruned;
        CandidateFacts whole = unpruned;
        facts.accuracy = accuracy;
        whole.accuracy = reference;
        return parse_metric("accuracy_drop.relative").value(facts, whole, small_fleet());
    };
    CHECK(drop(0.81, 0.9) == Approx(0.1));
    CHECK(drop(0.9, 0.9) == 0);
    CHECK(drop(0, 0.9) == 1);
    CHECK(drop(0.95, 0.9) < 0);
    // Of nothing there is nothing to lose.
    CHECK(drop(0, 0) == 0);
    CHECK(drop(0.5, 0) == 0);
    CHECK(std::isnan(drop(not_a_number, 0.9)));
    CHECK(std::isnan(drop(not_a_number, not_a_number)));
    // As the paper has it: at least 0.9 of the unpruned network's accuracy.
    const Constraint paper = parse_constraint("accuracy_drop.relative <= 0.1");
    CHECK(violation(paper, drop(0.82, 0.9), 0) == 0);
    CHECK(1 + violation(paper, drop(0.6, 0.9), 0) == Approx((1 - 0.6 / 0.9) / (1 - 0.9)));
}

TEST_CASE("latency metrics are those of the devices one by one") {
    RandomStream random(3, StreamId::testing);
    for (int round = 0; round < 200; ++round) {
        const FleetDistribution fleet = random_fleet(random);
        CandidateFacts facts = pruned;
        facts.cluster_latency_ms = {1 + random.uniform(), 2 + 9 * random.uniform(),
                                    1 + random.uniform()};
        const std::vector<double> devices = device_latencies(fleet, facts.cluster_latency_ms);
        const auto value = [&](const std::string& name) {
            return parse_metric(name).value(facts, unpruned, fleet);
        };
        double sum = 0;
        for (const double latency : devices)
            sum += latency;
        const auto n = static_cast<double>(devices.size());
        CHECK(value("latency.mean") == Approx(sum / n));
        double worst = 0;
        for (std::size_t k = 0; k < 3; ++k)
            worst = std::max(worst, facts.cluster_latency_ms[k] * fleet.cluster_blend[4 * k]);
        CHECK(value("latency.worst_cluster") == worst);
        const auto quantile = [&](double q) {
            return devices[static_cast<std::size_t>(std::ceil(q * n)) - 1];
        };
        CHECK(value("latency.p50") == quantile(0.50));
        CHECK(value("latency.p95") == quantile(0.95));
        CHECK(value("latency.p99") == quantile(0.99));
        const auto slower =
            std::ranges::count_if(devices, [](double latency) { return latency > 1.5; });
        CHECK(value("latency.sla(1.5ms)") == Approx(static_cast<double>(slower) / n));

        // A prediction that is right about every device is what is found on them.
        DeviceLatencies found{.device_ms = devices, .cluster_mean_ms = {}};
        std::ranges::reverse(found.device_ms);
        for (std::size_t k = 0; k < 3; ++k)
            found.cluster_mean_ms.push_back(facts.cluster_latency_ms[k] *
                                            fleet.cluster_blend[4 * k]);
        for (const std::string name : {"latency.mean", "latency.worst_cluster", "latency.p50",
                                       "latency.p95", "latency.p99", "latency.sla(1.5ms)"}) {
            INFO(name);
            CHECK(parse_metric(name).value_on_devices(found) == Approx(value(name)));
        }
    }
}

TEST_CASE("only what follows from latencies is found on devices, and not on none") {
    const DeviceLatencies found{.device_ms = {1, 2}, .cluster_mean_ms = {1.5}};
    for (const Metric& metric : plain_metrics())
        if (metric.name().starts_with("latency."))
            CHECK(metric.follows_from_latencies());
        else
            CHECK_THROWS_AS(metric.value_on_devices(found), InternalError);
    CHECK_THROWS_AS(parse_metric("latency.mean").value_on_devices({}), InternalError);
}

TEST_CASE("the worst cluster is not known where a cluster has no device that was looked at") {
    const DeviceLatencies found{.device_ms = {1, 2}, .cluster_mean_ms = {not_a_number, 1.5}};
    CHECK(std::isnan(parse_metric("latency.worst_cluster").value_on_devices(found)));
    CHECK(parse_metric("latency.mean").value_on_devices(found) == 1.5);
}

TEST_CASE("latency.sustained is the fleet's mean of what its clusters take under continuous load") {
    CHECK(parse_metric("latency.sustained").quantity() == hdap::fleet::Quantity::sustained_latency);
    for (const Metric& metric : plain_metrics())
        CHECK(metric.quantity() == hdap::fleet::Quantity::latency);
    CHECK_THROWS_AS(value_of("latency.sustained"), InternalError); // nothing predicts it

    CandidateFacts facts = pruned;
    facts.cluster_others[hdap::fleet::Quantity::sustained_latency] = {11, 17};
    CandidateFacts as_usual = pruned;
    as_usual.cluster_latency_ms = {11, 17};
    CHECK(value_of("latency.sustained", facts) == value_of("latency.mean", as_usual));
    CHECK(value_of("latency.mean", facts) == value_of("latency.mean"));

    // What devices take for a moment does not tell what they take under continuous load.
    DeviceLatencies found{.device_ms = {1, 2}, .cluster_mean_ms = {1.5}};
    CHECK(std::isnan(parse_metric("latency.sustained").value_on_devices(found)));
    found.other_means[hdap::fleet::Quantity::sustained_latency] = 2.5;
    CHECK(parse_metric("latency.sustained").value_on_devices(found) == 2.5);
    CHECK(with_margin(parse_constraint("latency.sustained <= 0.7x"), 0.1).text ==
          "latency.sustained <= 0.636x");
}

TEST_CASE("energy.mean is of the representatives, whatever devices take in time") {
    using hdap::fleet::Quantity;
    CHECK(parse_metric("energy.mean").quantity() == Quantity::energy);
    CHECK_THROWS_WITH(value_of("energy.mean"), Contains("energy.mean of a candidate without"));
    CandidateFacts facts = pruned;
    facts.cluster_others[Quantity::sustained_latency] = {11, 17};
    CHECK_THROWS_AS(value_of("energy.mean", facts), InternalError);
    facts.cluster_others[Quantity::energy] = {11};
    CHECK_THROWS_AS(value_of("energy.mean", facts), InternalError);
    facts.cluster_others[Quantity::energy] = {11, 17};
    const auto fleet = small_fleet();
    CHECK(value_of("energy.mean", facts) ==
          fleet.cluster_weight[0] * 11 + fleet.cluster_weight[1] * 17);

    DeviceLatencies found{.device_ms = {1, 2}, .cluster_mean_ms = {1.5}};
    CHECK(std::isnan(parse_metric("energy.mean").value_on_devices(found)));
    found.other_means[Quantity::energy] = 250;
    CHECK(parse_metric("energy.mean").value_on_devices(found) == 250);
    CHECK(with_margin(parse_constraint("energy.mean <= 100"), 0.1).text == "energy.mean <= 90.9");
}

TEST_CASE("a constraint with a margin is met by predictions that are too low by as much") {
    CHECK_THROWS_AS(with_margin(parse_constraint("flops <= 0.5x"), 0.1), InternalError);
    CHECK_THROWS_AS(with_margin(parse_constraint("accuracy_drop <= 0.1"), 0.1), InternalError);
    CHECK_THROWS_AS(with_margin(parse_constraint("latency.mean <= 9"), -0.1), InternalError);
    CHECK_THROWS_AS(with_margin(parse_constraint("latency.mean <= 9"), not_a_number),
                    InternalError);
    const auto text = [](const std::string& constraint, double margin) {
        const Constraint safer = with_margin(parse_constraint(constraint), margin);
        CHECK(parse_constraint(safer.text).bound == safer.bound);
        return safer.text;
    };
    CHECK(text("latency.mean <= 0.7x", 0.0) == "latency.mean <= 0.7x");
    CHECK(text("latency.mean<=0.7 x", 0.1) == "latency.mean <= 0.636x");
    CHECK(text("latency.p95 <= 1234567", 0.1) == "latency.p95 <= 1120000");
    CHECK(text("latency.worst_cluster <= 33", 0.15) == "latency.worst_cluster <= 28.6");
    CHECK(text("latency.p99 <= 0.001", 0.15) == "latency.p99 <= 0.000869");
    // Of a share of the devices, what they may take is what is predicted.
    CHECK(text("latency.sla(33ms) <= 0.05", 0.1) == "latency.sla(30ms) <= 0.05");
}

TEST_CASE("the hypervolume's axes end at the reference, at guessing, or where all devices miss") {
    for (const Metric& metric : plain_metrics()) {
        if (metric.needs_accuracy()) continue;
        INFO(metric.name());
        CHECK(metric.worst(unpruned, small_fleet(), 0.1) ==
              metric.value(unpruned, unpruned, small_fleet()));
    }
    const Metric drop = parse_metric("accuracy_drop");
    CHECK(drop.worst(unpruned, small_fleet(), 0.1) == 0.9 - 0.1);
    CHECK(drop.worst(unpruned, small_fleet(), 0.9) == 0.01);
    const Metric relative = parse_metric("accuracy_drop.relative");
    CHECK(relative.worst(unpruned, small_fleet(), 0.1) == Approx(1 - 0.1 / 0.9));
    CHECK(relative.worst(unpruned, small_fleet(), 0.9) == 0.01);
    CandidateFacts useless = unpruned;
    useless.accuracy = 0;
    CHECK(relative.worst(useless, small_fleet(), 0.1) == 0.01);
    CHECK(parse_metric("latency.sla(33ms)").worst(unpruned, small_fleet(), 0.1) == 1);
}

TEST_CASE("constraints are parsed with and without blanks") {
    for (const std::string text : {"flops <= 0.5x", "flops<=0.5x", "\tflops  <=0.5 x "}) {
        INFO(text);
        const Constraint constraint = parse_constraint(text);
        CHECK(constraint.metric.name() == "flops");
        CHECK(constraint.bound == 0.5);
        CHECK(constraint.relative);
        CHECK(constraint.text == text);
    }
    const Constraint latency = parse_constraint("latency.mean <= 1.25e1");
    CHECK(latency.metric.name() == "latency.mean");
    CHECK(latency.bound == 12.5);
    CHECK_FALSE(latency.relative);
    CHECK(parse_constraint("latency.p95 <= 0.5x").relative);
    CHECK(parse_constraint("flops <= 2x").bound == 2);
    CHECK(parse_constraint("accuracy_drop <= 1").bound == 1);
    const Constraint misses = parse_constraint("latency.sla( 33 ms)<=0.05");
    CHECK(misses.metric.name() == "latency.sla(33ms)");
    CHECK(misses.bound == 0.05);
}

TEST_CASE("a violation is the excess relative to the bound, and 0 at the bound") {
    const Constraint half = parse_constraint("flops <= 0.5x");
    CHECK(violation(half, 100, 1000) == 0);
    CHECK(violation(half, 500, 1000) == 0);
    CHECK(violation(half, 750, 1000) == Approx(0.5));
    CHECK(violation(half, 1000, 1000) == Approx(1));
    CHECK(violation(parse_constraint("flops <= 800"), 1000, 1000) == Approx(0.25));

    const Constraint drop = parse_constraint("accuracy_drop <= 0.05");
    CHECK(violation(drop, -0.02, 0) == 0);
    CHECK(violation(drop, 0.1, 0) == Approx(1));

    // The smallest possible excess still counts.
    CHECK(violation(half, std::nextafter(500.0, 501.0), 1000) > 0);
}
