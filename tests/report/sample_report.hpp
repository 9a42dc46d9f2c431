#pragma once

#include "hdap/core/random.hpp"
#include "hdap/report/study_report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace hdap::test {

/// The metrics of a study that measures accuracies, in the order of columns.
inline std::vector<report::MetricColumn> metric_columns() {
    return {{"latency.mean", "latency_mean_ms", "ms"},
            {"latency.worst_cluster", "latency_worst_cluster_ms", "ms"},
            {"latency.p50", "latency_p50_ms", "ms"},
            {"latency.p95", "latency_p95_ms", "ms"},
            {"latency.p99", "latency_p99_ms", "ms"},
            {"accuracy_drop", "accuracy_drop", "1"},
            {"flops", "flops", "MACs"},
            {"params", "params", "parameters"},
            {"memory.peak", "memory_peak", "elements"}};
}

/// Adds a metric, whose values are those of the networks in turn.
inline void add_metric(report::StudyReport& report, const report::MetricColumn& metric,
                       const std::vector<double>& values) {
    report.metrics.push_back(metric);
    for (std::size_t i = 0; i < report.networks.size(); ++i)
        report.networks[i].metrics.push_back(values.at(i));
}

inline void remove_metric(report::StudyReport& report, const std::string& name) {
    const auto found = std::ranges::find(report.metrics, name, &report::MetricColumn::name);
    const auto index = found - report.metrics.begin();
    report.metrics.erase(found);
    for (report::NetworkRow& row : report.networks)
        row.metrics.erase(row.metrics.begin() + index);
}

/// The same study, had nothing measured accuracies.
inline report::StudyReport without_accuracy(report::StudyReport report) {
    remove_metric(report, "accuracy_drop");
    for (report::NetworkRow& row : report.networks) {
        row.accuracy = row.test_accuracy = std::numeric_limits<double>::quiet_NaN();
        row.finetuned = false;
    }
    std::erase_if(report.networks, [](const report::NetworkRow& row) {
        return row.kind == report::NetworkKind::uniform;
    });
    report.data_name.clear();
    report.objectives = {"latency.mean", "flops"};
    return report;
}

/// The same study of a fleet whose devices' true latencies nobody knows.
inline report::StudyReport without_true_latencies(report::StudyReport report) {
    const report::NetworkRow& unpruned = report.networks.front();
    const double unpruned_ms = report::metric(report, unpruned, "latency.mean");
    for (report::NetworkRow& row : report.networks) {
        row.latency_fleet_ms = std::numeric_limits<double>::quiet_NaN();
        row.speedup = unpruned_ms / report::metric(report, row, "latency.mean");
    }
    report.found_devices = 0;
    return report;
}

/// The same study of a measured fleet whose networks five of its devices measured in the end,
/// [network] in ms; NaN for one that they did not.
inline report::StudyReport verified(const report::StudyReport& report,
                                    const std::vector<double>& measured_ms) {
    report::StudyReport verified = without_true_latencies(report);
    verified.found_latencies = report::DeviceLatencySource::measured;
    verified.found_devices = 5;
    for (std::size_t i = 0; i < verified.networks.size(); ++i)
        verified.networks[i].latency_fleet_ms = measured_ms.at(i);
    return verified;
}

/// The same study with a constraint on p95 and one on what the costs tell; `found` are the p95 of
/// the networks on the devices, NaN where it is not known.
inline report::StudyReport with_bounds(report::StudyReport report, double limit,
                                       const std::vector<double>& found) {
    report.constraints = {"latency.p95 <= 0.6x", "flops <= 0.9x"};
    const double macs = report::metric(report, report.networks.front(), "flops");
    report.bounds = {{.text = "latency.p95 <= 0.6x",
                      .metric = "latency.p95",
                      .limit = limit,
                      .doubtful = true,
                      .safer = "latency.p95 <= 0.55x"},
                     {.text = "flops <= 0.9x",
                      .metric = "flops",
                      .limit = 0.9 * macs,
                      .doubtful = false,
                      .safer = {}}};
    for (std::size_t i = 0; i < report.networks.size(); ++i)
        report.networks[i].found = {found.at(i),
                                    report::metric(report, report.networks[i], "flops")};
    report.surrogate_error = 0.021;
    return report;
}

/// The sample with a constraint that every fourth network of the front breaks on the devices, the
/// best one among them.
inline report::StudyReport bounded(report::StudyReport report) {
    const double limit = 0.6 * report::metric(report, report.networks.front(), "latency.p95");
    std::vector<double> found;
    for (std::size_t i = 0; i < report.networks.size(); ++i) {
        const double predicted = report::metric(report, report.networks[i], "latency.p95");
        found.push_back(i == 0 ? predicted
                               : std::min(predicted, (i % 4 == 1 ? 1.03 : 0.98) * limit));
        if (i % 4 == 1) found.back() = 1.03 * limit;
    }
    return with_bounds(report, limit, found);
}

/// The same study after two rounds, the second of which chose something faster than all else at the
/// unpruned network's accuracy.
inline report::StudyReport with_rounds(report::StudyReport report) {
    for (const int round : {1, 2}) {
        report::NetworkRow row = report.networks.front();
        row.id = "round-0" + std::to_string(round);
        row.kind = report::NetworkKind::round;
        row.latency_fleet_ms /= 1.0 + 2.0 * round;
        row.speedup = 1.0 + 2.0 * round;
        row.metrics.front() /= row.speedup;
        row.accuracy -= 0.05;
        row.finetuned = true;
        report.networks.insert(report.networks.begin() + round, row);
    }
    return report;
}

/// A made-up study of realistic size: 57 networks on the front, 2,000 devices, 6 clusters.
class SampleReport {
  public:
    static report::StudyReport make() { return SampleReport().report_; }

  private:
    static constexpr int front_size = 57;

    SampleReport() {
        report_.study_name = "mobilenet-xavier-nx";
        report_.sku = "Jetson Xavier NX";
        report_.network_name = "mobilenet_v1";
        report_.data_name = "fashion-mnist";
        report_.devices = 2000;
        report_.found_devices = 2000;
        report_.batch = 64;
        report_.metrics = metric_columns();
        report_.objectives = {"latency.mean", "accuracy_drop"};
        report_.constraints = {"flops <= 0.6x"};
        report_.settings_toml = "# The study's name\nname = \"mobilenet-xavier-nx\"\nseed = 1\n\n"
                                "[search]\npopulation = 64\ngenerations = 40\n";
        report_.provenance = "hdap 0.1.0\ncommit 0123456789ab\ncreated 2026-01-01T00:00:00Z\n"
                             "host node-17";
        add_groups();
        add_networks();
        add_fleet();
        add_search();
    }

    void add_groups() {
        constexpr int channels[] = {32,  64,  128, 128, 256, 256,  512,
                                    512, 512, 512, 512, 512, 1024, 1024};
        for (std::size_t i = 0; i < std::size(channels); ++i) {
            report_.group_names.push_back(i == 0 ? "conv1" : "block" + std::to_string(i) + ".pw");
            report_.unpruned_channels.push_back(channels[i]);
        }
    }

    /// Held-out accuracy that a good network of this speed has.
    static double front_accuracy(double speed) { return 0.925 - 0.16 * std::pow(speed, 2.2); }

    static double mean_latency_ms(double share) { return 18.0 + 105.4 * share; }

    report::NetworkRow network(const std::string& id, report::NetworkKind kind, double share,
                               double accuracy) {
        report::NetworkRow row;
        row.id = id;
        row.kind = kind;
        const double mean_ms = mean_latency_ms(share);
        row.latency_fleet_ms = mean_ms * (1.0 + 0.01 * random_.normal());
        row.speedup = report_.networks.empty()
                          ? 1.0
                          : report_.networks.front().latency_fleet_ms / row.latency_fleet_ms;
        row.metrics = {mean_ms,         1.62 * mean_ms, 0.97 * mean_ms,
                       1.38 * mean_ms,  1.59 * mean_ms, 0.931 - accuracy,
                       574.1e6 * share, 4.23e6 * share, 401408.0 * std::sqrt(share)};
        row.accuracy = accuracy;
        for (const std::int32_t channels : report_.unpruned_channels) {
            double kept = std::sqrt(share);
            if (kind == report::NetworkKind::front) kept *= 0.75 + 0.5 * random_.uniform();
            const double most = channels;
            row.genome.push_back(
                static_cast<std::int32_t>(std::round(most * std::min(1.0, kept) / 8.0) * 8.0));
        }
        return row;
    }

    void add_networks() {
        using report::NetworkKind;
        report_.networks.push_back(network("unpruned", NetworkKind::unpruned, 1.0, 0.931));
        report_.networks.front().test_accuracy = 0.9285;
        for (int i = 0; i < front_size; ++i) {
            const double speed = 1.0 - static_cast<double>(i) / (front_size - 1);
            const double share = 0.08 + 0.5 * (1.0 - speed);
            report_.networks.push_back(
                network((i < 9 ? "front-0" : "front-") + std::to_string(i + 1), NetworkKind::front,
                        share, front_accuracy(speed)));
            if (i % 18 != 8) continue;
            report_.networks.back().finetuned = true;
            report_.networks.back().test_accuracy = 0.9265 - 0.035 * speed * speed;
        }
        for (int i = 8; i < front_size; i += 18) {
            const double speed = 1.0 - static_cast<double>(i) / (front_size - 1);
            const double share = 0.08 + 0.5 * (1.0 - speed);
            report_.networks.push_back(
                network((i < 9 ? "uniform-0" : "uniform-") + std::to_string(i + 1),
                        NetworkKind::uniform, share, front_accuracy(speed) - 0.09 * speed - 0.03));
            report_.networks.back().finetuned = true;
            report_.networks.back().test_accuracy = 0.9165 - 0.05 * speed * speed;
        }
    }

    void add_fleet() {
        constexpr double centre[6][2] = {{0.92, 0.94}, {1.0, 1.0},   {1.13, 1.02},
                                         {1.04, 1.18}, {1.32, 1.36}, {1.55, 1.42}};
        constexpr std::int64_t devices[] = {820, 540, 250, 180, 130, 52};
        for (int k = 0; k < 6; ++k) {
            for (std::int64_t i = 0; i < devices[k]; ++i)
                report_.device_points.push_back(
                    {.x = centre[k][0] * std::exp(0.012 * random_.normal()),
                     .y = centre[k][1] * std::exp(0.012 * random_.normal()),
                     .cluster = k});
            report_.clusters.push_back({.devices = devices[k],
                                        .weight = static_cast<double>(devices[k]) / 1972.0,
                                        .mean_ratio = 1.0,
                                        .unpruned_latency_ms = 118.0 * centre[k][0],
                                        .surrogate_mape = 0.021 + 0.004 * k,
                                        .surrogate_kendall_tau = 0.94 - 0.01 * k});
        }
        for (int i = 0; i < 28; ++i)
            report_.device_points.push_back({.x = 0.85 + 0.9 * random_.uniform(),
                                             .y = 0.85 + 0.8 * random_.uniform(),
                                             .cluster = -1});
        report_.noise_devices = 28;
        report_.device_axis_names = {"benchmark-1", "benchmark-8"};
        for (int i = 0; i < 400; ++i)
            report_.k_distance.push_back(0.009 + 0.011 * i / 400.0 +
                                         0.3 * std::pow(i / 400.0, 40.0));
        report_.eps = 0.032;
        report_.grouping = "dbscan, eps 0.032";
        report_.held_out = "on held-out benchmarks the fleet's mean is off by 0.12 %";
        report_.trials = {{0.5, 1, {0.012, 0.03, 0.05, 0.02, 0.004}},
                          {0.0884, 2, {0.006, 0.012, 0.02, 0.012, 0.003}},
                          {0.0442, 4, {0.001, 0.006, 0.011, 0.006, 0.002}}};
        using search::ViewKind;
        report_.regrets = {
            {"latency.mean",
             {{ViewKind::one_device, 1, {0.021, {0.014, 0.029}}, {0.04, {0.03, 0.05}}},
              {ViewKind::largest_clusters, 1, {0.018, {0.01, 0.026}}, {0.018, {0.01, 0.026}}},
              {ViewKind::equal_weights, 3, {0.004, {-0.001, 0.009}}, {0.004, {-0.001, 0.009}}},
              {ViewKind::all_clusters, 3, {}, {}}}}};
    }

    void add_search() {
        for (int g = 0; g < 40; ++g)
            report_.history.push_back({.generation = g,
                                       .evaluations = 64 * (g + 1),
                                       .front_size = std::min(front_size, 9 + 2 * g),
                                       .hypervolume = 0.71 - 0.35 * std::exp(-g / 9.0)});
        for (int i = 0; i < 2500; ++i) {
            const double speed = random_.uniform();
            const double share = 0.08 + 0.6 * (1.0 - speed);
            const double lost = std::abs(random_.normal()) * (0.02 + 0.25 * speed);
            report_.candidates.push_back({.x = mean_latency_ms(share),
                                          .y = std::max(0.1, front_accuracy(speed) - 0.004 - lost),
                                          .feasible = share <= 0.6});
        }
    }

    core::RandomStream random_{7, core::StreamId::testing};
    report::StudyReport report_;
};

/// The sample as a study of latencies only: what it minimises are the share of devices that are
/// slower than 60 ms and the MACs.
inline report::StudyReport latency_sample() {
    report::StudyReport report = without_accuracy(SampleReport::make());
    std::vector<double> slower{0.985};
    for (std::size_t i = 1; i < report.networks.size(); ++i) {
        const double slow =
            static_cast<double>(i - 1) / static_cast<double>(report.networks.size());
        slower.push_back(0.9 * std::pow(slow, 2.5));
        report.networks[i].metrics[5] = 574.1e6 * (0.57 - 0.45 * slow);
    }
    add_metric(report, {"latency.sla(60ms)", "latency_sla_60ms", "1"}, slower);
    report.objectives = {"latency.sla(60ms)", "flops"};
    report.constraints = {"latency.p99 <= 150", "memory.peak <= 0.9x"};
    core::RandomStream random{11, core::StreamId::testing};
    for (report::CandidatePoint& point : report.candidates) {
        const double slow = random.uniform();
        point.x = std::min(1.0, 0.9 * std::pow(slow, 2.5) + 0.3 * random.uniform());
        point.y = 574.1e6 * (0.57 - 0.45 * slow + 0.1 * random.uniform());
    }
    return report;
}

/// A report of three networks and two groups, with numbers that print shortly.
inline report::StudyReport small_report() {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    using report::NetworkKind;
    report::StudyReport report;
    report.study_name = "small";
    report.sku = "Nano";
    report.network_name = "toy";
    report.data_name = "digits";
    report.devices = 1200;
    report.found_devices = 1200;
    report.batch = 8;
    report.group_names = {"conv1", "conv2"};
    report.unpruned_channels = {16, 32};
    report.metrics = metric_columns();
    report.objectives = {"latency.mean", "accuracy_drop"};
    report.clusters.resize(2);
    report.networks = {{.id = "unpruned",
                        .kind = NetworkKind::unpruned,
                        .genome = {16, 32},
                        .metrics = {20.0, 30.0, 19.5, 28.0, 29.5, 0.0, 4e6, 1e5, 4096.0},
                        .latency_fleet_ms = 20.5,
                        .speedup = 1.0,
                        .accuracy = 0.9,
                        .test_accuracy = 0.89,
                        .finetuned = false},
                       {.id = "front-01",
                        .kind = NetworkKind::front,
                        .genome = {8, 24},
                        .metrics = {10.0, 16.0, 9.5, 14.0, 15.5, 0.1, 1.5e6, 4e4, 2048.0},
                        .latency_fleet_ms = 10.25,
                        .speedup = 2.0,
                        .accuracy = 0.8,
                        .test_accuracy = 0.884,
                        .finetuned = true},
                       {.id = "front-02",
                        .kind = NetworkKind::front,
                        .genome = {16, 24},
                        .metrics = {12.5, unknown, 12.0, 17.0, 18.5, 0.05, 3e6, 7e4, 4096.0},
                        .latency_fleet_ms = 12.8,
                        .speedup = 1.6015625,
                        .accuracy = 0.85,
                        .test_accuracy = unknown,
                        .finetuned = false},
                       {.id = "uniform-01",
                        .kind = NetworkKind::uniform,
                        .genome = {11, 22},
                        .metrics = {10.1, 16.0, 9.6, 14.1, 15.6, 0.2, 1.9e6, 4.7e4, 2816.0},
                        .latency_fleet_ms = 10.25,
                        .speedup = 2.0,
                        .accuracy = 0.7,
                        .test_accuracy = 0.871,
                        .finetuned = true}};
    return report;
}

} // namespace hdap::test
