#include "search/evaluated_candidate.hpp"

#include <catch2/catch.hpp>

using namespace hdap;
using namespace hdap::search;

TEST_CASE("what became of a candidate survives its way to the root") {
    const EvaluatedCandidate measured = unpacked(packed({.accuracy = {0.75, 50}, .seconds = 2.5}));
    CHECK(measured.accuracy.value == 0.75);
    CHECK(measured.accuracy.given_up_after == 50);
    CHECK(measured.seconds == 2.5);
    CHECK_FALSE(measured.while_stopping);
    CHECK_FALSE(measured.failure);

    // Lengths around a multiple of eight, and every byte: some are no numbers when read as such.
    std::string bytes;
    for (int i = 0; i < 1024; ++i)
        bytes += static_cast<char>(i % 256);
    bytes += std::string(64, '\xff');
    const accuracy::FailureEvidence evidence{
        .reason = "no boxes", .output = "", .network = bytes, .format = "onnx"};
    const EvaluatedCandidate failed =
        unpacked(packed({.accuracy = {}, .while_stopping = true, .failure = evidence}));
    REQUIRE(failed.failure);
    CHECK(failed.while_stopping);
    CHECK(failed.failure->reason == "no boxes");
    CHECK(failed.failure->output.empty());
    CHECK(failed.failure->network == bytes);
    CHECK(failed.failure->format == "onnx");
}
