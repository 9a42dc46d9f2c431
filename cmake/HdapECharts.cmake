# Embeds what the HTML report is made of into the report module: its style sheet, its script and
# Apache ECharts, which draws the charts. The assembler copies the files as they are, so this costs
# no compile time. Without ECharts the report has its tables, and a sentence in place of charts.
enable_language(ASM)

set(HDAP_ECHARTS_JS "${PROJECT_SOURCE_DIR}/node_modules/echarts/dist/echarts.min.js"
    CACHE FILEPATH "Apache ECharts, minified; draws the charts of report.html")

# The glob makes a later build notice that the file came or went.
file(GLOB echarts_found CONFIGURE_DEPENDS "${HDAP_ECHARTS_JS}")
set(report_echarts "${HDAP_ECHARTS_JS}")
if(NOT echarts_found)
  message(STATUS "ECharts not found: report.html will have tables and no charts. "
                 "`npm ci --ignore-scripts` in ${PROJECT_SOURCE_DIR} brings it.")
  set(report_echarts "${PROJECT_BINARY_DIR}/no-echarts.js")
  file(WRITE "${report_echarts}" "")
endif()
set(report_js "${PROJECT_SOURCE_DIR}/src/report/report.js")
set(report_css "${PROJECT_SOURCE_DIR}/src/report/report.css")

set(report_assets "${PROJECT_BINARY_DIR}/report_assets.S")
configure_file("${PROJECT_SOURCE_DIR}/src/report/assets.S.in" "${report_assets}" @ONLY)
set_source_files_properties("${report_assets}" PROPERTIES
  OBJECT_DEPENDS "${report_echarts};${report_js};${report_css}")

# Apart from hdap_report, whose warning options are not for an assembler.
add_library(hdap_report_assets OBJECT "${report_assets}")
target_sources(hdap_report PRIVATE $<TARGET_OBJECTS:hdap_report_assets>)
