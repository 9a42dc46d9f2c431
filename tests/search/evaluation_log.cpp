#include "hdap/search/evaluation_log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <limits>

using namespace hdap::search;
using Catch::Matchers::Contains;
using hdap::core::DataError;
using hdap::core::InternalError;
using hdap::core::RandomStream;
using hdap::core::StreamId;
using hdap::storage::Hdf5Reader;
using hdap::storage::Hdf5Writer;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

const std::vector<Metric> metrics{parse_metric("latency.mean"), parse_metric("accuracy_drop"),
                                  parse_metric("latency.sla(33ms)")};
const std::vector<Metric> without_accuracy{parse_metric("latency.mean"), parse_metric("flops")};

Evaluation entry(std::int32_t gene, double latency_ms, double drop) {
    return {.genome = {gene, 16},
            .accuracy = 0.9 - drop,
            .cluster_latency_ms = {1, 2, 3},
            .values = {latency_ms, drop, 0.5},
            .generation = 4,
            .given_up_after = 0};
}

EvaluationLog sample_log() {
    EvaluationLog log(metrics);
    log.set_reference({2, 0, 1});
    RandomStream random(5, StreamId::testing);
    for (std::int32_t i = 0; i < 40; ++i) {
        Evaluation evaluation = entry(i + 1, random.uniform(), random.uniform() / 2);
        evaluation.cluster_latency_ms = {random.uniform(), 0, random.uniform()};
        evaluation.generation = i / 8;
        evaluation.given_up_after = i % 3 == 0 ? 100 * i : 0;
        log.append(evaluation);
    }
    Evaluation failed = entry(50, random.uniform(), 0.9);
    failed.accuracy = 0;
    failed.failed = true;
    log.append(failed);
    return log;
}

Hdf5Reader reader_of(Hdf5Writer& file) {
    return Hdf5Reader::from_bytes(file.finish(), "search.h5");
}

/// The columns of a log of two entries, each to be replaced by a wrong one.
struct Columns {
    std::vector<std::int32_t> genomes{8, 16, 24, 32};
    hdap::storage::Shape genomes_shape{2, 2};
    std::vector<std::int32_t> generation{0, 1};
    std::vector<double> accuracy{0.5, 0.6};
    std::vector<double> latency_mean_ms{1, 2};
    std::vector<double> latency_sla{0, 1};
    std::vector<double> cluster_latency_ms{1, 2};
    hdap::storage::Shape clusters_shape{2, 1};
    std::vector<double> reference{2, 0, 1};
    bool with_drop = true;
};

EvaluationLog read_columns(const std::function<void(Columns&)>& change) {
    Columns columns;
    change(columns);
    Hdf5Writer file;
    file.write("/log/genomes", columns.genomes, columns.genomes_shape);
    file.write("/log/generation", columns.generation);
    file.write("/log/given_up_after", std::vector<std::int64_t>{0, 0});
    file.write("/log/accuracy", columns.accuracy);
    file.write("/log/latency_mean_ms", columns.latency_mean_ms);
    file.write("/log/latency_sla_33ms", columns.latency_sla);
    file.write("/log/cluster_latency_ms", columns.cluster_latency_ms, columns.clusters_shape);
    if (columns.with_drop) file.write("/log/accuracy_drop", std::vector<double>{0.5, 1});
    for (std::size_t m = 0; m < columns.reference.size(); ++m)
        if (columns.with_drop || m != 1)
            file.attribute("/log/" + metrics[m].column(), "reference", columns.reference[m]);
    return EvaluationLog::read(reader_of(file), "/log", metrics);
}

} // namespace

TEST_CASE("the log refuses an entry that is wrong or does not fit") {
    EvaluationLog log(metrics);
    log.append(entry(8, 1, 0.1));
    const auto with = [](const std::function<void(Evaluation&)>& change) {
        Evaluation evaluation = entry(24, 1, 0.1);
        change(evaluation);
        return evaluation;
    };
    using E = Evaluation;
    const double infinity = std::numeric_limits<double>::infinity();
    for (const Evaluation& wrong : {
             entry(8, 2, 0.2),
             with([](E& e) { e.genome.clear(); }),
             with([](E& e) { e.genome = {24}; }),
             with([](E& e) { e.genome[1] = 0; }),
             with([](E& e) { e.generation = -1; }),
             with([](E& e) { e.given_up_after = -1; }),
             with([](E& e) { e.cluster_latency_ms = {1}; }),
             with([](E& e) { e.cluster_latency_ms[1] = not_a_number; }),
             with([](E& e) { e.cluster_latency_ms[1] = -1; }),
             with([](E& e) { e.accuracy = 1.1; }),
             with([](E& e) { e.accuracy = not_a_number; }),
             with([](E& e) { e.failed = true; }),
             with([&](E& e) { e.values[0] = infinity; }),
             with([](E& e) { e.values[0] = not_a_number; }),
             with([](E& e) { e.values[1] = -1.1; }),
             with([](E& e) { e.values[2] = 1.1; }),
             with([](E& e) { e.values.pop_back(); }),
         })
        CHECK_THROWS_AS(log.append(wrong), InternalError);
    CHECK(log.size() == 1);
    CHECK_THROWS_WITH(log.append(entry(8, 2, 0.2)), Contains("the genome is that of entry 0"));
    EvaluationLog none(without_accuracy);
    CHECK_THROWS_WITH(none.append({.genome = {8}, .accuracy = 0.5, .values = {1, 2}}),
                      Contains("accuracy is 0.5"));
}

TEST_CASE("the log knows its own metrics alone, and the reference once it is set") {
    EvaluationLog log(metrics);
    log.append(entry(8, 1, 0.1));
    CHECK(log.value(0, parse_metric("accuracy_drop")) == 0.1);
    CHECK(log.value(0, parse_metric("latency.sla( 33.0 ms )")) == 0.5);
    CHECK_THROWS_WITH(log.value(0, parse_metric("latency.sla(34ms)")),
                      Contains("no column of latency.sla(34ms)"));
    CHECK_THROWS_AS(log.value(0, parse_metric("flops")), InternalError);
    CHECK_THROWS_AS(log.reference(metrics[0]), InternalError);
    CHECK_THROWS_AS(log.set_reference({2, 0}), InternalError);
    CHECK_THROWS_AS(log.set_reference({not_a_number, 0, 1}), InternalError);
    CHECK_FALSE(log.has_reference());
    log.set_reference({2, 0, 1});
    CHECK(log.reference(metrics[0]) == 2);
    CHECK_THROWS_AS(log.reference(parse_metric("flops")), InternalError);
    CHECK_THROWS_AS(log.set_reference({2, 0, 1}), InternalError);
}

TEST_CASE("reading refuses columns that are missing, misshapen or out of range") {
    using C = Columns;
    const EvaluationLog log = read_columns([](C&) {});
    CHECK(log.size() == 2);
    CHECK(log.value(1, metrics[0]) == 2);
    CHECK(log.reference(metrics[2]) == 1);
    CHECK_THROWS_AS(read_columns([](C& c) { c.with_drop = false; }), DataError);
    CHECK_THROWS_AS(read_columns([](C& c) { c.generation = {0}; }), DataError);
    CHECK_THROWS_AS(read_columns([](C& c) { c.genomes_shape = {4}; }), DataError);
    CHECK_THROWS_AS(read_columns([](C& c) { c.genomes_shape = {4, 1}; }), DataError);
    CHECK_THROWS_AS(read_columns([](C& c) { c.clusters_shape = {1, 2}; }), DataError);
    CHECK_THROWS_AS(read_columns([](C& c) { c.accuracy = {0.5, 0.6, 0.7}; }), DataError);
    CHECK_THROWS_WITH(read_columns([](C& c) { c.accuracy[1] = 60; }),
                      Contains("search.h5") && Contains("row 1 of /log") &&
                          Contains("accuracy is 60"));
    CHECK_THROWS_WITH(read_columns([](C& c) {
                          c.genomes = {8, 16, 8, 16};
                      }),
                      Contains("row 1") && Contains("entry 0"));
    CHECK_THROWS_AS(read_columns([](C& c) { c.genomes[2] = -8; }), DataError);
    CHECK_THROWS_AS(read_columns([](C& c) { c.latency_mean_ms[0] = not_a_number; }), DataError);
    CHECK_THROWS_WITH(read_columns([](C& c) { c.latency_sla[0] = 2; }),
                      Contains("latency_sla_33ms is 2"));
    CHECK_THROWS_AS(read_columns([](C& c) { c.reference = {2, 0}; }), DataError);
    CHECK_THROWS_WITH(read_columns([](C& c) { c.reference[0] = -1; }),
                      Contains("the reference of /log") && Contains("latency_mean_ms is -1"));
    CHECK_FALSE(read_columns([](C& c) { c.reference.clear(); }).has_reference());
    Hdf5Writer none;
    CHECK_THROWS_AS(EvaluationLog::read(reader_of(none), "/log", metrics), DataError);
}

TEST_CASE("genomes are found, and only those that were appended") {
    const EvaluationLog log = sample_log();
    for (std::size_t i = 0; i < log.size(); ++i)
        REQUIRE(log.index_of(log[i].genome) == i);
    CHECK_FALSE(log.index_of({99, 16}));
    CHECK_FALSE(log.index_of({1}));
    CHECK_FALSE(log.index_of({}));
}

TEST_CASE("a log is read back as it was written, with units and the reference") {
    const EvaluationLog log = sample_log();
    Hdf5Writer file;
    log.write(file, "/search/log");
    const Hdf5Reader reader = reader_of(file);
    CHECK(reader.attribute_string("/search/log/latency_mean_ms", "unit") == "ms");
    CHECK(reader.attribute_double("/search/log/latency_mean_ms", "reference") == 2);
    CHECK(reader.attribute_string("/search/log/latency_sla_33ms", "unit") == "1");
    CHECK(reader.attribute_string("/search/log/cluster_latency_ms", "unit") == "ms");
    const EvaluationLog read = EvaluationLog::read(reader, "/search/log", metrics);
    REQUIRE(read.size() == log.size());
    for (std::size_t i = 0; i < log.size(); ++i) {
        CHECK(read[i] == log[i]);
        CHECK(read.index_of(log[i].genome) == i);
    }
    for (const Metric& metric : metrics)
        CHECK(read.reference(metric) == log.reference(metric));
}

TEST_CASE("an empty log, one without clusters and one without accuracies are read back") {
    Hdf5Writer file;
    EvaluationLog(metrics).write(file, "/empty");
    EvaluationLog log(metrics);
    Evaluation evaluation = entry(8, 1, 0.1);
    evaluation.cluster_latency_ms.clear();
    log.append(evaluation);
    log.write(file, "/log");
    EvaluationLog plain(without_accuracy);
    plain.append({.genome = {8}, .values = {1, 2}});
    plain.write(file, "/plain");
    const Hdf5Reader reader = reader_of(file);
    CHECK(EvaluationLog::read(reader, "/empty", metrics).empty());
    CHECK(EvaluationLog::read(reader, "/log", metrics)[0] == evaluation);
    CHECK_FALSE(reader.contains("/plain/accuracy"));
    const EvaluationLog read = EvaluationLog::read(reader, "/plain", without_accuracy);
    REQUIRE(read.size() == 1);
    CHECK_FALSE(read.has_accuracy());
    CHECK(read[0].values == std::vector<double>{1, 2});
    CHECK(std::isnan(read[0].accuracy));
}

TEST_CASE(
    "a log has latencies under continuous load where a metric needs them, or all entries do") {
    const auto written = [](const EvaluationLog& log) {
        Hdf5Writer file;
        log.write(file, "/log");
        return reader_of(file);
    };
    Evaluation usual{.genome = {8}, .cluster_latency_ms = {1, 2}, .values = {3}};
    Evaluation hot = usual;
    hot.genome = {4};
    hot.cluster_others[hdap::fleet::Quantity::sustained_latency] = {4, 5};
    const std::vector<Metric> sustained{parse_metric("latency.sustained")};
    EvaluationLog log(sustained);
    CHECK_THROWS_WITH(log.append(usual), Contains("there are no latencies under continuous load"));
    Evaluation wrong = hot;
    wrong.cluster_others[hdap::fleet::Quantity::sustained_latency] = {4};
    CHECK_THROWS_AS(log.append(wrong), InternalError);
    wrong.cluster_others[hdap::fleet::Quantity::sustained_latency] = {4, -1};
    CHECK_THROWS_WITH(log.append(wrong), Contains("a cluster_sustained_ms is -1"));
    log.append(hot);
    const EvaluationLog back = EvaluationLog::read(written(log), "/log", sustained);
    CHECK(back[0].cluster_latency_ms == hot.cluster_latency_ms);
    CHECK(back[0].cluster_others == hot.cluster_others);

    // Where no metric does, all have them or none has, and the file of those without has no column.
    const std::vector<Metric> mean{parse_metric("latency.mean")};
    EvaluationLog without(mean);
    without.append(usual);
    CHECK_THROWS_WITH(without.append(hot),
                      Contains("there are latencies under continuous load, unlike"));
    CHECK_FALSE(written(without).contains("/log/cluster_sustained_ms"));
    EvaluationLog with(mean);
    with.append(hot);
    CHECK_THROWS_AS(with.append(usual), InternalError);
    CHECK(EvaluationLog::read(written(with), "/log", mean)[0].cluster_others == hot.cluster_others);

    // A file that lacks what the metrics are made of.
    Hdf5Writer file;
    file.write<std::int32_t>("/log/genomes", {8}, {1, 1});
    file.write("/log/generation", std::vector<std::int32_t>{0});
    file.write<double>("/log/cluster_latency_ms", {1, 2}, {1, 2});
    file.write("/log/latency_sustained_ms", std::vector<double>{3});
    CHECK_THROWS_AS(EvaluationLog::read(reader_of(file), "/log", sustained), DataError);
}
