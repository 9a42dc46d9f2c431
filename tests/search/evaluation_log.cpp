#include "hdap/search/evaluation_log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <catch2/catch.hpp>

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

const CandidateFigures unpruned{20, 30, 0.9, 0, 1000, 500, 64};

Evaluation entry(std::int32_t gene, double latency_ms, double drop) {
    return {
        {gene, 16}, {latency_ms, 2 * latency_ms, 0.9 - drop, drop, 500, 400, 32}, {1, 2, 3}, 4, 0};
}

EvaluationLog sample_log() {
    EvaluationLog log;
    RandomStream random(5, StreamId::testing);
    for (std::int32_t i = 0; i < 40; ++i) {
        Evaluation evaluation = entry(i + 1, random.uniform(), random.uniform() / 2);
        evaluation.cluster_latency_ms = {random.uniform(), 0, random.uniform()};
        evaluation.generation = i / 8;
        evaluation.given_up_after = i % 3 == 0 ? 100 * i : 0;
        log.append(evaluation);
    }
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
    std::vector<double> cluster_latency_ms{1, 2};
    hdap::storage::Shape clusters_shape{2, 1};
    bool with_flops = true;
};

EvaluationLog read_columns(const std::function<void(Columns&)>& change) {
    Columns columns;
    change(columns);
    Hdf5Writer file;
    file.write("/log/genomes", columns.genomes, columns.genomes_shape);
    file.write("/log/generation", columns.generation);
    file.write("/log/accuracy", columns.accuracy);
    file.write("/log/latency_mean_ms", columns.latency_mean_ms);
    file.write("/log/cluster_latency_ms", columns.cluster_latency_ms, columns.clusters_shape);
    std::vector<std::string> others{"latency_worst_cluster_ms", "accuracy_drop", "params",
                                    "memory_peak"};
    if (columns.with_flops) others.push_back("flops");
    for (const std::string& name : others)
        file.write("/log/" + name, std::vector<double>{0.5, 1});
    return EvaluationLog::read(reader_of(file), "/log");
}

} // namespace

TEST_CASE("the log refuses an entry that is wrong or does not fit") {
    EvaluationLog log;
    log.append(entry(8, 1, 0.1));
    const auto with = [](const std::function<void(Evaluation&)>& change) {
        Evaluation evaluation = entry(24, 1, 0.1);
        change(evaluation);
        return evaluation;
    };
    using E = Evaluation;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const double infinity = std::numeric_limits<double>::infinity();
    for (const Evaluation& wrong : {
             entry(8, 2, 0.2),
             with([](E& e) { e.genome.clear(); }),
             with([](E& e) { e.genome = {24}; }),
             with([](E& e) { e.genome[1] = 0; }),
             with([](E& e) { e.generation = -1; }),
             with([](E& e) { e.given_up_after = -1; }),
             with([](E& e) { e.cluster_latency_ms = {1}; }),
             with([&](E& e) { e.cluster_latency_ms[1] = nan; }),
             with([](E& e) { e.cluster_latency_ms[1] = -1; }),
             with([&](E& e) { e.figures.latency_mean_ms = infinity; }),
             with([](E& e) { e.figures.accuracy = 1.1; }),
             with([](E& e) { e.figures.accuracy_drop = -1.1; }),
             with([&](E& e) { e.figures.flops = nan; }),
         })
        CHECK_THROWS_AS(log.append(wrong), InternalError);
    CHECK(log.size() == 1);
    CHECK_THROWS_WITH(log.append(entry(8, 2, 0.2)), Contains("the genome is that of entry 0"));
}

TEST_CASE("a front needs an objective") {
    CHECK_THROWS_AS(sample_log().front({}, {}, unpruned), InternalError);
}

TEST_CASE("reading refuses columns that are missing, misshapen or out of range") {
    using C = Columns;
    CHECK(read_columns([](C&) {}).size() == 2);
    CHECK_THROWS_AS(read_columns([](C& c) { c.with_flops = false; }), DataError);
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
    CHECK_THROWS_AS(
        read_columns([](C& c) { c.latency_mean_ms[0] = std::numeric_limits<double>::quiet_NaN(); }),
        DataError);
    Hdf5Writer none;
    CHECK_THROWS_AS(EvaluationLog::read(reader_of(none), "/log"), DataError);
}

TEST_CASE("genomes are found, and only those that were appended") {
    const EvaluationLog log = sample_log();
    for (std::size_t i = 0; i < log.size(); ++i)
        REQUIRE(log.index_of(log[i].genome) == i);
    CHECK_FALSE(log.index_of({99, 16}));
    CHECK_FALSE(log.index_of({1}));
    CHECK_FALSE(log.index_of({}));
}

TEST_CASE("a log is read back as it was written, with units") {
    const EvaluationLog log = sample_log();
    Hdf5Writer file;
    log.write(file, "/search/log");
    const Hdf5Reader reader = reader_of(file);
    CHECK(reader.attribute_string("/search/log/latency_mean_ms", "unit") == "ms");
    CHECK(reader.attribute_string("/search/log/flops", "unit") == "MACs");
    CHECK(reader.attribute_string("/search/log/cluster_latency_ms", "unit") == "ms");
    const EvaluationLog read = EvaluationLog::read(reader, "/search/log");
    REQUIRE(read.size() == log.size());
    for (std::size_t i = 0; i < log.size(); ++i) {
        CHECK(read[i] == log[i]);
        CHECK(read.index_of(log[i].genome) == i);
    }
}

TEST_CASE("an empty log and one without clusters are read back") {
    Hdf5Writer file;
    EvaluationLog().write(file, "/empty");
    EvaluationLog log;
    Evaluation evaluation = entry(8, 1, 0.1);
    evaluation.cluster_latency_ms.clear();
    log.append(evaluation);
    log.write(file, "/log");
    const Hdf5Reader reader = reader_of(file);
    CHECK(EvaluationLog::read(reader, "/empty").empty());
    CHECK(EvaluationLog::read(reader, "/log")[0] == evaluation);
}

TEST_CASE("the front holds the feasible entries that none dominates") {
    EvaluationLog log;
    log.append(entry(1, 5, 0.1));   // 0: in
    log.append(entry(2, 4, 0.3));   // 1: infeasible below a drop of 0.25
    log.append(entry(3, 6, 0.1));   // 2: dominated by 0
    log.append(entry(4, 9, -0.1));  // 3: in
    log.append(entry(5, 5, 0.1));   // 4: equals 0
    log.append(entry(6, 4.5, 0.2)); // 5: in
    const std::vector<Figure> objectives{Figure::latency_mean, Figure::accuracy_drop};
    CHECK(log.front(objectives, {}, unpruned) == std::vector<std::size_t>{1, 5, 0, 3});
    const std::vector<Constraint> constraints{parse_constraint("accuracy_drop <= 0.25")};
    CHECK(log.front(objectives, constraints, unpruned) == std::vector<std::size_t>{5, 0, 3});
    const std::vector<Constraint> impossible{parse_constraint("flops <= 0.1x")};
    CHECK(log.front(objectives, impossible, unpruned).empty());
    const std::vector<Figure> one{Figure::latency_mean};
    CHECK(log.front(one, constraints, unpruned) == std::vector<std::size_t>{5});
    CHECK(EvaluationLog().front(objectives, {}, unpruned).empty());
}
