#include "hdap/core/error.hpp"
#include "report/sample_report.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>
#include <limits>

namespace hdap::report {
namespace {

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
    SECTION("with a second unpruned network") {
        report.networks[2].kind = NetworkKind::unpruned;
        CHECK_THROWS_WITH(front_csv(report), Catch::Contains("'front-02'"));
    }
}

TEST_CASE("front_csv writes one line a network, and nothing for what is not known") {
    CHECK(front_csv(test::small_report()) ==
          "id,kind,latency_mean_ms,speedup,latency_worst_cluster_ms,latency_fleet_ms,accuracy,"
          "accuracy_drop,test_accuracy,flops,params,memory_peak,finetuned,keep_conv1,keep_conv2\n"
          "unpruned,unpruned,20,1,30,20.5,0.9,0,0.89,4e+06,1e+05,4096,false,16,32\n"
          "front-01,front,10,2,16,10.25,0.8,0.1,0.884,1500000,40000,2048,true,8,24\n"
          "front-02,front,12.5,1.6015625,,12.8,0.85,0.05,,3e+06,70000,4096,false,16,24\n"
          "uniform-01,uniform,10.1,2,16,10.25,0.7,0.2,0.871,1900000,47000,2816,true,11,22\n");
}

TEST_CASE("front_csv's numbers read back to the same bits") {
    const StudyReport report = test::SampleReport::make();
    const auto rows = parse_csv(front_csv(report));
    REQUIRE(rows.size() == report.networks.size() + 1);
    const auto number = [](const std::string& text) { return std::strtod(text.c_str(), nullptr); };
    for (std::size_t i = 0; i < report.networks.size(); ++i) {
        const NetworkRow& row = report.networks[i];
        const auto& fields = rows[i + 1];
        REQUIRE(fields.size() == 13 + report.group_names.size());
        CHECK(fields[0] == row.id);
        CHECK(number(fields[2]) == row.latency_mean_ms);
        CHECK(number(fields[3]) == row.speedup);
        CHECK(number(fields[4]) == row.latency_worst_cluster_ms);
        CHECK(number(fields[5]) == row.latency_fleet_ms);
        CHECK(number(fields[6]) == row.accuracy);
        CHECK(number(fields[7]) == row.accuracy_drop);
        CHECK((std::isnan(row.test_accuracy) ? fields[8].empty()
                                             : number(fields[8]) == row.test_accuracy));
        CHECK(number(fields[9]) == row.flops);
        CHECK(number(fields[11]) == row.memory_peak);
        for (std::size_t g = 0; g < row.genome.size(); ++g)
            CHECK(fields[13 + g] == std::to_string(row.genome[g]));
    }
}

TEST_CASE("front_csv quotes names with commas, quotes and line breaks") {
    StudyReport report = test::small_report();
    report.group_names = {"a,\"b\"", "c\nd"};
    report.networks[1].id = "one,two";
    const std::string text = front_csv(report);
    CHECK_THAT(text, Catch::Contains(",\"keep_a,\"\"b\"\"\",\"keep_c\nd\"\n"));
    const auto rows = parse_csv(text);
    CHECK(rows[0][13] == "keep_a,\"b\"");
    CHECK(rows[0][14] == "keep_c\nd");
    CHECK(rows[2][0] == "one,two");
}

} // namespace hdap::report
