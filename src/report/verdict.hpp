#pragma once

#include "hdap/report/study_report.hpp"

#include <string>
#include <string_view>

namespace hdap::report {

/// Throws InternalError unless the report is one that can be shown: the unpruned network first and
/// only there, one genome entry per group and one value per metric and per bound in every network,
/// two device axes where there are points.
void check(const StudyReport& report);

/// "unpruned", "front", "uniform"
std::string_view name_of(NetworkKind kind);

/// "simulated", "measured", "recorded"
std::string_view name_of(DeviceLatencySource source);

/// Whether the study's list has the metric `name`.
bool has_metric(const StudyReport& report, std::string_view name);

/// Whether `name` is an objective of the study, or bounded by a constraint.
bool is_judged_by(const StudyReport& report, std::string_view name);

/// Whether `number` is known of a network: whether it deserves a column.
bool knows(const StudyReport& report, double NetworkRow::*number);

/// Whether an accuracy of any network is known, before fine-tuning or after it.
bool knows_accuracies(const StudyReport& report);

/// Whether a network's latency on the devices was found, and the unpruned network's with it.
bool is_found(const StudyReport& report, const NetworkRow& row);

/// "each one simulated", "12 of them measured": which devices `latency_fleet_ms` is the mean of.
std::string found_devices_text(const StudyReport& report);

/// "3 of 40 candidates could not be measured and count as infeasible."; nothing where all could.
std::string failures_text(const StudyReport& report);

/// The mean latency that a network is judged by: as it was found, else as it is predicted.
double judged_latency_ms(const StudyReport& report, const NetworkRow& row);

/// Unpruned ÷ this one's latency, both as found, else as predicted.
double judged_speedup(const StudyReport& report, const NetworkRow& row);

/// The network's share of the unpruned one's MACs.
double macs_share(const StudyReport& report, const NetworkRow& row);

/// The accuracy that a network is judged by: on the test set where it is known, else on held-out
/// images.
double judged_accuracy(const NetworkRow& row);

/// A loss of accuracy below this is small: the headline names the fastest network within it.
inline constexpr double small_loss = 0.01;

/// What the headline speaks of. Pointers into the report; null when there is no such network.
struct Verdict {
    /// Of the front's networks those that keep the constraints by what was found, else those of
    /// which it is not known, else the others. Of these the fine-tuned ones, else the others: the
    /// fastest that loses at most `small_loss` against the unpruned one, else the most accurate.
    /// Where no accuracy of the front is known, the fastest.
    const NetworkRow* best = nullptr;
    /// The uniform network whose latency, found as that of `best` was, is nearest to its, and that
    /// was fine-tuned as `best` was.
    const NetworkRow* uniform = nullptr;
    bool by_accuracy = false;             ///< whether `best` was chosen by its accuracy
    double accuracy_change = 0.0;         ///< of `best` against the unpruned network
    double uniform_accuracy_change = 0.0; ///< of `uniform` against the unpruned network
};

Verdict verdict(const StudyReport& report);

} // namespace hdap::report
