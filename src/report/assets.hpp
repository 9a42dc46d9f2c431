#pragma once

#include <string_view>

namespace hdap::report {

/// Apache ECharts, minified; empty when it was not there at configure time
/// (cmake/HdapECharts.cmake).
std::string_view echarts_js();

/// src/report/report.js
std::string_view report_js();

/// src/report/report.css
std::string_view report_css();

} // namespace hdap::report
