#pragma once

#include "hdap/fleet/distribution.hpp"
#include "hdap/fleet/quantity.hpp"
#include "hdap/network/costs.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::search {

/// What is known of a candidate: all that its metrics are computed from.
struct CandidateFacts {
    network::NetworkCosts costs;
    std::vector<double> cluster_latency_ms; ///< [cluster] predicted, on its representatives
    /// [quantity][cluster] the same of other quantities, of those that are predicted.
    fleet::OtherQuantities cluster_others = {};
    /// [0, 1]; not a number where nothing measures accuracies.
    double accuracy = std::numeric_limits<double>::quiet_NaN();
    double pruning_loss = 0.0; ///< network::pruning_loss
    bool operator==(const CandidateFacts&) const = default;
};

/// A candidate's latencies on the devices of a fleet as they were found, simulated or measured,
/// rather than predicted.
struct DeviceLatencies {
    std::vector<double> device_ms; ///< [device] of all devices, or a sample; at least one
    /// [cluster] mean over its devices; not a number where none is among those of `device_ms`
    std::vector<double> cluster_mean_ms;
    /// Means of other quantities over the devices, of those that somebody knows.
    std::map<fleet::Quantity, double> other_means = {};
};

struct MetricRow; ///< of the table in metrics.cpp

/// A number that a candidate is judged by; smaller is better. What an objective minimises and a
/// constraint bounds. Another metric is a row of the table in metrics.cpp.
class Metric {
  public:
    Metric(const MetricRow& row, double argument) : row_(&row), argument_(argument) {}

    /// As a configuration names it: "latency.mean", "latency.sla(33ms)".
    [[nodiscard]] std::string name() const;
    /// As a column of files: "latency_mean_ms", "latency_sla_33ms".
    [[nodiscard]] std::string column() const;
    [[nodiscard]] std::string_view unit() const; ///< "ms"; "1" for a share
    [[nodiscard]] bool needs_accuracy() const;
    /// What devices must be measured for; every study measures the usual latency.
    [[nodiscard]] fleet::Quantity quantity() const;
    /// Whether the costs alone determine it: known without a prediction or an evaluation, and
    /// smallest for the smallest genome.
    [[nodiscard]] bool follows_from_costs() const;
    /// Whether what devices are measured for alone determines it, and so predictions do in a
    /// search.
    [[nodiscard]] bool follows_from_latencies() const;
    /// The smallest and largest value it can have.
    [[nodiscard]] double lowest() const;
    [[nodiscard]] double highest() const;
    /// Whether a bound may be relative to the reference's value ("0.5x").
    [[nodiscard]] bool can_be_relative() const;

    /// Of a candidate. `reference`: the study's own unpruned network.
    [[nodiscard]] double value(const CandidateFacts& facts, const CandidateFacts& reference,
                               const fleet::FleetDistribution& fleet) const;

    /// Of a candidate by its latencies on the devices; not a number where those that it takes were
    /// not measured, or it takes a cluster that none of the devices is of. Throws InternalError for
    /// a metric that does not follow from latencies, and without devices. Complexity: O(devices).
    [[nodiscard]] double value_on_devices(const DeviceLatencies& latencies) const;

    /// What is the same of predictions that are too low by `margin`: "latency.sla(30ms)" of
    /// "latency.sla(33ms)" and 0.1; itself where the argument is no latency.
    [[nodiscard]] Metric with_margin(double margin) const;

    /// Where the metric's axis of the hypervolume ends: the reference's own value, or that of
    /// guessing, or a natural end.
    [[nodiscard]] double worst(const CandidateFacts& reference,
                               const fleet::FleetDistribution& fleet, double chance_accuracy) const;

    bool operator==(const Metric& other) const {
        return row_ == other.row_ && argument_ == other.argument_;
    }

  private:
    const MetricRow* row_;
    double argument_; ///< 0 where the row takes none
};

/// The metrics that every study logs, in the order of the table: those without arguments, but for
/// those that are logged only where a goal names them.
std::vector<Metric> plain_metrics();

/// The names of all metrics, with an example where one takes an argument: "latency.sla(33ms)".
std::vector<std::string> metric_names();

/// The metric that a configuration names. Throws ConfigError, which names the nearest and all of
/// them, for any other text, and for an argument that is missing, misplaced or out of range.
Metric parse_metric(const std::string& name);

/// An upper bound that a candidate must keep to.
struct Constraint {
    Metric metric;
    double bound = 1;      ///< finite, positive
    bool relative = false; ///< whether `bound` multiplies the reference's value
    std::string text;      ///< as the user wrote it
};

/// Parses "METRIC <= NUMBER" or "METRIC <= NUMBERx", e.g. "flops <= 0.5x" (half of what the
/// unpruned network needs), "accuracy_drop <= 0.05", "latency.p95 <= 12.5" (ms). Blanks around the
/// parts are optional.
/// Throws ConfigError with the text, the position (from 1) and what was expected there.
Constraint parse_constraint(const std::string& text);

/// A constraint on latencies that keeps `margin` between them and the bound, rounded down to three
/// digits: "latency.mean <= 0.636x" of "latency.mean <= 0.7x" and 0.1. Predictions that are too low
/// by `margin` and meet it meet the constraint itself. Throws InternalError for a constraint on
/// anything else and for a margin below 0.
Constraint with_margin(const Constraint& constraint, double margin);

/// The bound of the constraint, in the unit of its metric.
/// @param reference as for `violation`
double limit(const Constraint& constraint, double reference);

/// By how much `value` misses the constraint, relative to the bound: 0 when the constraint is met,
/// else value ÷ bound − 1, the bound being in the metric's unit. Being free of units, the
/// violations of different constraints can be added.
/// @param reference the metric of the reference; looked at where the constraint is relative to it
/// Throws InternalError when `value` is not a number, or a reference that is needed not positive.
double violation(const Constraint& constraint, double value, double reference);

} // namespace hdap::search
