// hdap fleet measure on this machine: what it writes, what it refuses, and how it stops. Nothing
// is said about how long anything takes.
#include "end_to_end/tiny_study.hpp"
#include "hdap/storage/hdf5.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap;
using namespace hdap::test;
using Catch::Contains;

namespace {

Arguments measure(const TinyStudy& study, const Arguments& more, const std::string& rounds = "2") {
    Arguments arguments{"fleet",    "measure", study.config(), "--out", study / "fleet.h5",
                        "--rounds", rounds,    "--runs",       "2",     "--threads",
                        "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

std::vector<std::string> device_ids(const TinyStudy& study) {
    return storage::Hdf5Reader::open(study / "fleet.h5").read_strings("/device_id");
}

void check_outcome(const Outcome& outcome, int exit_code, const std::string& message) {
    INFO(outcome.errors);
    CHECK(outcome.exit_code == exit_code);
    CHECK_THAT(outcome.errors, Contains(message));
}

} // namespace

TEST_CASE("Devices are measured one after the other into one fleet") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto call = [&](const Arguments& more) {
        return study.call({.ranks = 0}, measure(study, more));
    };
    check_outcome(call({"--device-id", "a", "--sku", "board"}), 0, "");

    check_outcome(call({"--device-id", "b", "--sku", "board"}), 2, "fleet.h5 exists; --append");
    check_outcome(call({"--device-id", "b", "--append"}), 3, "differ in SKU: 'board' there");
    check_outcome(
        call({"--device-id", "b", "--sku", "board", "--append", "--set", "fleet.batch=5"}), 3,
        "differ in batch: '4' there, '5' here");
    check_outcome(call({"--device-id", "a", "--sku", "board", "--append"}), 3,
                  "device 'a' is in it already");
    CHECK(device_ids(study) == std::vector<std::string>{"a"});

    check_outcome(call({"--device-id", "b", "--sku", "board", "--append"}), 0, "");
    const std::string before = text_of(study / "fleet.h5");
    check_outcome(call({"--device-id", "a", "--sku", "board", "--replace"}), 0, "");
    CHECK(device_ids(study) == std::vector<std::string>{"a", "b"});
    CHECK(text_of(study / "fleet.h5") != before);

    const auto info = study.call({.ranks = 0}, {"fleet", "info", study / "fleet.h5"});
    CHECK_THAT(info.output, Contains("2 devices of board") && Contains("measured in 2 rounds"));
    const auto clusters = study.call({.ranks = 0}, {"fleet", "cluster", study / "fleet.h5"});
    CHECK_THAT(clusters.output, Contains("of 2 devices"));
}

TEST_CASE("A single benchmark, which has no rank among others, has no tau") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto measured = study.call({.ranks = 0}, measure(study, {"--set", "fleet.benchmarks=1"}));
    check_outcome(measured, 0, "");
    CHECK_THAT(measured.output, Contains("tau") && Contains(" –") && !Contains("nan"));
    const auto info = study.call({.ranks = 0}, {"fleet", "info", study / "fleet.h5"});
    CHECK_THAT(info.output,
               Contains("measured in 2 rounds; differences below") && !Contains("nan"));
}

TEST_CASE("The measured benchmarks are those of the study's synthetic fleet") {
    const TinyStudy study(TinyStudy::Weights::initial);
    check_outcome(study.call({.ranks = 0}, measure(study, {})), 0, "");
    check_outcome(
        study.call({.ranks = 0}, {"fleet", "synth", study.config(), "--out", study / "run"}), 0,
        "");
    const auto measured = storage::Hdf5Reader::open(study / "fleet.h5");
    const auto synthetic = storage::Hdf5Reader::open(study / "run/fleet.h5");
    CHECK(measured.read_strings("/benchmark") == synthetic.read_strings("/benchmark"));
    CHECK(measured.read<std::int32_t>("/benchmark_genomes") ==
          synthetic.read<std::int32_t>("/benchmark_genomes"));
}

TEST_CASE("Every rank is a device of the fleet", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto outcome = study.call({.ranks = 2}, measure(study, {"--json"}));
    check_outcome(outcome, 0, "2 ranks measure ");
    const auto ids = device_ids(study);
    REQUIRE(ids.size() == 2);
    CHECK(ids[0].ends_with("-0"));
    CHECK(ids[1].ends_with("-1"));
    CHECK_THAT(outcome.output, Contains("\"device_id\": \"" + ids[1] + "\""));
    check_outcome(study.call({.ranks = 2}, measure(study, {"--append", "--device-id", "a"})), 2,
                  "--device-id names one device, but 2 ranks");
}

TEST_CASE("Two jobs add to one fleet at the same time") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Process a = study.start({.ranks = 0}, measure(study, {"--append", "--device-id", "a"}));
    Process b = study.start({.ranks = 0}, measure(study, {"--append", "--device-id", "b"}));
    check_outcome(a.wait(), 0, "");
    check_outcome(b.wait(), 0, "");
    CHECK(device_ids(study).size() == 2);
}

TEST_CASE("A measurement that is asked to stop ends with 75 and writes nothing") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Process job = study.start({.ranks = 0}, measure(study, {}, "10000"));
    REQUIRE(job.wait_until([&] { return job.errors().find("measure  ") != std::string::npos; }));
    job.signal(SIGTERM);
    check_outcome(job.wait(), 75, "nothing was written");
    CHECK_FALSE(std::filesystem::exists(study / "fleet.h5"));
}

TEST_CASE("A measurement without images, or with a bad number, is refused") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto refused = [&](const Arguments& more, int exit_code, const std::string& message) {
        check_outcome(study.call({.ranks = 0}, measure(study, more)), exit_code, message);
    };
    refused({"--warmup", "-1"}, 2, "--warmup");
    refused({"--device-id", "a\nb"}, 3, "device_id 0 is not a name");
    refused({"--set", "data.file=none.h5"}, 3, "none.h5");
    check_outcome(study.call({.ranks = 0}, {"fleet", "measure", study.config(), "--out",
                                            study / "none/fleet.h5"}),
                  3, "none/fleet.h5.lock: No such file or directory");
    refused({"--set", "data.file=" + (study / "weights.h5").string()}, 3, "hdap-images/1");
    CHECK_FALSE(std::filesystem::exists(study / "fleet.h5"));
}
