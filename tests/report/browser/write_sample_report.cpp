// Writes the reports that check_report.mjs looks at into the folder that is its argument.

#include "report/sample_report.hpp"

#include <filesystem>
#include <fstream>
#include <iostream>

namespace {

namespace report = hdap::report;

/// Names that would run a script if the report did not escape them.
report::StudyReport hostile_report() {
    report::StudyReport hostile = hdap::test::SampleReport::make();
    const std::string evil = "</script><img src=\"http://127.0.0.1:9/x\" onerror=alert(1)>";
    hostile.study_name = hostile.sku = hostile.network_name = hostile.data_name = evil;
    hostile.settings_toml = hostile.provenance = evil;
    hostile.objectives = {evil, evil};
    hostile.metrics[1] = {.name = evil, .column = evil, .unit = evil};
    hostile.device_axis_names = {evil, evil};
    hostile.bounds = {
        {.text = evil, .metric = evil, .limit = 1.0, .doubtful = true, .safer = evil}};
    for (report::NetworkRow& row : hostile.networks)
        row.found = {2.0};
    for (std::string& name : hostile.group_names)
        name = evil;
    for (report::NetworkRow& row : hostile.networks)
        row.id = evil;
    return hostile;
}

/// As little as a study can know.
report::StudyReport bare_report() {
    report::StudyReport bare = hdap::test::small_report();
    for (report::NetworkRow& row : bare.networks) {
        row.finetuned = false;
        row.test_accuracy = std::numeric_limits<double>::quiet_NaN();
        row.latency_fleet_ms = std::numeric_limits<double>::quiet_NaN();
    }
    bare.history = {{.generation = 0, .evaluations = 4, .front_size = 2, .hypervolume = 0.5}};
    bare.k_distance = {0.0, 0.0};
    bare.trials = {{.radius = 0.5, .clusters = 1, .errors = {}},
                   {.radius = 0.25, .clusters = 2, .errors = {}}};
    bare.device_points = {{.x = 1.0, .y = 1.0, .cluster = -1}};
    bare.device_axis_names = {"first", "last"};
    return bare;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::cerr << "usage: write_sample_report FOLDER\n";
        return 2;
    }
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    const auto write = [&](const char* name, const report::StudyReport& content) {
        std::ofstream(folder / name, std::ios::binary) << report::report_html(content);
    };
    write("sample.html", hdap::test::SampleReport::make());
    write("bounded.html", hdap::test::bounded(hdap::test::SampleReport::make()));
    write("bounded-latency.html",
          hdap::test::bounded(hdap::test::without_accuracy(hdap::test::SampleReport::make())));
    write("rounds.html", hdap::test::with_rounds(hdap::test::SampleReport::make()));
    write("hostile.html", hostile_report());
    write("bare.html", bare_report());
    write("latency.html", hdap::test::latency_sample());
    write("predicted.html", hdap::test::without_true_latencies(hdap::test::SampleReport::make()));
    write("hostile-latency.html", hdap::test::without_accuracy(hostile_report()));
    return 0;
}
