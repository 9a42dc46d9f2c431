#pragma once

#include "hdap/report/study_report.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace hdap::report {

/// A column of the networks' table.
struct NetworkColumn {
    std::string heading;
    std::string unit;
    std::vector<double> values; ///< per network, as shown; NaN where it is not known
    int decimals = 0;
    std::string suffix;             ///< of every known value: "×"
    std::vector<std::string> texts; ///< per network, shown instead of the values; or none
};

/// The text of a cell; "–" where the value is not known.
std::string cell_text(const NetworkColumn& column, std::size_t network);

/// The columns on the page: who keeps the constraints where a bound is doubtful, those of all
/// `shown_metrics`, with the bounded latencies as they were found, and accuracies where they are
/// known.
std::vector<NetworkColumn> page_columns(const StudyReport& report);

/// The columns on a terminal: mean latency, speed-up, MACs, accuracies where they are known, who
/// keeps the constraints where a bound is doubtful, and `extra` of `extra_metrics`.
std::vector<NetworkColumn> terminal_columns(const StudyReport& report, std::size_t extra);

/// What a terminal's table shows besides, as far as there is room: the other objectives, then the
/// metrics of constraints, and in a study without accuracies the other latencies.
std::vector<std::string> extra_metrics(const StudyReport& report);

} // namespace hdap::report
