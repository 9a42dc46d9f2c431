#pragma once

#include "hdap/report/study_report.hpp"

#include <string>

namespace hdap::report {

/// The numbers of the charts as JSON that is safe inside <script type="application/json">: no '<'
/// occurs in it. A number that is not finite is null. report.js reads it.
std::string report_data(const StudyReport& report);

} // namespace hdap::report
