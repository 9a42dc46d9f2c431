#include "hdap/report/holds.hpp"

#include "report/sample_report.hpp"

#include <catch2/catch.hpp>

#include <limits>

namespace hdap::report {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// front-01, which is fine-tuned, then front-02; the bound is 16.8 ms.
StudyReport with_found(double first, double second) {
    return test::with_bounds(test::small_report(), 16.8, {28, first, second, 14});
}

} // namespace

TEST_CASE("a network holds when it keeps every bound, and not when it breaks one that is known") {
    StudyReport report = with_found(16.8, unknown);
    CHECK(holds(report, report.networks[1]) == Holds::yes);
    CHECK(holds(report, report.networks[2]) == Holds::unknown);
    CHECK(broken_bounds(report, report.networks[2]).empty());
    report.bounds[1].limit = 2e6;
    CHECK(holds(report, report.networks[2]) == Holds::no);
    CHECK(broken_bounds(report, report.networks[2]) == std::vector<std::string>{"flops <= 0.9x"});
    report.bounds[0].limit = unknown;
    CHECK(holds(report, report.networks[1]) == Holds::unknown);
    CHECK(holds(test::small_report(), test::small_report().networks[1]) == Holds::yes);
}

TEST_CASE("what is not known under continuous load is told with the error of what predicts that") {
    StudyReport report = test::without_true_latencies(with_found(unknown, unknown));
    report.other_errors[fleet::Quantity::sustained_latency] = 0.083;
    CHECK_THAT(holds_text(report), Catch::Contains("a mean error of 2.1 %"));
    report.bounds[0].metric = "latency.sustained";
    report.bounds[0].text = "latency.sustained <= 0.6x";
    CHECK(surrogate_error(report, report.bounds[0]) == 0.083);
    CHECK_THAT(holds_text(report), Catch::Contains("latency.sustained <= 0.6x") &&
                                       Catch::Contains("a mean error of 8.3 %"));
    report.other_errors[fleet::Quantity::energy] = 0.061;
    report.bounds[0].metric = "energy.mean";
    report.bounds[0].text = "energy.mean <= 0.6x";
    CHECK_THAT(holds_text(report),
               Catch::Contains("energy.mean <= 0.6x") && Catch::Contains("a mean error of 6.1 %"));
}

TEST_CASE("the front's networks are counted, marked and told of; others are not") {
    const StudyReport report = with_found(17, 16);
    CHECK(count_of(report, Holds::no) == 1);
    CHECK(count_of(report, Holds::yes) == 1);
    CHECK(count_of(report, Holds::unknown) == 0);
    CHECK(is_marked(report, report.networks[1]));
    CHECK_FALSE(is_marked(report, report.networks[0])); // breaks it, but nobody asked it to
    CHECK(holds_text(report) ==
          "1 of the 2 networks of the front keeps the constraints on the devices, each one "
          "simulated. front-01 breaks latency.p95 <= 0.6x. The best that keeps them all: front-02. "
          "To be safer, raise profile.candidates, or search with a margin: latency.p95 <= 0.55x.");
}

TEST_CASE("the text says that all hold, or that none does") {
    CHECK(holds_text(with_found(15, 16)) ==
          "All of the 2 networks of the front keep the constraints on the devices, each one "
          "simulated. The best that keeps them all: front-01.");
    CHECK_THAT(holds_text(with_found(17, 18)),
               Catch::StartsWith("None of the 2 networks of the front keeps the constraints") &&
                   Catch::Contains("front-01 and front-02 break latency.p95 <= 0.6x. ") &&
                   Catch::EndsWith("margin: latency.p95 <= 0.55x.") &&
                   !Catch::Contains("The best"));
}

TEST_CASE("the text does not take predictions for what is found, and tells their error") {
    StudyReport report = test::without_true_latencies(with_found(unknown, unknown));
    report.found_latencies = DeviceLatencySource::recorded;
    CHECK_THAT(holds_text(report),
               Catch::StartsWith("Of 2 networks of the front it is not known whether latency.p95 "
                                 "<= 0.6x holds: latencies are predicted") &&
                   Catch::Contains("2.1 %") && Catch::Contains("fleet.recorded.file") &&
                   !Catch::Contains("simulated") && !Catch::Contains("The best"));
    report.found_latencies = DeviceLatencySource::measured;
    CHECK_THAT(holds_text(report), Catch::Contains("hdap fleet verify --front measures them") &&
                                       Catch::Contains("raise profile.candidates"));
}

TEST_CASE("the text says on which part of the devices a constraint was seen to break") {
    StudyReport report = with_found(17, unknown);
    report.found_latencies = DeviceLatencySource::measured;
    report.found_devices = 5;
    CHECK_THAT(holds_text(report),
               Catch::StartsWith("None of the 2 networks of the front is known to keep the "
                                 "constraints on the devices, 5 of them measured. front-01 breaks "
                                 "latency.p95 <= 0.6x. "));
}

TEST_CASE("accuracies have remedies of their own") {
    StudyReport report = with_found(15, 16);
    report.bounds[0] = {.text = "accuracy_drop <= 0.005",
                        .metric = "accuracy_drop",
                        .limit = 0.005,
                        .doubtful = true,
                        .safer = {}};
    report.networks[1].found[0] = 0.004;
    report.networks[2].found[0] = unknown;
    report.bounds[1].limit = 2e6; // which front-02 breaks, whatever its accuracy
    CHECK_THAT(holds_text(report), !Catch::Contains("Accuracies"));
    report.bounds[1].limit = 3e6;
    report.networks[1].found[0] = 0.006;
    CHECK(holds_text(report) ==
          "None of the 2 networks of the front is known to keep the constraints by the final "
          "accuracies. front-01 breaks accuracy_drop <= 0.005. Of 1 network of the front it is not "
          "known whether accuracy_drop <= 0.005 holds: what was not fine-tuned was classified on a "
          "part of the "
          "images only. Accuracies: fine-tune more networks (finetune.candidates), or for longer "
          "(finetune.epochs).");
}

TEST_CASE("many networks that break a bound are named in part") {
    const std::string text = holds_text(test::bounded(test::SampleReport::make()));
    CHECK_THAT(text, Catch::StartsWith("42 of the 57 networks") &&
                         Catch::Contains("front-01, front-05, front-09, front-13, front-17 and 10 "
                                         "more break latency.p95 <= 0.6x."));
}

TEST_CASE("there is no text without constraints, without doubt or without a front") {
    CHECK(holds_text(test::small_report()).empty());
    StudyReport report = with_found(15, 16);
    report.bounds[0].doubtful = false;
    CHECK(holds_text(report).empty());
    report = with_found(15, 16);
    report.networks.resize(1);
    CHECK(holds_text(report).empty());
}

} // namespace hdap::report
