#pragma once

#include "hdap/report/study_report.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::report {

/// Whether a network keeps the constraints by what was found of it. The worst comes first.
enum class Holds {
    no,      ///< it breaks one
    unknown, ///< it breaks none, but one is known by prediction or by a part of the images only
    yes,
};

/// The cross-validated error of what predicts the latencies that are bounded, as a fraction.
double surrogate_error(const StudyReport& report, const Bound& bound);

/// "no", "unknown", "yes"
std::string_view name_of(Holds holds);

/// Whether `row` keeps the bound at `index`.
Holds holds(const StudyReport& report, const NetworkRow& row, std::size_t index);

/// Whether it keeps all of them; yes where there are none.
Holds holds(const StudyReport& report, const NetworkRow& row);

/// Whether a search could be wrong about a constraint: whether it is worth telling who keeps them.
bool has_doubtful_bounds(const StudyReport& report);

/// Those of the doubtful bounds, by index, whose metrics differ: of two on one metric the first.
/// What was found of these metrics deserves a column.
std::vector<std::size_t> found_metrics(const StudyReport& report);

/// The constraints that `row` breaks, in their order.
std::vector<std::string> broken_bounds(const StudyReport& report, const NetworkRow& row);

/// Whether it is a network of the front that the search took to keep all constraints, and that
/// breaks one.
bool is_marked(const StudyReport& report, const NetworkRow& row);

/// How many networks of the front keep the constraints so.
std::int64_t count_of(const StudyReport& report, Holds holds);

/// "on the devices, each one simulated", "on the devices, 12 of them measured", "by the final
/// accuracies": what tells who keeps the constraints.
std::string how_found(const StudyReport& report);

/// What to know of the constraints of a study, in plain sentences: how many networks of the front
/// keep them on the devices, which break which, the best that keeps them all, and what to do where
/// that is not enough. Empty where no bound is doubtful.
std::string holds_text(const StudyReport& report);

} // namespace hdap::report
