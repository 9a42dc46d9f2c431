#include "hdap/study/results.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace hdap;
using Catch::Contains;

namespace {

storage::Hdf5Reader reopened(storage::Hdf5Writer& file) {
    return storage::Hdf5Reader::from_bytes(file.finish(), "results.h5");
}

} // namespace

TEST_CASE("results with columns of different lengths are a DataError") {
    const auto written = [](std::vector<double> values, std::vector<double> series) {
        storage::Hdf5Writer file;
        for (const std::string group : {"/final", "/cost"}) {
            const std::vector<std::string> one{"x"};
            file.write_strings(group + "/name", one);
            file.write_strings(group + "/unit", one);
            file.write<double>(group + "/value", values);
        }
        file.write<double>("/history/a", std::vector<double>{1.0, 2.0});
        file.attribute("/history/a", "unit", "1");
        file.write<double>("/history/b", series);
        file.attribute("/history/b", "unit", "1");
        return reopened(file);
    };
    CHECK_NOTHROW(study::read_results(written({1.0}, {3.0, 4.0})));
    CHECK_THROWS_WITH(study::read_results(written({1.0, 2.0}, {3.0, 4.0})),
                      Contains("results.h5: /final") && Contains("1, 1 and 2"));
    CHECK_THROWS_WITH(study::read_results(written({1.0}, {3.0})), Contains("/history/b"));
    storage::Hdf5Writer empty;
    CHECK_THROWS_AS(study::read_results(reopened(empty)), core::DataError);
}

TEST_CASE("bounds are written for people, where there are some") {
    study::Results results{.final_metrics = {}, .costs = {}, .history = {}, .bounds = {}};
    storage::Hdf5Writer none;
    study::write_results(none, results);
    CHECK(std::ranges::none_of(reopened(none).list(), [](const storage::Entry& entry) {
        return entry.path.starts_with("/bounds");
    }));

    results.bounds = {.constraints = {"latency.mean <= 0.7x", "flops <= 5"},
                      .limit = {3.5, 5.0},
                      .safer = {"latency.mean <= 0.6x", ""},
                      .networks = {"unpruned", "front-01", "front-02"},
                      .holds = {"no", "yes", "no"},
                      .found = {5.0, 9.0, 3.5, 4.0, 3.6, 4.0}};
    storage::Hdf5Writer file;
    study::write_results(file, results);
    const auto reader = reopened(file);
    CHECK(reader.shape("/bounds/found") == storage::Shape{3, 2});
    CHECK(reader.read<double>("/bounds/found") == results.bounds.found);
    CHECK(reader.read_strings("/bounds/safer") == results.bounds.safer);
    CHECK(reader.read_strings("/bounds/holds") == results.bounds.holds);
    CHECK_NOTHROW(study::read_results(reader));
}

TEST_CASE("results are read as they were written") {
    const study::Results results{
        .final_metrics = {{"hypervolume", "1", 0.25}, {"latency_mean", "ms", 12.5}},
        .costs = {{"wall", "s", 3.0}},
        .history = {{"evaluations", "1", {8.0, 16.0}}, {"seconds", "s", {1.0, 2.0}}}};
    storage::Hdf5Writer file;
    study::write_results(file, results);
    const study::Results read = study::read_results(reopened(file));
    CHECK(read.final_metrics == results.final_metrics);
    CHECK(read.costs == results.costs);
    CHECK(read.history == results.history);
}
