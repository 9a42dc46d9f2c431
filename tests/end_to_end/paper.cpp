// The paper's method as a user runs it: its configuration for Fashion-MNIST, cut short.
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;
using Catch::Contains;
namespace fs = std::filesystem;

TEST_CASE("the paper's method runs from its configuration: rounds of ncs on Fashion-MNIST",
          "[mpi]") {
    const fs::path images = "/usr/share/datasets/fashion-mnist";
    if (!fs::exists(images)) {
        WARN("skipped: " << images << " is not there (package dataset-fashion-mnist)");
        return;
    }
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string packed = (study / "fashion-mnist.h5").string();
    REQUIRE(study.call({.ranks = 0}, {"data", "pack", "fashion-mnist", images, packed}).exit_code ==
            0);
    const fs::path config = fs::path(HDAP_SOURCE_DIR) / "configs/paper-fashion-mnist.toml";
    const Outcome outcome = study.call(
        {.ranks = 2}, {"run", config, "--out", study / "run", "--set", "data.file=" + packed,
                       "--set", "study.rounds=2", "--set", "study.target=flops <= 0.9x", "--set",
                       "profile.candidates=60", "--set", "search.generations=4", "--set",
                       "data.evaluation_images=300", "--set", "finetune.images=1000"});
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.errors, Contains("the target 'flops <= 0.9x' is met"));
    CHECK_THAT(text_of(study / "run/config.toml"),
               Contains("preset = \"paper\"") && Contains("algorithm = \"ncs\"") &&
                   Contains("genes = \"block\"") && Contains("# paper: "));
    CHECK_THAT(text_of(study / "run/front.csv"), Contains("round-01,round,"));
}
