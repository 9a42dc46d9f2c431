#include "figures.hpp"

#include "hdap/core/error.hpp"
#include "number_text.hpp"

#include <algorithm>
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

bool beats(const NetworkRow& row, const NetworkRow& other, const NetworkRow& unpruned) {
    const bool close = accuracy_change(row, unpruned) >= -small_loss;
    const bool other_close = accuracy_change(other, unpruned) >= -small_loss;
    if (close != other_close) return close;
    return close ? row.speedup > other.speedup
                 : comparable_accuracy(row) > comparable_accuracy(other);
}

const NetworkRow* best_of_front(const StudyReport& report, bool finetuned) {
    const NetworkRow* best = nullptr;
    for (const NetworkRow& row : report.networks) {
        if (row.kind != NetworkKind::front || row.finetuned != finetuned) continue;
        if (!std::isfinite(comparable_accuracy(row)) || !std::isfinite(row.speedup)) continue;
        if (best == nullptr || beats(row, *best, report.networks.front())) best = &row;
    }
    return best;
}

const NetworkRow* nearest_uniform(const StudyReport& report, const NetworkRow& best) {
    const NetworkRow* nearest = nullptr;
    double least = 0.0;
    for (const NetworkRow& row : report.networks) {
        if (row.kind != NetworkKind::uniform || row.finetuned != best.finetuned) continue;
        const double distance = std::abs(row.latency_mean_ms - best.latency_mean_ms);
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

} // namespace

void check(const StudyReport& report) {
    if (report.networks.empty() || report.networks.front().kind != NetworkKind::unpruned)
        throw core::InternalError("a report must begin with the unpruned network");
    for (const NetworkRow& row : report.networks) {
        if (row.kind == NetworkKind::unpruned && &row != &report.networks.front())
            throw core::InternalError("a report has a second unpruned network, '" + row.id + "'");
        if (row.genome.size() != report.group_names.size())
            throw core::InternalError(
                "network '" + row.id + "' of a report has " + std::to_string(row.genome.size()) +
                " genes for " + std::to_string(report.group_names.size()) + " pruning groups");
    }
    if (report.unpruned_channels.size() != report.group_names.size())
        throw core::InternalError("a report has " +
                                  std::to_string(report.unpruned_channels.size()) +
                                  " unpruned channel counts for " +
                                  std::to_string(report.group_names.size()) + " pruning groups");
    if (!report.device_points.empty() && report.device_axis_names.size() != 2)
        throw core::InternalError("a report with device points must name two axes, not " +
                                  std::to_string(report.device_axis_names.size()));
}

std::string_view name_of(NetworkKind kind) {
    switch (kind) {
    case NetworkKind::unpruned:
        return "unpruned";
    case NetworkKind::front:
        return "front";
    case NetworkKind::uniform:
        break;
    }
    return "uniform";
}

bool fleet_latency_known(const StudyReport& report) {
    return std::all_of(report.networks.begin(), report.networks.end(),
                       [](const NetworkRow& row) { return std::isfinite(row.latency_fleet_ms); });
}

std::string how_simulated(const StudyReport& report) {
    return report.simulated_devices >= report.devices
               ? "each one simulated"
               : grouped(report.simulated_devices) + " of them simulated";
}

double shown_latency_ms(const NetworkRow& row, bool fleet_known) {
    return fleet_known ? row.latency_fleet_ms : row.latency_mean_ms;
}

double judged_accuracy(const NetworkRow& row) {
    return std::isfinite(row.test_accuracy) ? row.test_accuracy : row.accuracy;
}

Verdict verdict(const StudyReport& report) {
    Verdict result;
    result.best = best_of_front(report, true);
    if (result.best == nullptr) result.best = best_of_front(report, false);
    if (result.best == nullptr) return result;
    const NetworkRow& unpruned = report.networks.front();
    result.accuracy_change = accuracy_change(*result.best, unpruned);
    result.uniform = nearest_uniform(report, *result.best);
    if (result.uniform != nullptr)
        result.uniform_accuracy_change = accuracy_change(*result.uniform, unpruned);
    return result;
}

} // namespace hdap::report
