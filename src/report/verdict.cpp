#include "verdict.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/report/holds.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace hdap::report {
namespace {

double comparable_accuracy(const NetworkRow& row) {
    return row.finetuned ? row.test_accuracy : row.accuracy;
}

double accuracy_change(const NetworkRow& row, const NetworkRow& unpruned) {
    // Like is compared with like: test images with test images where both are known.
    const double reference = row.finetuned ? judged_accuracy(unpruned) : unpruned.accuracy;
    return comparable_accuracy(row) - reference;
}

bool beats(const StudyReport& report, const NetworkRow& row, const NetworkRow& other) {
    const NetworkRow& unpruned = report.networks.front();
    const bool close = accuracy_change(row, unpruned) >= -small_loss;
    const bool other_close = accuracy_change(other, unpruned) >= -small_loss;
    if (close != other_close) return close;
    return close ? judged_speedup(report, row) > judged_speedup(report, other)
                 : comparable_accuracy(row) > comparable_accuracy(other);
}

/// Whether the study is for such networks, rather than for comparing others with them.
bool is_offered(const NetworkRow& row) {
    return row.kind == NetworkKind::front || row.kind == NetworkKind::round;
}

const NetworkRow* best_of_front(const StudyReport& report, Holds wanted, bool finetuned) {
    const NetworkRow* best = nullptr;
    for (const NetworkRow& row : report.networks) {
        if (!is_offered(row) || row.finetuned != finetuned) continue;
        if (holds(report, row) != wanted) continue;
        if (!std::isfinite(comparable_accuracy(row)) || !std::isfinite(row.speedup)) continue;
        if (best == nullptr || beats(report, row, *best)) best = &row;
    }
    return best;
}

const NetworkRow* fastest_of_front(const StudyReport& report, Holds wanted) {
    const NetworkRow* fastest = nullptr;
    for (const NetworkRow& row : report.networks) {
        if (!is_offered(row) || !std::isfinite(row.speedup)) continue;
        if (holds(report, row) != wanted) continue;
        if (fastest == nullptr || judged_speedup(report, row) > judged_speedup(report, *fastest))
            fastest = &row;
    }
    return fastest;
}

const NetworkRow* nearest_uniform(const StudyReport& report, const NetworkRow& best) {
    const NetworkRow* nearest = nullptr;
    double least = 0.0;
    for (const NetworkRow& row : report.networks) {
        if (row.kind != NetworkKind::uniform || row.finetuned != best.finetuned) continue;
        if (is_found(report, row) != is_found(report, best)) continue;
        const double distance =
            std::abs(judged_latency_ms(report, row) - judged_latency_ms(report, best));
        if (!std::isfinite(comparable_accuracy(row)) || !std::isfinite(row.speedup) ||
            !std::isfinite(distance))
            continue;
        if (nearest == nullptr || distance < least) {
            nearest = &row;
            least = distance;
        }
    }
    return nearest;
}

/// "flops" of "flops <= 0.5x"
std::string_view bounded_metric(std::string_view constraint) {
    const std::size_t begin = std::min(constraint.find_first_not_of(" \t"), constraint.size());
    constraint.remove_prefix(begin);
    return constraint.substr(0, constraint.find_first_of(" \t<=>"));
}

void check_row(const StudyReport& report, const NetworkRow& row) {
    if (row.kind == NetworkKind::unpruned && &row != &report.networks.front())
        throw core::InternalError(
            fmt::format("a report has a second unpruned network, '{}'", row.id));
    if (row.genome.size() != report.group_names.size())
        throw core::InternalError(
            fmt::format("network '{}' of a report has {} genes for {} pruning groups", row.id,
                        row.genome.size(), report.group_names.size()));
    if (row.metrics.size() != report.metrics.size())
        throw core::InternalError(
            fmt::format("network '{}' of a report has {} values for {} metrics", row.id,
                        row.metrics.size(), report.metrics.size()));
    if (row.found.size() != report.bounds.size())
        throw core::InternalError(
            fmt::format("network '{}' of a report has {} values for {} bounds", row.id,
                        row.found.size(), report.bounds.size()));
}

} // namespace

void check(const StudyReport& report) {
    if (report.networks.empty() || report.networks.front().kind != NetworkKind::unpruned)
        throw core::InternalError("a report must begin with the unpruned network");
    for (const NetworkRow& row : report.networks)
        check_row(report, row);
    for (const Bound& bound : report.bounds)
        if (!has_metric(report, bound.metric))
            throw core::InternalError(
                fmt::format("a report bounds {}, which it lacks", bound.metric));
    if (report.unpruned_channels.size() != report.group_names.size())
        throw core::InternalError(
            fmt::format("a report has {} unpruned channel counts for {} pruning groups",
                        report.unpruned_channels.size(), report.group_names.size()));
    if (!report.device_points.empty() && report.device_axis_names.size() != 2)
        throw core::InternalError(
            fmt::format("a report with device points must name two axes, not {}",
                        report.device_axis_names.size()));
}

std::string_view name_of(NetworkKind kind) {
    switch (kind) {
    case NetworkKind::unpruned:
        return "unpruned";
    case NetworkKind::front:
        return "front";
    case NetworkKind::round:
        return "round";
    case NetworkKind::uniform:
        break;
    }
    return "uniform";
}

std::string_view name_of(DeviceLatencySource source) {
    switch (source) {
    case DeviceLatencySource::measured:
        return "measured";
    case DeviceLatencySource::recorded:
        return "recorded";
    case DeviceLatencySource::simulated:
        break;
    }
    return "simulated";
}

bool has_metric(const StudyReport& report, std::string_view name) {
    return std::ranges::find(report.metrics, name, &MetricColumn::name) != report.metrics.end();
}

bool is_judged_by(const StudyReport& report, std::string_view name) {
    return std::ranges::find(report.objectives, name) != report.objectives.end() ||
           std::ranges::find(report.constraints, name, bounded_metric) != report.constraints.end();
}

bool knows(const StudyReport& report, double NetworkRow::*number) {
    return std::ranges::any_of(report.networks,
                               [&](const NetworkRow& row) { return std::isfinite(row.*number); });
}

bool knows_accuracies(const StudyReport& report) {
    return knows(report, &NetworkRow::accuracy) || knows(report, &NetworkRow::test_accuracy);
}

bool is_found(const StudyReport& report, const NetworkRow& row) {
    return std::isfinite(row.latency_fleet_ms) &&
           std::isfinite(report.networks.front().latency_fleet_ms);
}

std::string found_devices_text(const StudyReport& report) {
    return fmt::format("{} {}",
                       report.found_devices >= report.devices
                           ? "each one"
                           : core::grouped(report.found_devices) + " of them",
                       name_of(report.found_latencies));
}

std::string failures_text(const StudyReport& report) {
    if (report.failed == 0) return "";
    return fmt::format("{} of {} could not be measured and {} as infeasible.",
                       core::grouped(report.failed), core::counted(report.evaluated, "candidate"),
                       report.failed == 1 ? "counts" : "count");
}

double judged_latency_ms(const StudyReport& report, const NetworkRow& row) {
    return is_found(report, row) ? row.latency_fleet_ms : metric(report, row, "latency.mean");
}

double judged_speedup(const StudyReport& report, const NetworkRow& row) {
    return is_found(report, row) ? report.networks.front().latency_fleet_ms / row.latency_fleet_ms
                                 : row.speedup;
}

double macs_share(const StudyReport& report, const NetworkRow& row) {
    return metric(report, row, "flops") / metric(report, report.networks.front(), "flops");
}

double judged_accuracy(const NetworkRow& row) {
    return std::isfinite(row.test_accuracy) ? row.test_accuracy : row.accuracy;
}

Verdict verdict(const StudyReport& report) {
    Verdict result;
    constexpr std::array best_first{Holds::yes, Holds::unknown, Holds::no};
    for (const Holds wanted : best_first)
        for (const bool finetuned : {true, false})
            if (result.best == nullptr) result.best = best_of_front(report, wanted, finetuned);
    result.by_accuracy = result.best != nullptr;
    if (!result.by_accuracy) {
        for (const Holds wanted : best_first)
            if (result.best == nullptr) result.best = fastest_of_front(report, wanted);
        return result;
    }
    const NetworkRow& unpruned = report.networks.front();
    result.accuracy_change = accuracy_change(*result.best, unpruned);
    result.uniform = nearest_uniform(report, *result.best);
    if (result.uniform != nullptr)
        result.uniform_accuracy_change = accuracy_change(*result.uniform, unpruned);
    return result;
}

} // namespace hdap::report
