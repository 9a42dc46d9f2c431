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
    std::string suffix; ///< of every known value: "×"
};

/// The text of a cell; "–" where the value is not known.
std::string cell_text(const NetworkColumn& column, std::size_t network);

/// The columns on the page: those of all `shown_metrics`, and accuracies where they are known.
std::vector<NetworkColumn> page_columns(const StudyReport& report);

/// The columns on a terminal: mean latency, speed-up, MACs, accuracies where they are known, and
/// `extra` of `extra_metrics`.
std::vector<NetworkColumn> terminal_columns(const StudyReport& report, std::size_t extra);

/// What a terminal's table shows besides, as far as there is room: the other objectives, then the
/// metrics of constraints, and in a study without accuracies the other latencies.
std::vector<std::string> extra_metrics(const StudyReport& report);

} // namespace hdap::report
