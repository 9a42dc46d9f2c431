#include "assets.hpp"

/// Defined in the generated report_assets.S.
extern "C" {
extern const char hdap_report_echarts_begin[];
extern const char hdap_report_echarts_end[];
extern const char hdap_report_js_begin[];
extern const char hdap_report_js_end[];
extern const char hdap_report_css_begin[];
extern const char hdap_report_css_end[];
}

namespace hdap::report {

std::string_view echarts_js() {
    return {hdap_report_echarts_begin, hdap_report_echarts_end};
}

std::string_view report_js() {
    return {hdap_report_js_begin, hdap_report_js_end};
}

std::string_view report_css() {
    return {hdap_report_css_begin, hdap_report_css_end};
}

} // namespace hdap::report
