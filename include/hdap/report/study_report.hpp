#pragma once

#include "hdap/fleet/clustering.hpp"
#include "hdap/fleet/quantity.hpp"
#include "hdap/search/regret.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::report {

/// What a network in the report is.
enum class NetworkKind {
    unpruned, ///< the network that the study began with
    front,    ///< a candidate of the search's front
    uniform,  ///< uniform width scaling, the baseline
    round,    ///< what a round of pruning and fine-tuning chose, for the next one to start from
};

/// A metric of the study: what networks are judged by. The rows hold their values in the order of
/// the study's list.
struct MetricColumn {
    std::string name;   ///< as a configuration names it: "latency.mean", "latency.sla(33ms)"
    std::string column; ///< of front.csv: "latency_mean_ms"
    std::string unit;   ///< "ms"; "1" for a share; what is counted, or nothing
};

/// How latencies on devices were found.
enum class DeviceLatencySource {
    simulated, ///< without noise, by the model of the fleet
    measured,  ///< on the devices: `hdap fleet verify`
    recorded,  ///< by somebody, as the table of a recorded fleet has them
};

/// A constraint of the study as networks are held against it once more, by what was found rather
/// than predicted: latencies on the devices, final accuracies, costs.
struct Bound {
    std::string text; ///< as the user wrote it: "latency.p95 <= 0.7x"
    std::string metric;
    /// In the metric's unit. A relative one is of what the unpruned network was found to have: NaN
    /// where that is not known.
    double limit = std::numeric_limits<double>::quiet_NaN();
    /// Whether the search knew it by predictions, or by a part of the images, and may be wrong.
    bool doubtful = false;
    std::string safer; ///< the same with a margin for these errors; empty: nothing to recommend
};

/// One network, with all that is known of it; NaN where a number is not known.
struct NetworkRow {
    std::string id; ///< "unpruned", "front-03", "uniform-03", "round-03"
    NetworkKind kind = NetworkKind::front;
    std::vector<std::int32_t> genome; ///< channels kept, per pruning group
    /// In the order of StudyReport::metrics and in their units: a share is in [0, 1], flops are
    /// MACs per image, memory.peak is elements of activations. Latencies are predicted.
    std::vector<double> metrics;
    /// Mean over devices of the fleet, as StudyReport::found_latencies says. NaN where nobody found
    /// it.
    double latency_fleet_ms = std::numeric_limits<double>::quiet_NaN();
    /// Unpruned ÷ this one's mean latency: as found where that is known of every network, else as
    /// predicted, of all of them.
    double speedup = 1.0;
    /// On held-out images, before fine-tuning; [0, 1]. NaN where nothing measures it.
    double accuracy = std::numeric_limits<double>::quiet_NaN();
    /// On the test set after fine-tuning; NaN when not fine-tuned.
    double test_accuracy = std::numeric_limits<double>::quiet_NaN();
    bool finetuned = false;
    /// What was found of each of StudyReport::bounds, in the metric's unit; NaN where it is not
    /// known.
    std::vector<double> found = {};
};

/// One device cluster.
struct ClusterRow {
    std::int64_t devices = 0; ///< in the dense group
    double weight = 0.0;      ///< share of the fleet that it stands for
    double mean_ratio = 1.0;
    double unpruned_latency_ms = 0.0; ///< on its representatives
    double surrogate_mape = 0.0;      ///< cross-validated, a fraction
    double surrogate_kendall_tau = 0.0;
};

/// One device on the cluster chart.
struct DevicePoint {
    double x = 0.0;            ///< latency on the first benchmark relative to the fleet's median
    double y = 0.0;            ///< the same on the last benchmark
    std::int32_t cluster = -1; ///< -1: a noise device
};

/// One generation on the history chart.
struct HistoryPoint {
    std::int32_t generation = 0;
    std::int32_t evaluations = 0;
    std::int32_t front_size = 0;
    double hypervolume = 0.0;
};

/// An evaluated candidate on the front chart, beside the front itself: its values on the axes that
/// `chart_axes` names, in the units of the metrics; an accuracy is in [0, 1]. NaN: not known.
struct CandidatePoint {
    double x = 0.0;
    double y = 0.0;
    bool feasible = true;
};

/// All that a report shows.
struct StudyReport {
    std::string study_name;
    std::string sku;
    std::string network_name;
    std::string data_name;
    std::int64_t devices = 0;
    std::int64_t found_devices = 0; ///< that latency_fleet_ms is the mean of
    std::int64_t noise_devices = 0;
    std::int64_t evaluated = 0; ///< candidates of the search
    std::int64_t failed = 0;    ///< of these, how many could not be measured
    std::int64_t batch = 1;     ///< images per inference, for all latencies
    std::string grouping;       ///< how devices were grouped: "covering, radius 0.05"
    std::string held_out;       ///< what the groups make of held-out benchmarks; empty: nothing was
    double eps = 0.0;
    std::vector<std::string> group_names; ///< of the genome's entries
    std::vector<std::int32_t> unpruned_channels;
    std::vector<MetricColumn> metrics;    ///< all that the study knows, in the columns' order
    std::vector<std::string> objectives;  ///< names of metrics
    std::vector<std::string> constraints; ///< "flops <= 0.5x"
    std::vector<Bound> bounds;            ///< the constraints, or none when nothing was found
    DeviceLatencySource found_latencies = DeviceLatencySource::simulated;
    double surrogate_error = 0.0; ///< cross-validated, mean over the fleet, a fraction
    std::map<fleet::Quantity, double> other_errors; ///< the same of other quantities
    std::vector<NetworkRow> networks;               ///< the unpruned one first
    std::vector<ClusterRow> clusters;
    std::vector<DevicePoint> device_points;     ///< a sample of at most some thousand
    std::vector<std::string> device_axis_names; ///< two: the benchmarks of x and y
    std::vector<double> k_distance;             ///< sorted, thinned
    std::vector<fleet::RadiusTrial> trials;     ///< groups that were tried, the widest first
    /// What a search regrets that sees less of the fleet; empty where that is not known.
    std::vector<search::ObjectiveRegret> regrets;
    std::vector<HistoryPoint> history;
    std::vector<CandidatePoint> candidates; ///< all that were measured, or a sample
    std::string settings_toml;              ///< the resolved configuration
    std::string provenance;                 ///< software, version, commit, date, host: lines
};

/// The value of the metric `name` of `row`; NaN where the study has no such metric.
double metric(const StudyReport& report, const NetworkRow& row, std::string_view name);

/// Whether the mean latency over devices was found of every network. Otherwise tables show what is
/// predicted of all of them in one column, and what was found in another.
bool fleet_latency_known(const StudyReport& report);

/// What the front chart shows.
struct ChartAxes {
    std::string x; ///< a metric
    std::string y; ///< a metric, or "accuracy"
};

/// latency.mean and accuracy where the accuracy of a network is known, otherwise the first two
/// objectives; of a single one, with latency.mean, or with flops where it is latency.mean itself.
/// Looks at `networks`, `metrics` and `objectives`.
ChartAxes chart_axes(const StudyReport& report);

/// front.csv: one row per network, header first; numbers print so that they read back exactly, an
/// unknown one is an empty field. Ready for pandas.read_csv and R's read.csv. Columns:
///   id, kind
///   each metric's column, in the order of StudyReport::metrics
///   speedup
///   latency_fleet_ms, accuracy, test_accuracy: each where it is known of a network
///   finetuned
///   keep_GROUP for each pruning group
///   where a bound is doubtful: holds_on_devices (yes, no, unknown); broken (the constraints that
///   it breaks, joined by "; "); for each such bound the metric's column with _on_devices, of
///   accuracy drops with _final behind it
std::string front_csv(const StudyReport& report);

/// The table for a terminal: the unpruned network, what was fine-tuned and the uniform baselines;
/// at most `most_rows` rows of the front that were not fine-tuned, rather such as break no
/// constraint on the devices. Below it `holds_text`, and what the numbers are.
std::string front_table(const StudyReport& report, std::size_t most_rows = 10);

/// report.html: one file that needs no network, with ECharts inlined.
std::string report_html(const StudyReport& report);

} // namespace hdap::report
