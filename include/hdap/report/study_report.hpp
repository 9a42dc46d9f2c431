#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hdap::report {

/// What a network in the report is.
enum class NetworkKind {
    unpruned, ///< the network that the study began with
    front,    ///< a candidate of the search's front
    uniform,  ///< uniform width scaling, the baseline
};

/// One network, with all that is known of it; NaN where a figure is not known.
struct NetworkRow {
    std::string id; ///< "unpruned", "front-03", "uniform-03"
    NetworkKind kind = NetworkKind::front;
    std::vector<std::int32_t> genome;      ///< channels kept, per pruning group
    double latency_mean_ms = 0.0;          ///< mean over the fleet, predicted by the surrogates
    double latency_worst_cluster_ms = 0.0; ///< predicted
    double latency_fleet_ms = 0.0; ///< mean over the fleet, its devices simulated one by one
    double speedup = 1.0; ///< unpruned ÷ this one's latency: over the fleet, else predicted
    double flops = 0.0;   ///< MACs for one image
    double params = 0.0;
    double memory_peak = 0.0; ///< activation elements
    double accuracy = 0.0;    ///< on held-out images, before fine-tuning; [0, 1]
    double accuracy_drop = 0.0;
    double test_accuracy = 0.0; ///< on the test set after fine-tuning; NaN when not fine-tuned
    bool finetuned = false;
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

/// An evaluated candidate on the front chart, beside the front itself.
struct CandidatePoint {
    double latency_mean_ms = 0.0;
    double accuracy = 0.0;
    bool feasible = true;
};

/// All that a report shows.
struct StudyReport {
    std::string study_name;
    std::string sku;
    std::string network_name;
    std::string data_name;
    std::int64_t devices = 0;
    std::int64_t simulated_devices = 0; ///< that latency_fleet_ms is the mean of
    std::int64_t noise_devices = 0;
    std::int64_t batch = 1; ///< images an inference, for all latencies
    double eps = 0.0;
    std::vector<std::string> group_names; ///< of the genome's entries
    std::vector<std::int32_t> unpruned_channels;
    std::vector<std::string> objectives;
    std::vector<std::string> constraints;
    std::vector<NetworkRow> networks; ///< the unpruned one first
    std::vector<ClusterRow> clusters;
    std::vector<DevicePoint> device_points;     ///< a sample of at most some thousand
    std::vector<std::string> device_axis_names; ///< two: the benchmarks of x and y
    std::vector<double> k_distance;             ///< sorted, thinned
    std::vector<HistoryPoint> history;
    std::vector<CandidatePoint> candidates; ///< all that were evaluated, or a sample
    std::string settings_toml;              ///< the resolved configuration
    std::string provenance;                 ///< software, version, commit, date, host: lines
};

/// front.csv: one row a network, header first; numbers print so that they read back exactly, an
/// unknown figure is an empty field. Ready for pandas.read_csv and R's read.csv.
std::string front_csv(const StudyReport& report);

/// The table for a terminal: the unpruned network, what was fine-tuned and the uniform baselines;
/// at most `most_rows` rows of the front that were not fine-tuned.
std::string front_table(const StudyReport& report, std::size_t most_rows = 10);

/// report.html: one file that needs no network, with ECharts inlined.
std::string report_html(const StudyReport& report);

} // namespace hdap::report
