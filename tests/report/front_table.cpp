#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "report/sample_report.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <limits>
#include <sstream>

namespace hdap::report {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

} // namespace

TEST_CASE("front_table refuses a report without the unpruned network") {
    StudyReport report = test::small_report();
    report.networks.erase(report.networks.begin());
    CHECK_THROWS_AS(front_table(report), core::InternalError);
}

TEST_CASE("front_table aligns the networks in groups below the unpruned one") {
    CHECK("\n" + front_table(test::small_report()) == R"(
small: toy on 1,200 devices (Nano) in 2 clusters

                 mean latency   speed-up   MACs   MACs      accuracy   accuracy
  network                  ms                 M      %   held-out, %    test, %
  ─────────────────────────────────────────────────────────────────────────────
  unpruned              20.50      1.00x    4.0    100         90.00      89.00

  front, fine-tuned
    front-01            10.25      2.00x    1.5     38         80.00      88.40

  front, not fine-tuned
    front-02            12.80      1.60x    3.0     75         85.00          –

  uniform width
    uniform-01          10.25      2.00x    1.9     48         70.00      87.10

Latency: 8 images per inference, mean over 1,200 devices, each one simulated. MACs: per image, and
in % of the unpruned network. Accuracy: top-1 on digits, on held-out images before fine-tuning and
on test images after it.
)");
}

TEST_CASE("front_table shows what rounds chose, in their order, before the front") {
    const std::string table = front_table(test::with_rounds(test::small_report()));
    const auto at = [&](const char* text) { return table.find(text); };
    CHECK(at("rounds, each from the one before") < at("round-01"));
    CHECK(at("round-01") < at("round-02"));
    CHECK(at("round-02") < at("front, fine-tuned"));
    CHECK(at("uniform-01") != std::string::npos);
}

TEST_CASE("front_table says how many devices of a large fleet were simulated") {
    StudyReport report = test::small_report();
    report.devices = 1'000'000;
    report.found_devices = 20'000;
    CHECK_THAT(front_table(report),
               Catch::Contains("mean over 1,000,000 devices, 20,000 of them simulated"));
}

TEST_CASE("front_table fits a terminal of 100 columns") {
    for (const std::string& line : lines_of(front_table(test::SampleReport::make())))
        CHECK(core::display_width(line) <= 100);
    StudyReport measured = test::bounded(test::SampleReport::make());
    std::vector<double> some(measured.networks.size(), std::numeric_limits<double>::quiet_NaN());
    some.front() = 123.4;
    for (const std::string& line : lines_of(front_table(test::verified(measured, some))))
        CHECK(core::display_width(line) <= 100);
}

TEST_CASE("front_table shows other latencies in the room that accuracies leave") {
    CHECK("\n" + front_table(test::without_accuracy(test::small_report())) == R"(
small: toy on 1,200 devices (Nano) in 2 clusters

                 mean latency   speed-up   slowest cluster   p95 latency   MACs   MACs
  network                  ms                           ms            ms      M      %
  ────────────────────────────────────────────────────────────────────────────────────
  unpruned              20.50      1.00x             30.00         28.00    4.0    100

  front, not fine-tuned
    front-01            10.25      2.00x             16.00         14.00    1.5     38
    front-02            12.80      1.60x                 –         17.00    3.0     75

Latency: 8 images per inference, mean over 1,200 devices, each one simulated; other latencies
predicted by the surrogates. MACs: per image, and in % of the unpruned network. No accuracy was
measured in this study.
)");
}

TEST_CASE("front_table shows the metrics that the study is judged by, as far as they fit") {
    StudyReport report = test::small_report();
    test::add_metric(report, {"latency.sla(33ms)", "latency_sla_33ms", "1"},
                     {0.5, 0.0, 0.0625, 0.01});
    CHECK_THAT(front_table(report), !Catch::Contains("33 ms"));
    report.objectives = {"accuracy_drop", "latency.sla(33ms)"};
    CHECK_THAT(front_table(report),
               Catch::Contains("devices > 33 ms") && Catch::Contains("; other latencies"));
    CHECK_THAT(front_table(report), Catch::Contains("6.2"));

    report.constraints = {"latency.p95 <= 12", "params<=0.5x", " memory.peak <= 0.5x"};
    for (const std::string& line : lines_of(front_table(report)))
        CHECK(core::display_width(line) <= 100);
    report.networks[1].id = std::string(60, 'n');
    CHECK_THAT(front_table(report), !Catch::Contains("devices > 33 ms"));
}

TEST_CASE("front_table tells who keeps the constraints on the devices, and prefers those") {
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    CHECK("\n" +
              front_table(test::with_bounds(test::small_report(), 16.8, {28, 17, 16, unknown})) ==
          R"(
small: toy on 1,200 devices (Nano) in 2 clusters

                 mean latency   speed-up   MACs   MACs      accuracy   accuracy   holds on
  network                  ms                 M      %   held-out, %    test, %    devices
  ────────────────────────────────────────────────────────────────────────────────────────
  unpruned              20.50      1.00x    4.0    100         90.00      89.00         no

  front, fine-tuned
    front-01            10.25      2.00x    1.5     38         80.00      88.40         no

  front, not fine-tuned
    front-02            12.80      1.60x    3.0     75         85.00          –        yes

  uniform width
    uniform-01          10.25      2.00x    1.9     48         70.00      87.10    unknown

1 of the 2 networks of the front keeps the constraints on the devices, each one simulated. front-01
breaks latency.p95 <= 0.6x. The best that keeps them all: front-02. To be safer, raise
profile.candidates, or search with a margin: latency.p95 <= 0.55x.

Latency: 8 images per inference, mean over 1,200 devices, each one simulated; other latencies
predicted by the surrogates. MACs: per image, and in % of the unpruned network. Accuracy: top-1 on
digits, on held-out images before fine-tuning and on test images after it.
)");
    const StudyReport report = test::bounded(test::SampleReport::make());
    for (const std::string& line : lines_of(front_table(report)))
        CHECK(core::display_width(line) <= 100);
    // front-09 and front-45 are fine-tuned and stay; of the others only such as keep the bound.
    const auto lines = lines_of(front_table(report, 3));
    CHECK(std::ranges::count_if(lines, [](const std::string& line) {
              return line.starts_with("    front-") && line.ends_with(" no");
          }) == 2);
    CHECK(std::ranges::count_if(lines, [](const std::string& line) {
              return line.starts_with("    front-") && line.ends_with(" yes");
          }) == 4);
    CHECK_THAT(front_table(report, 54), Catch::Contains("front-01 ") && Catch::Contains(" no\n"));
}

TEST_CASE("front_table always shows the best of those that keep the constraints") {
    StudyReport report = test::bounded(test::without_accuracy(test::SampleReport::make()));
    report.networks[24].latency_fleet_ms = 1.3;
    for (const std::size_t most : {1U, 2U, 7U})
        CHECK_THAT(front_table(report, most), Catch::Contains("    front-24 ") &&
                                                  Catch::Contains("keeps them all: front-24."));
    report.networks[25].latency_fleet_ms = 1.2; // breaks the constraint
    CHECK_THAT(front_table(report, 2), Catch::Contains("keeps them all: front-24."));
}

TEST_CASE("front_table spreads the rows that were not fine-tuned over the whole front") {
    const StudyReport report = test::SampleReport::make();
    const std::string text = front_table(report, 3);
    CHECK_THAT(text, Catch::Contains("front, not fine-tuned (3 of 54, all are in front.csv)"));
    CHECK_THAT(text, Catch::Contains("    front-01 "));
    CHECK_THAT(text, Catch::Contains("    front-57 "));
    const auto lines = lines_of(text);
    CHECK(std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
              return line.starts_with("    front-");
          }) == 6);

    CHECK_THAT(front_table(report, 0), !Catch::Contains("not fine-tuned"));
    CHECK_THAT(front_table(report, 1), Catch::Contains("(1 of 54"));
    CHECK_THAT(front_table(report, 54), !Catch::Contains("of 54"));
}

TEST_CASE("front_table shows predictions for all networks when one was not simulated") {
    StudyReport report = test::small_report();
    report.networks[2].latency_fleet_ms = std::numeric_limits<double>::quiet_NaN();
    const std::string text = front_table(report);
    CHECK_THAT(text, Catch::Contains("predicted by the surrogates; of some") &&
                         Catch::Contains("networks each one simulated."));
    CHECK_THAT(text, Catch::Contains("20.00"));
}

TEST_CASE(
    "front_table has what devices measured in columns of its own, with a dash for the others") {
    constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    const auto lines =
        lines_of(front_table(test::verified(test::small_report(), {30.0, 20.0, unknown, 24.0})));
    const auto line_of = [&](const std::string& id) {
        return *std::ranges::find_if(
            lines, [&](const std::string& line) { return line.find(id) != std::string::npos; });
    };
    CHECK_THAT(lines[2], Catch::Contains("mean latency   measured   speed-up"));
    CHECK_THAT(lines[3], Catch::Contains("measured"));
    CHECK_THAT(line_of("front-01 "), Catch::Contains("10.00") && Catch::Contains("20.00") &&
                                         Catch::Contains("1.50x") && !Catch::Contains("2.00x"));
    CHECK_THAT(line_of("front-02 "), Catch::Contains("12.50") && Catch::Contains("–"));
    CHECK_THAT(lines.back() + lines[lines.size() - 2] + lines[lines.size() - 3],
               Catch::Contains("5 of them measured"));
}

TEST_CASE("front_table shows no prediction as a measurement") {
    CHECK_THAT(front_table(test::without_true_latencies(test::small_report())),
               Catch::Contains("mean over 1,200 devices, predicted by the surrogates.") &&
                   !Catch::Contains("simulated"));
}

TEST_CASE("front_table and the report count the candidates that could not be measured") {
    StudyReport report = test::small_report();
    for (const std::string& text : {front_table(report), report_html(report)})
        CHECK_THAT(text, !Catch::Contains("could not be measured"));
    report.evaluated = 2040;
    report.failed = 3;
    // A terminal's lines break anywhere.
    CHECK_THAT(front_table(report), Catch::Contains("3 of 2,040"));
    CHECK_THAT(report_html(report), Catch::Contains("3 of 2,040 candidates could not be measured "
                                                    "and count as infeasible."));
    report.failed = 1;
    CHECK_THAT(report_html(report), Catch::Contains("1 of 2,040 candidates could not be measured "
                                                    "and counts as infeasible."));
}

TEST_CASE("front_table lets no control character through to the terminal") {
    StudyReport report = test::small_report();
    report.study_name = "a\x1b[2Jb\xc2\x9b"
                        "c\x7f";
    report.networks[1].id = "front\n01";
    report.metrics[2].name = "p\x1b[2J50";
    report.objectives = {report.metrics[2].name};
    const std::string text = front_table(report);
    CHECK_THAT(text, Catch::StartsWith("a?[2Jb?c?: toy"));
    CHECK_THAT(text, Catch::Contains("front?01") && Catch::Contains("p?[2J50"));
}

} // namespace hdap::report
