#pragma once

#include "hdap/report/study_report.hpp"

#include <string>

namespace hdap::report {

/// The headline of report.html: what the study found, in a sentence and in four numbers or more.
std::string verdict_section(const StudyReport& report);

} // namespace hdap::report
