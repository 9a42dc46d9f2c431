// Damaged files of a run directory: checkpoints fall back to the previous one, outputs of stages
// are made again, and the result is the undisturbed one.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

using namespace hdap::test;
using Lines = std::vector<std::string>;
namespace fs = std::filesystem;

TEST_CASE("a damaged checkpoint falls back to the previous one, two end with 3, and damaged "
          "outputs of stages are made again",
          "[mpi]") {
    const TinyStudy study;
    REQUIRE(study.run({.ranks = 2}, "undisturbed").exit_code == 0);
    fs::copy(study / "undisturbed", study / "run", fs::copy_options::recursive);
    const fs::path current = study / "run/search.h5";
    const fs::path previous = study / "run/search.prev.h5";
    const fs::path sound_previous = study / "undisturbed/search.prev.h5";
    REQUIRE(fs::exists(sound_previous));

    const auto falls_back = [&](const std::string& what, int ranks, const auto& damage) {
        INFO(what);
        fs::copy_file(sound_previous, previous, fs::copy_options::overwrite_existing);
        damage();
        const Outcome outcome = study.run({.ranks = ranks}, "run");
        INFO(outcome.errors);
        CHECK(outcome.exit_code == 0);
        CHECK_THAT(outcome.errors, Catch::Contains("warning: ") &&
                                       Catch::Contains("going on from " + previous.string()));
        CHECK(differences(study / "undisturbed", study / "run") == Lines{});
    };
    falls_back("a byte", 2, [&] { flip_byte(current, 0.6); });
    falls_back("the end", 0, [&] { fs::resize_file(current, fs::file_size(current) - 100); });
    falls_back("everything", 0, [&] { fs::resize_file(current, 0); });

    // Both: the job says so and ends; called again, it searches from the beginning.
    flip_byte(current, 0.3);
    flip_byte(previous, 0.9);
    const Outcome both = study.run({.ranks = 0}, "run");
    INFO(both.errors);
    CHECK(both.exit_code == 3);
    CHECK_THAT(both.errors, Catch::Contains("there is no other checkpoint"));
    for (const char* name : {"fleet.h5", "clusters.h5", "profile.h5", "surrogates.h5"})
        flip_byte(study / "run" / name, 0.7);
    for (const fs::directory_entry& entry : fs::directory_iterator(study / "run/networks"))
        fs::resize_file(entry.path(), entry.file_size() / 3);
    const Outcome made_again = study.run({.ranks = 2}, "run");
    INFO(made_again.errors);
    CHECK(made_again.exit_code == 0);
    CHECK_THAT(made_again.errors, Catch::Contains("making it again"));
    CHECK(differences(study / "undisturbed", study / "run") == Lines{});
}
