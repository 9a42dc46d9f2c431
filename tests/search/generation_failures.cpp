#include "search/generation_failures.hpp"

#include "hdap/core/error.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::search;
using Catch::Matchers::Contains;

namespace {

/// A log of so many entries, of which those from `first_failed` on failed.
EvaluationLog log_of(std::int32_t entries, std::int32_t first_failed) {
    EvaluationLog log({parse_metric("accuracy_drop")});
    for (std::int32_t i = 0; i < entries; ++i) {
        const bool failed = i >= first_failed;
        log.append({.genome = {i + 1},
                    .accuracy = failed ? 0.0 : 0.8,
                    .values = {failed ? 0.8 : 0.0},
                    .failed = failed});
    }
    return log;
}

/// How many candidates of a batch may fail.
std::size_t allowed(const EvaluationLog& log, std::size_t batch, double most) {
    GenerationFailures failures(log, batch, most);
    try {
        while (failures.count() < batch)
            failures.add("no boxes");
    } catch (const core::DataError&) {
        return failures.count() - 1;
    }
    return batch;
}

} // namespace

TEST_CASE("a share of the first generation may fail, whatever its size", "[failures]") {
    const EvaluationLog none = log_of(0, 0);
    CHECK(allowed(none, 12, 0.5) == 6);
    CHECK(allowed(none, 13, 0.5) == 6);
    CHECK(allowed(none, 100, 0.25) == 25);
    CHECK(allowed(none, 12, 0.0) == 0);
    CHECK(allowed(none, 12, 1.0) == 12);
}

TEST_CASE("a late generation of two is judged with the candidates before it", "[failures]") {
    CHECK(allowed(log_of(100, 100), 2, 0.5) == 2);
    CHECK(allowed(log_of(100, 91), 2, 0.5) == 1);
    CHECK(allowed(log_of(100, 90), 2, 0.5) == 0);
    // What was long before does not make up for a program that has stopped working.
    CHECK(allowed(log_of(1000, 1000), 40, 0.5) == 20);
}

TEST_CASE("too many failures are an error that counts them and quotes the last", "[failures]") {
    GenerationFailures failures(log_of(0, 0), 3, 0.5);
    failures.add("no boxes");
    CHECK_THROWS_WITH(failures.add("no GPU"), Contains("2 of the latest 3 candidates failed") &&
                                                  Contains("search.max_failures = 0.5") &&
                                                  Contains("no GPU"));
}
