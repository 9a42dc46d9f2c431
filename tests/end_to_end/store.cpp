// Studies that share a store.
#include "end_to_end/interruption.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "hdap/study/results.hpp"
#include "hdap/study/run_directory.hpp"

#include <catch2/catch.hpp>

#include <csignal>

using namespace hdap::test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

namespace {

double cost(const fs::path& run, const std::string& name) {
    const auto results = hdap::study::read_results(
        hdap::study::open_stage(run / "results.h5", hdap::study::results_schema));
    for (const auto& metric : results.costs)
        if (metric.name == name) return metric.value;
    return -1.0;
}

/// The stored files of a kind, such as "fleet".
std::vector<fs::path> stored(const fs::path& store, const std::string& kind) {
    std::vector<fs::path> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(store))
        if (entry.path().filename().string().starts_with(kind + "-") &&
            entry.path().extension() == ".h5")
            files.push_back(entry.path());
    return files;
}

} // namespace

TEST_CASE("studies with a store have the results of those without, and make shared work once",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "alone").exit_code == 0);
    const fs::path store = study / "store";
    const Arguments shared{"--store", store};
    // Two at once: one of them makes each stage, the other one waits for it.
    Process first = study.start_run({.ranks = 0}, "first", shared);
    Process second = study.start_run({.ranks = 2}, "second", shared);
    CHECK(first.wait().exit_code == 0);
    CHECK(second.wait().exit_code == 0);
    CHECK(differences(study / "alone", study / "first") == Lines{});
    CHECK(differences(study / "alone", study / "second") == Lines{});
    for (const char* kind : {"fleet", "clusters", "profile", "surrogates", "accuracies"})
        CHECK(stored(store, kind).size() == 1);

    const Outcome third = study.run({.ranks = 0}, "third", shared);
    INFO(third.errors);
    CHECK(third.exit_code == 0);
    CHECK_THAT(third.errors, Catch::Contains("surrogates.h5: taken from the store"));
    CHECK(cost(study / "alone", "accuracies_measured") > 0.0);
    CHECK(cost(study / "third", "accuracies_measured") == 0.0);
    CHECK(differences(study / "alone", study / "third") == Lines{});
}

TEST_CASE("what is damaged in a store is made again, and a killed study leaves it sound", "[mpi]") {
    const TinyStudy study;
    const fs::path store = study / "store";
    const Arguments shared{"--store", store};
    REQUIRE(study.run({.ranks = 0}, "first", shared).exit_code == 0);
    for (const char* kind : {"fleet", "accuracies"})
        fs::resize_file(stored(store, kind).at(0), 700);
    const Outcome killed = interrupted_run(study, {.ranks = 0}, "second", shared,
                                           [](Process& job) { job.kill_all(); });
    CHECK(killed.exit_code == 128 + SIGKILL);
    REQUIRE(study.run({.ranks = 2}, "second", shared).exit_code == 0);
    CHECK(differences(study / "first", study / "second") == Lines{});
    for (const char* kind : {"fleet", "accuracies"})
        CHECK_NOTHROW(hdap::storage::read_sealed(stored(store, kind).at(0)));
    CHECK(cost(study / "second", "accuracies_measured") > 0.0);
}
