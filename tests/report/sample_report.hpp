#pragma once

#include "hdap/core/random.hpp"
#include "hdap/report/study_report.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace hdap::test {

/// A made-up study of realistic size: 57 networks on the front, 2,000 devices, 6 clusters.
class SampleReport {
  public:
    static report::StudyReport make() { return SampleReport().report_; }

  private:
    static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    static constexpr int front_size = 57;

    SampleReport() {
        report_.study_name = "mobilenet-xavier-nx";
        report_.sku = "Jetson Xavier NX";
        report_.network_name = "mobilenet_v1";
        report_.data_name = "fashion-mnist";
        report_.devices = 2000;
        report_.simulated_devices = 2000;
        report_.batch = 64;
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

    report::NetworkRow network(const std::string& id, report::NetworkKind kind, double share,
                               double accuracy) {
        report::NetworkRow row;
        row.id = id;
        row.kind = kind;
        row.latency_mean_ms = 18.0 + 105.4 * share;
        row.latency_worst_cluster_ms = 1.62 * row.latency_mean_ms;
        row.latency_fleet_ms = row.latency_mean_ms * (1.0 + 0.01 * random_.normal());
        row.speedup = report_.networks.empty()
                          ? 1.0
                          : report_.networks.front().latency_fleet_ms / row.latency_fleet_ms;
        row.flops = 574.1e6 * share;
        row.params = 4.23e6 * share;
        row.memory_peak = 401408.0 * std::sqrt(share);
        row.accuracy = accuracy;
        row.accuracy_drop = 0.931 - accuracy;
        row.test_accuracy = unknown;
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
            report_.candidates.push_back(
                {.latency_mean_ms = 18.0 + 105.4 * share,
                 .accuracy = std::max(0.1, front_accuracy(speed) - 0.004 - lost),
                 .feasible = share <= 0.6});
        }
    }

    core::RandomStream random_{7, core::StreamId::testing};
    report::StudyReport report_;
};

/// A report of three networks and two groups, with figures that print shortly.
inline report::StudyReport small_report() {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    report::StudyReport report;
    report.study_name = "small";
    report.sku = "Nano";
    report.network_name = "toy";
    report.data_name = "digits";
    report.devices = 1200;
    report.simulated_devices = 1200;
    report.batch = 8;
    report.group_names = {"conv1", "conv2"};
    report.unpruned_channels = {16, 32};
    report.clusters.resize(2);
    report.networks = {{.id = "unpruned",
                        .kind = report::NetworkKind::unpruned,
                        .genome = {16, 32},
                        .latency_mean_ms = 20.0,
                        .latency_worst_cluster_ms = 30.0,
                        .latency_fleet_ms = 20.5,
                        .speedup = 1.0,
                        .flops = 4e6,
                        .params = 1e5,
                        .memory_peak = 4096.0,
                        .accuracy = 0.9,
                        .accuracy_drop = 0.0,
                        .test_accuracy = 0.89,
                        .finetuned = false},
                       {.id = "front-01",
                        .kind = report::NetworkKind::front,
                        .genome = {8, 24},
                        .latency_mean_ms = 10.0,
                        .latency_worst_cluster_ms = 16.0,
                        .latency_fleet_ms = 10.25,
                        .speedup = 2.0,
                        .flops = 1.5e6,
                        .params = 4e4,
                        .memory_peak = 2048.0,
                        .accuracy = 0.8,
                        .accuracy_drop = 0.1,
                        .test_accuracy = 0.884,
                        .finetuned = true},
                       {.id = "front-02",
                        .kind = report::NetworkKind::front,
                        .genome = {16, 24},
                        .latency_mean_ms = 12.5,
                        .latency_worst_cluster_ms = unknown,
                        .latency_fleet_ms = 12.8,
                        .speedup = 1.6015625,
                        .flops = 3e6,
                        .params = 7e4,
                        .memory_peak = 4096.0,
                        .accuracy = 0.85,
                        .accuracy_drop = 0.05,
                        .test_accuracy = unknown,
                        .finetuned = false},
                       {.id = "uniform-01",
                        .kind = report::NetworkKind::uniform,
                        .genome = {11, 22},
                        .latency_mean_ms = 10.1,
                        .latency_worst_cluster_ms = 16.0,
                        .latency_fleet_ms = 10.25,
                        .speedup = 2.0,
                        .flops = 1.9e6,
                        .params = 4.7e4,
                        .memory_peak = 2816.0,
                        .accuracy = 0.7,
                        .accuracy_drop = 0.2,
                        .test_accuracy = 0.871,
                        .finetuned = true}};
    return report;
}

} // namespace hdap::test
