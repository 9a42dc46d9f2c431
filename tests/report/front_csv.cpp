#include "hdap/core/error.hpp"
#include "report/sample_report.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace hdap::report {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// A reader of RFC 4180, independent of the writer.
std::vector<std::vector<std::string>> parse_csv(const std::string& text) {
    std::vector<std::vector<std::string>> rows(1, {""});
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char letter = text[i];
        std::string& field = rows.back().back();
        if (quoted && letter == '"' && i + 1 < text.size() && text[i + 1] == '"') {
            field += '"';
            ++i;
        } else if (letter == '"') {
            quoted = !quoted;
        } else if (!quoted && letter == ',') {
            rows.back().emplace_back();
        } else if (!quoted && letter == '\n') {
            rows.push_back({""});
        } else {
            field += letter;
        }
    }
    rows.pop_back();
    return rows;
}

} // namespace

TEST_CASE("front_csv refuses a report that cannot be shown") {
    StudyReport report = test::small_report();

    SECTION("without networks") {
        report.networks.clear();
        CHECK_THROWS_AS(front_csv(report), core::InternalError);
    }
    SECTION("with a genome of the wrong length") {
        report.networks[1].genome.pop_back();
        CHECK_THROWS_WITH(front_csv(report),
                          Catch::Contains("'front-01'") && Catch::Contains("1 genes for 2"));
    }
    SECTION("with a metric too few") {
        report.networks[1].metrics.pop_back();
        CHECK_THROWS_WITH(front_csv(report),
                          Catch::Contains("'front-01'") && Catch::Contains("8 values for 9"));
    }
    SECTION("with a second unpruned network") {
        report.networks[2].kind = NetworkKind::unpruned;
        CHECK_THROWS_WITH(front_csv(report), Catch::Contains("'front-02'"));
    }
}

TEST_CASE("front_csv refuses a report whose bounds and networks do not fit") {
    StudyReport report = test::with_bounds(test::small_report(), 16.8, {28, 14, 17, 14});
    report.networks[2].found.pop_back();
    CHECK_THROWS_WITH(front_csv(report),
                      Catch::Contains("'front-02'") && Catch::Contains("1 values for 2 bounds"));
    report = test::with_bounds(test::small_report(), 16.8, {28, 14, 17, 14});
    report.bounds[0].metric = "latency.p42";
    CHECK_THROWS_WITH(front_csv(report), Catch::Contains("latency.p42"));
}

TEST_CASE("front_csv marks who keeps the constraints, behind the columns that there were") {
    const StudyReport plain = test::small_report();
    const auto found = {28.5, 14.25, 17.5, unknown};
    StudyReport report = test::with_bounds(plain, 16.8, found);
    report.bounds.push_back(report.bounds[0]); // a second one on the same metric
    report.bounds.back().text = "latency.p95 <= 17";
    report.bounds.back().limit = 17;
    for (NetworkRow& row : report.networks)
        row.found.push_back(row.found[0]);
    const auto before = parse_csv(front_csv(plain));
    const auto rows = parse_csv(front_csv(report));
    const std::vector<std::vector<std::string>> added{
        {"holds_on_devices", "broken", "latency_p95_ms_on_devices"},
        {"no", "latency.p95 <= 0.6x; flops <= 0.9x; latency.p95 <= 17", "28.5"},
        {"yes", "", "14.25"},
        {"no", "latency.p95 <= 0.6x; latency.p95 <= 17", "17.5"},
        {"unknown", "", ""}};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto end = rows[i].end() - 3;
        CHECK(std::vector(rows[i].begin(), end) == before[i]);
        CHECK(std::vector(end, rows[i].end()) == added[i]);
    }
}

TEST_CASE("front_csv has no marks where a search cannot be wrong") {
    StudyReport report = test::with_bounds(test::small_report(), 16.8, {28, 14, 17, 14});
    report.bounds.erase(report.bounds.begin());
    for (NetworkRow& row : report.networks)
        row.found.erase(row.found.begin());
    CHECK(front_csv(report) == front_csv(test::small_report()));
}

TEST_CASE("front_csv writes one line per network, and nothing for what is not known") {
    CHECK(front_csv(test::small_report()) ==
          "id,kind,latency_mean_ms,latency_worst_cluster_ms,latency_p50_ms,latency_p95_ms,"
          "latency_p99_ms,accuracy_drop,flops,params,memory_peak,speedup,latency_fleet_ms,"
          "accuracy,test_accuracy,finetuned,keep_conv1,keep_conv2\n"
          "unpruned,unpruned,20,30,19.5,28,29.5,0,4e+06,1e+05,4096,1,20.5,0.9,0.89,false,16,32\n"
          "front-01,front,10,16,9.5,14,15.5,0.1,1500000,40000,2048,2,10.25,0.8,0.884,true,8,24\n"
          "front-02,front,12.5,,12,17,18.5,0.05,3e+06,70000,4096,1.6015625,12.8,0.85,,false,16,24\n"
          "uniform-01,uniform,10.1,16,9.6,14.1,15.6,0.2,1900000,47000,2816,2,10.25,0.7,0.871,true,"
          "11,22\n");
}

TEST_CASE("front_csv has a line for what each round chose") {
    const std::string csv = front_csv(test::with_rounds(test::small_report()));
    CHECK_THAT(csv, Catch::Contains("\nround-01,round,") && Catch::Contains("\nround-02,round,"));
}

TEST_CASE("front_csv has no column for accuracies that nothing measured") {
    CHECK_THAT(front_csv(test::without_accuracy(test::small_report())),
               Catch::StartsWith(
                   "id,kind,latency_mean_ms,latency_worst_cluster_ms,latency_p50_ms,"
                   "latency_p95_ms,latency_p99_ms,flops,params,memory_peak,speedup,"
                   "latency_fleet_ms,finetuned,keep_conv1,keep_conv2\n"
                   "unpruned,unpruned,20,30,19.5,28,29.5,4e+06,1e+05,4096,1,20.5,false,16,32\n"));
}

TEST_CASE("front_csv has no column for true latencies that nobody knows") {
    CHECK_THAT(front_csv(test::without_true_latencies(test::small_report())),
               Catch::Contains(",memory_peak,speedup,accuracy,test_accuracy,finetuned,") &&
                   Catch::Contains("\nfront-02,front,12.5,,12,17,18.5,0.05,3e+06,70000,4096,1.6,"
                                   "0.85,,false,16,24\n"));
}

TEST_CASE("front_csv has a column for a metric with an argument, where the list has it") {
    StudyReport report = test::small_report();
    test::add_metric(report, {"latency.sla(33ms)", "latency_sla_33ms", "1"},
                     {0.5, 0.0, 0.0625, 0.01});
    const auto rows = parse_csv(front_csv(report));
    CHECK(rows[0][11] == "latency_sla_33ms");
    CHECK(rows[1][11] == "0.5");
    CHECK(rows[3][11] == "0.0625");
    CHECK(rows[0][12] == "speedup");
}

TEST_CASE("front_csv's numbers read back to the same bits") {
    const StudyReport report = test::SampleReport::make();
    const auto rows = parse_csv(front_csv(report));
    REQUIRE(rows.size() == report.networks.size() + 1);
    const std::size_t metrics = report.metrics.size();
    const auto number = [](const std::string& text) { return std::strtod(text.c_str(), nullptr); };
    for (std::size_t i = 0; i < report.networks.size(); ++i) {
        const NetworkRow& row = report.networks[i];
        const auto& fields = rows[i + 1];
        REQUIRE(fields.size() == 2 + metrics + 5 + report.group_names.size());
        CHECK(fields[0] == row.id);
        for (std::size_t m = 0; m < metrics; ++m)
            CHECK(number(fields[2 + m]) == row.metrics[m]);
        CHECK(number(fields[2 + metrics]) == row.speedup);
        CHECK(number(fields[3 + metrics]) == row.latency_fleet_ms);
        CHECK(number(fields[4 + metrics]) == row.accuracy);
        CHECK((std::isnan(row.test_accuracy) ? fields[5 + metrics].empty()
                                             : number(fields[5 + metrics]) == row.test_accuracy));
        for (std::size_t g = 0; g < row.genome.size(); ++g)
            CHECK(fields[7 + metrics + g] == std::to_string(row.genome[g]));
    }
}

TEST_CASE("front_csv quotes names with commas, quotes and line breaks") {
    StudyReport report = test::small_report();
    report.group_names = {"a,\"b\"", "c\nd"};
    report.networks[1].id = "one,two";
    const std::string text = front_csv(report);
    CHECK_THAT(text, Catch::Contains(",\"keep_a,\"\"b\"\"\",\"keep_c\nd\"\n"));
    const auto rows = parse_csv(text);
    CHECK(rows[0][16] == "keep_a,\"b\"");
    CHECK(rows[0][17] == "keep_c\nd");
    CHECK(rows[2][0] == "one,two");
}

} // namespace hdap::report
