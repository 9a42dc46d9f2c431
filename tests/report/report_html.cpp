#include "hdap/core/error.hpp"
#include "report/sample_report.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <utility>

namespace hdap::report {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::string between(const std::string& text, const std::string& begin, const std::string& end) {
    const std::size_t from = text.find(begin);
    if (from == std::string::npos) return "";
    const std::size_t start = from + begin.size();
    return text.substr(start, text.find(end, start) - start);
}

std::string data_of(const std::string& html) {
    return between(html, "id=\"report-data\">", "</script>");
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

std::string lead_of(const StudyReport& report) {
    return between(report_html(report), "<p class=\"lead\">", "</p>");
}

} // namespace

TEST_CASE("report_html refuses devices without names for their axes") {
    StudyReport report = test::small_report();
    report.device_points.push_back({});
    CHECK_THROWS_WITH(report_html(report), Catch::Contains("two axes, not 0"));
    report.device_axis_names = {"a", "b"};
    report.unpruned_channels.pop_back();
    CHECK_THROWS_AS(report_html(report), core::InternalError);
}

TEST_CASE("report_html's headline names speed-up, devices and accuracy") {
    StudyReport report = test::small_report();
    CHECK(lead_of(report) == "front-01: <strong>2.00× lower mean latency</strong> over 1,200 "
                             "devices than the unpruned network, at <strong>0.60 points less test "
                             "accuracy</strong>.");
    CHECK_THAT(report_html(report),
               Catch::Contains("uniform-01: 2.00× lower, at 1.90 points less accuracy. front-01 is "
                               "<strong>1.30 points more accurate</strong>."));

    SECTION("and takes the fastest of those that lose little") {
        report.networks[2].finetuned = true;
        report.networks[2].test_accuracy = 0.8895;
        CHECK_THAT(lead_of(report), Catch::StartsWith("front-01: "));
    }
    SECTION("but rather the most accurate when all lose much") {
        report.networks[1].test_accuracy = 0.80;
        report.networks[2].finetuned = true;
        report.networks[2].test_accuracy = 0.85;
        CHECK_THAT(lead_of(report), Catch::StartsWith("front-02: ") &&
                                        Catch::Contains("1.60× lower") &&
                                        Catch::Contains("4.00 points less"));
    }
    SECTION("and says when nothing was fine-tuned") {
        report.networks[1].finetuned = false;
        report.networks[1].test_accuracy = unknown;
        CHECK_THAT(lead_of(report), Catch::StartsWith("front-02: ") &&
                                        Catch::Contains("held-out accuracy, before fine-tuning"));
    }
    SECTION("and says when a network is slower") {
        report.networks[1].latency_fleet_ms = 20.5 / 0.8;
        CHECK_THAT(lead_of(report), Catch::Contains("1.25× higher mean latency"));
    }
    SECTION("and does not sell a prediction as more") {
        CHECK_THAT(lead_of(test::without_true_latencies(report)),
                   Catch::Contains("<strong>2.00× lower predicted mean latency</strong>"));
    }
    SECTION("and goes by what devices measured, and says so, where the best was measured") {
        CHECK(
            lead_of(test::verified(report, {30.0, 20.0, unknown, 24.0})) ==
            "front-01: <strong>1.50× lower measured mean latency</strong> over 5 devices than the "
            "unpruned network, at <strong>0.60 points less test accuracy</strong>.");
        CHECK_THAT(report_html(test::verified(report, {30.0, 20.0, unknown, 24.0})),
                   Catch::Contains("uniform-01: 1.25× lower") &&
                       Catch::Contains("<dt>Mean latency, measured</dt>") &&
                       Catch::Contains("over all devices, 5 of them measured."));
    }
    SECTION("and does not compare it with a uniform width that is only predicted") {
        CHECK_THAT(report_html(test::verified(report, {30.0, 20.0, unknown, unknown})),
                   !Catch::Contains("Uniform width at the nearest latency"));
    }
    SECTION("and goes by predictions where only others were measured") {
        CHECK_THAT(
            lead_of(test::verified(report, {30.0, unknown, 20.0, 24.0})),
            Catch::Contains("<strong>2.00× lower predicted mean latency</strong> over 1,200"));
    }
    SECTION("and names the fastest network where nothing measured accuracies") {
        report = test::without_accuracy(report);
        std::swap(report.networks[1], report.networks[2]);
        CHECK(lead_of(report) == "front-01: <strong>2.00× lower mean latency</strong> over 1,200 "
                                 "devices than the unpruned network, at <strong>38 % of its "
                                 "MACs</strong>. No accuracy was measured.");
        report.networks.front().test_accuracy = 0.9;
        CHECK_THAT(lead_of(report), Catch::EndsWith(". Its accuracy was not measured."));
    }
    SECTION("and copes with a front that is empty") {
        report.networks.resize(1);
        CHECK_THAT(lead_of(report), Catch::Contains("found no network"));
    }
}

TEST_CASE("report_html's headline prefers networks that keep the constraints on the devices") {
    const auto bounded = [](double first, double second) {
        return test::with_bounds(test::small_report(), 16.8, {28, first, second, 14});
    };
    CHECK_THAT(lead_of(bounded(16, 16)), Catch::StartsWith("front-01: "));
    CHECK_THAT(lead_of(bounded(17, 16)), Catch::StartsWith("front-02: "));
    CHECK_THAT(lead_of(bounded(17, unknown)), Catch::StartsWith("front-02: "));
    CHECK_THAT(lead_of(bounded(17, 18)), Catch::StartsWith("front-01: "));
    const StudyReport latencies = test::without_accuracy(test::small_report());
    CHECK_THAT(lead_of(test::with_bounds(latencies, 16.8, {28, 17, 16})),
               Catch::StartsWith("front-02: "));
}

TEST_CASE("report_html marks the networks of the front that break a constraint on the devices") {
    StudyReport report = test::with_bounds(test::small_report(), 16.8, {28, 17, 16, unknown});
    const std::string html = report_html(report);
    const std::string table = between(html, "id=\"networks\"", "</table>");
    CHECK_THAT(table, Catch::Contains("<tr class=\"finetuned broken\" title=\"breaks latency.p95 "
                                      "&lt;= 0.6x\"><th scope=\"row\">front-01</th>"));
    CHECK(count_of(table, "broken") == 1);
    CHECK_THAT(table, Catch::Contains("95th percentile<span class=\"unit\">ms, predicted") &&
                          Catch::Contains("95th percentile<span class=\"unit\">ms, simulated") &&
                          Catch::Contains("data-value=\"0\">no</td>") &&
                          Catch::Contains("data-value=\"1\">unknown</td>") &&
                          Catch::Contains("data-value=\"2\">yes</td>"));
    CHECK_THAT(html, Catch::Contains("<p class=\"warning\" id=\"holds\">1 of the 2 networks"));
    CHECK_THAT(data_of(html),
               Catch::Contains("[\"95th-percentile latency, simulated\",\"17.00 ms\"]") &&
                   Catch::Contains("[\"constraints hold on the devices\",\"no: latency.p95 "
                                   "\\u003c= 0.6x\"]"));
    CHECK(count_of(data_of(html), "\"broken\":true") == 1);

    report.networks[1].found[0] = 16;
    CHECK_THAT(report_html(report), Catch::Contains("<p class=\"beside\" id=\"holds\">All of") &&
                                        !Catch::Contains("\"broken\":true"));
    report.found_latencies = DeviceLatencySource::measured;
    CHECK_THAT(report_html(report), Catch::Contains("ms, measured</span>"));
    CHECK_THAT(report_html(test::small_report()), !Catch::Contains("id=\"holds\""));
}

TEST_CASE("report_html shows names literally, whatever they are") {
    StudyReport report = test::small_report();
    const std::string evil = "</script><img src=x onerror=alert(1)>\"'&";
    report.study_name = report.sku = report.network_name = report.data_name = evil;
    report.settings_toml = report.provenance = evil;
    report.objectives = report.constraints = {evil};
    test::add_metric(report, {evil, evil, evil}, {1.0, 2.0, 3.0, 4.0});
    report.bounds = {{.text = evil, .metric = evil, .limit = 2, .doubtful = true, .safer = evil}};
    for (NetworkRow& row : report.networks)
        row.found = {3.0};
    test::add_metric(report, {"latency.sla(" + evil + "ms)", "x", "1"}, {1.0, 1.0, 1.0, 1.0});
    report.group_names[0] = evil;
    report.networks[1].id = evil;
    report.device_axis_names = {evil, evil};
    const std::string html = report_html(report);

    // Before ECharts, which holds such text itself.
    CHECK(html.find("<img") > html.find("id=\"report-data\""));
    CHECK(data_of(html).find('<') == std::string::npos);
    CHECK_THAT(html, Catch::Contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"
                                     "&quot;&#39;&amp;"));
    CHECK_THAT(data_of(html), Catch::Contains("\\u003c/script>"));
    // As many scripts as with harmless names.
    CHECK(count_of(html, "</script>") == count_of(report_html(test::small_report()), "</script>"));
}

TEST_CASE("report_html shows hostile metrics literally on the axes, too") {
    const std::string evil = "</script><img src=x onerror=alert(1)>";
    StudyReport report = test::without_accuracy(test::small_report());
    test::add_metric(report, {evil, evil, evil}, {1.0, 2.0, 3.0});
    report.objectives = {evil, evil};
    const std::string html = report_html(report);
    CHECK(html.find("<img") > html.find("id=\"report-data\""));
    CHECK(data_of(html).find('<') == std::string::npos);
}

TEST_CASE("report_html replaces bytes that are not UTF-8 in its data") {
    StudyReport report = test::small_report();
    report.group_names[0] = "conv\xff";
    CHECK_THAT(data_of(report_html(report)), Catch::Contains("conv\xef\xbf\xbd"));
}

TEST_CASE("report_html writes null for a number that is not known, and a dash in tables") {
    StudyReport report = test::small_report();
    report.candidates.push_back({.x = unknown, .y = 0.5, .feasible = true});
    const std::string html = report_html(report);
    CHECK_THAT(data_of(html), Catch::Contains("\"candidates\":[[null,50.0,1]]"));
    CHECK_THAT(data_of(html), Catch::Contains("\"after\":[12.5,null]"));
    CHECK_THAT(html, Catch::Contains("<td class=\"number\">–</td>"));
    CHECK_THAT(data_of(html), !Catch::Contains("nan"));
}

TEST_CASE("report_html asks for nothing from a network") {
    const std::string html = report_html(test::SampleReport::make());
    CHECK_THAT(html, Catch::Contains("default-src 'none'"));
    CHECK_THAT(html,
               !Catch::Contains("<link rel=\"stylesheet\"") && !Catch::Contains("<script src"));
}

TEST_CASE("report_html has charts, or says which command brings them") {
    const std::string html = report_html(test::SampleReport::make());
    if (html.find("<script id=\"echarts\">") == std::string::npos) {
        WARN("built without ECharts: the charts are not tested");
        CHECK_THAT(html, Catch::Contains("npm ci --ignore-scripts") &&
                             !Catch::Contains("class=\"chart\""));
    } else {
        for (const std::string id :
             {"front", "clusters", "k-distance", "trials", "channels", "history"})
            CHECK_THAT(html, Catch::Contains("<div class=\"chart\" id=\"chart-" + id + "\""));
        CHECK_THAT(html, !Catch::Contains("npm ci"));
    }
    CHECK(count_of(html, "<th scope=\"row\">") == 1 + 57 + 3 + 3 + 6);
}

TEST_CASE("report_html says whether the fleet matters, and what seeing less of it costs") {
    const std::string html = report_html(test::SampleReport::make());
    CHECK_THAT(html, Catch::Contains("dbscan, eps 0.032") &&
                         Catch::Contains("On held-out benchmarks the fleet") &&
                         Catch::Contains("id=\"fleet-verdict\">The fleet matters: ") &&
                         Catch::Contains("2.1 % (1.4 to 2.9 %) in latency.mean") &&
                         Catch::Contains("<th scope=\"row\">the largest cluster</th>"));
    CHECK_THAT(report_html(test::small_report()), !Catch::Contains("fleet-verdict"));
}

TEST_CASE("report_html draws rounds where there are some, and names the best of them") {
    const std::string html = report_html(test::with_rounds(test::small_report()));
    const std::string without = report_html(test::small_report());
    if (html.find("<script id=\"echarts\">") != std::string::npos)
        CHECK_THAT(html, Catch::Contains("id=\"chart-rounds\""));
    CHECK_THAT(without, !Catch::Contains("id=\"chart-rounds\""));
    CHECK_THAT(html, Catch::Contains("<p class=\"lead\">round-02: "));
    CHECK_THAT(without, Catch::Contains("<p class=\"lead\">front-01: "));
}

TEST_CASE("chart_axes are latency and accuracy, or else the first two objectives") {
    StudyReport report = test::small_report();
    const auto axes = [&](const std::vector<std::string>& objectives) {
        report.objectives = objectives;
        const ChartAxes chosen = chart_axes(report);
        return chosen.x + ", " + chosen.y;
    };
    CHECK(axes({"accuracy_drop", "flops"}) == "latency.mean, accuracy");
    report = test::without_accuracy(report);
    CHECK(axes({"params", "latency.p95", "flops"}) == "params, latency.p95");
    CHECK(axes({"latency.mean"}) == "latency.mean, flops");
    CHECK(axes({"flops"}) == "flops, latency.mean");
    CHECK(axes({"params"}) == "params, latency.mean");
    CHECK(axes({"no such metric"}) == "latency.mean, flops");
    CHECK(axes({}) == "latency.mean, flops");
}

TEST_CASE("metric looks up what the study has, and nothing else") {
    const StudyReport report = test::small_report();
    CHECK(metric(report, report.networks[1], "latency.p95") == 14.0);
    CHECK(std::isnan(metric(report, report.networks[1], "latency.sla(33ms)")));
}

TEST_CASE("report_html's table has a column per metric, rare quantiles only where they judge") {
    StudyReport report = test::small_report();
    const auto headings = [&] {
        return between(report_html(report), "id=\"networks\"", "</thead>");
    };
    CHECK(count_of(headings(), "<th ") == 1 + 11);
    CHECK_THAT(headings(),
               Catch::Contains("Mean latency<span class=\"unit\">ms, simulated") &&
                   Catch::Contains("95th percentile<span class=\"unit\">ms, predicted") &&
                   !Catch::Contains("Median") && !Catch::Contains("99th"));
    report.constraints = {"latency.p99 <= 0.5x"};
    CHECK_THAT(headings(), Catch::Contains("99th percentile"));

    test::add_metric(report, {"latency.sla(33ms)", "latency_sla_33ms", "1"},
                     {0.5, 0.0, 0.0625, 0.01});
    CHECK_THAT(headings(), Catch::Contains("Devices slower than 33 ms"
                                           "<span class=\"unit\">%, predicted"));
    CHECK_THAT(report_html(report),
               Catch::Contains("<td class=\"number\" data-value=\"6.25\">6.2</td>"));
    test::add_metric(report, {"energy", "energy_j", "J"}, {4.0, 2.0, 3.0, 2.5});
    CHECK_THAT(headings(), Catch::Contains("energy<span class=\"unit\">J</span>"));
}

TEST_CASE("report_html speaks of no accuracy where nothing measured one") {
    const StudyReport report = test::without_accuracy(test::small_report());
    const std::string html = report_html(report);
    const std::string table = between(html, "id=\"networks\"", "</thead>");
    CHECK_THAT(table, !Catch::Contains("ccuracy") && !Catch::Contains("Drop"));
    CHECK_THAT(html, Catch::Contains("<h2>MACs per image against mean latency</h2>") &&
                         Catch::Contains("No accuracy was measured in this study."));
    CHECK_THAT(data_of(html), Catch::Contains("\"hasAccuracy\":false") &&
                                  Catch::Contains("\"before\":[10.0,1.5]") &&
                                  Catch::Contains("\"planeFront\":true"));
}

TEST_CASE("report_html does not deny accuracies that only fine-tuning brought") {
    StudyReport report = test::without_accuracy(test::small_report());
    report.networks[1].finetuned = true;
    report.networks[1].test_accuracy = 0.88;
    const std::string html = report_html(report);
    CHECK_THAT(html, !Catch::Contains("No accuracy was measured"));
    CHECK_THAT(between(html, "id=\"networks\"", "</thead>"),
               Catch::Contains("Test accuracy") && !Catch::Contains("Held"));
}

TEST_CASE("report_html marks latencies as predictions where nobody knows the true ones") {
    const std::string html = report_html(test::without_true_latencies(test::small_report()));
    const std::string page = html.substr(0, html.find("id=\"report-data\""));
    CHECK_THAT(page, Catch::Contains("Mean latency<span class=\"unit\">ms, predicted") &&
                         Catch::Contains("All latencies, and so the speed-up, are predicted") &&
                         Catch::Contains("<dt>Mean latency, predicted</dt>"));
    CHECK_THAT(page, !Catch::Contains("simulated"));
}

TEST_CASE("report_html has what devices measured beside what is predicted, each in its column") {
    const std::string html =
        report_html(test::verified(test::small_report(), {30.0, 20.0, unknown, 24.0}));
    const std::string table = between(html, "id=\"networks\"", "</table>");
    CHECK_THAT(table, Catch::Contains("Mean latency<span class=\"unit\">ms, predicted</span>") &&
                          Catch::Contains("Mean latency<span class=\"unit\">ms, measured</span>") &&
                          Catch::Contains("up<span class=\"unit\">measured</span>") &&
                          Catch::Contains(">30.00</td>") && Catch::Contains(">1.50×</td>"));
    CHECK_THAT(html, Catch::Contains("but where a heading says otherwise: over all devices, 5 of "
                                     "them measured."));
    CHECK_THAT(data_of(html), Catch::Contains("[\"mean latency, measured\",\"20.00 ms\"]") &&
                                  Catch::Contains("[\"speed-up, measured\",\"1.50×\"]") &&
                                  Catch::Contains("[\"speed-up, predicted\",\"1.60×\"]"));
}

} // namespace hdap::report
