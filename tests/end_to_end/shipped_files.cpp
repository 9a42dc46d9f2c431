// The plans and configurations that hdap comes with.
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <vector>

using namespace hdap::test;

namespace {

/// The TOML files of a folder of the source tree, by name.
std::vector<std::filesystem::path> toml_files(const std::string& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(std::filesystem::path(HDAP_SOURCE_DIR) / folder))
        if (entry.path().extension() == ".toml") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files;
}

} // namespace

TEST_CASE("every plan of jobs/ is one that can be run") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto plans = toml_files("jobs");
    REQUIRE_FALSE(plans.empty());
    for (const auto& plan : plans) {
        const Outcome outcome = study.call(
            {.ranks = 0}, {"ablate", "plan", plan, "--dry-run", "--out", study / "ablation"});
        INFO(plan << ": " << outcome.errors);
        CHECK(outcome.exit_code == 0);
        CHECK_THAT(outcome.output, Catch::Contains("study.seed="));
    }
}

TEST_CASE("every configuration of configs/ is one that can be run") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto configurations = toml_files("configs");
    REQUIRE_FALSE(configurations.empty());
    for (const auto& configuration : configurations) {
        const Outcome outcome = study.call({.ranks = 0}, {"run", configuration, "--print-config"});
        INFO(configuration << ": " << outcome.errors);
        CHECK(outcome.exit_code == 0);
        CHECK_THAT(outcome.output, Catch::Contains("[search]"));
    }
}
