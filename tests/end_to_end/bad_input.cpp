// Whatever is wrong with the input: the right exit code, one message for all ranks that says what
// is wrong and where, no trace of a stack, and nothing written.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <unistd.h>

using namespace hdap::test;
namespace fs = std::filesystem;

namespace {

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t count = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
        ++count;
    return count;
}

/// Checks that `outcome` is a refusal as it should be, with all of `parts` in its message.
void check_refusal(const Outcome& outcome, int exit_code, const std::vector<std::string>& parts) {
    INFO(outcome.errors);
    CHECK(outcome.exit_code == exit_code);
    CHECK(count_of(outcome.errors, "hdap: error: ") == 1);
    for (const std::string& part : parts)
        CHECK_THAT(outcome.errors, Catch::Contains(part));
    for (const char* trace : {"terminate called", "what():", "Backtrace", "*** Process received"})
        CHECK_THAT(outcome.errors, !Catch::Contains(trace));
    CHECK(outcome.output.empty());
}

/// A start that will end with an error: without the second that mpirun gives the other ranks when
/// one has failed.
Launch refused_launch(int ranks) {
    return {.ranks = ranks, .environment = {{"OMPI_MCA_odls_base_sigkill_timeout", "0"}}};
}

struct Mistake {
    int ranks;
    std::string text; ///< added to the configuration
    std::vector<std::string> message;
};

} // namespace

TEST_CASE("a configuration that cannot be read ends with 2", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto refused = [&](int ranks, const fs::path& config, const std::string& message) {
        INFO(config);
        check_refusal(study.call(refused_launch(ranks), {"run", config, "--out", study / "run"}), 2,
                      {config, message});
        CHECK_FALSE(fs::exists(study / "run"));
    };
    refused(2, study / "missing.toml", "cannot read the configuration");
    refused(0, study.folder(), "cannot read the configuration");
    refused(0, study / "images.h5", "not valid TOML");
    if (::geteuid() != 0) { // root reads everything
        fs::permissions(study.config(), fs::perms::none);
        refused(0, study.config(), "cannot read the configuration");
    }
}

TEST_CASE("a mistake in the configuration ends with 2 and names the line, the key and what is "
          "allowed",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string config = text_of(study.config());
    for (const Mistake& mistake :
         {Mistake{2, "[clusters]\nmin_point = 3\n", {"clusters.min_point", "min_points"}},
          Mistake{0, "[clusters]\neps = \"wide\"\n", {"clusters.eps", "wide"}},
          Mistake{0, "[clusters]\nrepresentatives = 0\n", {"clusters.representatives", "0", "1"}},
          Mistake{0, "[clusters]\neps = 0.1\neps = 0.2\n", {"eps"}}}) {
        INFO(mistake.text);
        const fs::path wrong = study / "wrong.toml";
        std::ofstream(wrong) << config << mistake.text;
        auto parts = mistake.message;
        parts.push_back("wrong.toml");
        check_refusal(
            study.call(refused_launch(mistake.ranks), {"run", wrong, "--out", study / "run"}), 2,
            parts);
        CHECK_FALSE(fs::exists(study / "run"));
    }
}

TEST_CASE("a mistake on the command line ends with 2, and with one message for all ranks",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string out = study / "run";
    const auto refused = [&](int ranks, const Arguments& arguments,
                             const std::vector<std::string>& parts) {
        check_refusal(study.call(refused_launch(ranks), arguments), 2, parts);
        CHECK_FALSE(fs::exists(out));
    };
    refused(2, {"run", study.config(), "--out", out, "--set", "search.populaton=8"},
            {"search.populaton", "search.population"});
    refused(0, {"run", study.config(), "--out", out, "--threads", "0"},
            {"--threads", "0", "1 to 4096"});
    refused(2, {"rum", study.config()}, {"rum", "'run'"});
    refused(2, {"run"}, {"CONFIG is missing"});
    refused(0, {"run", study.config(), "--out", out, "--set", "data.held_out=490"},
            {"data.held_out", "500"});
    // The same settings are checked when they are only printed.
    const auto not_set = [&](const std::string& setting, const std::vector<std::string>& parts) {
        refused(0, {"run", study.config(), "--print-config", "--set", setting}, parts);
    };
    not_set("search.population", {"search.population", "="});
    not_set("search.constraints=[\"flops < 1\"]", {"flops < 1", "<="});
}

TEST_CASE("tasks of Slurm that see one rank each are stopped before they all run the same job",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    check_refusal(study.run({.ranks = 0, .environment = {{"SLURM_NTASKS", "4"}}}, "run"), 2,
                  {"Slurm started 4 tasks", "MPI sees one rank"});
    CHECK_FALSE(fs::exists(study / "run"));
}

TEST_CASE("images that cannot be used end with 3 and nothing is written", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto refused = [&](int ranks, const std::string& file,
                             const std::vector<std::string>& parts) {
        auto all = parts;
        all.push_back(file);
        check_refusal(study.run(refused_launch(ranks), "run",
                                {"--set", "data.file=" + (study / file).string()}),
                      3, all);
        CHECK_FALSE(fs::exists(study / "run"));
    };
    fs::copy_file(study / "images.h5", study / "short.h5");
    fs::resize_file(study / "short.h5", fs::file_size(study / "short.h5") / 2);
    refused(2, "short.h5", {"truncated"});
    fs::copy_file(study / "images.h5", study / "flipped.h5");
    flip_byte(study / "flipped.h5", 0.5);
    refused(0, "flipped.h5", {"damaged"});
    fs::copy_file(study.config(), study / "text.h5");
    refused(0, "text.h5", {});
    refused(0, "weights.h5", {"hdap-weights/1", "hdap-images/1"});
    refused(0, "missing.h5", {"No such file"});
}

TEST_CASE("weights that do not belong to the network end with 3 and name a tensor and both shapes",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto refused = [&](int ranks, const Arguments& more,
                             const std::vector<std::string>& parts) {
        check_refusal(study.run(refused_launch(ranks), "run", more), 3, parts);
        CHECK_FALSE(fs::exists(study / "run"));
    };
    refused(2, {"--set", "network.width=0.5"}, {"weights.h5", "tensor '", "expects [16]"});
    refused(0, {"--set", "network.weights=" + (study / "images.h5").string()},
            {"hdap-images/1", "hdap-weights/1"});
}

TEST_CASE("a run directory of another configuration is refused, and stays as it is", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto profile = [&](int ranks, const Arguments& more) {
        Arguments arguments{"profile", study.config(), "--out", study / "run"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return study.call(refused_launch(ranks), arguments);
    };
    REQUIRE(profile(0, {}).exit_code == 0);
    const std::string before = file_listing(study / "run");
    check_refusal(profile(2, {"--set", "search.population=10", "--set", "study.seed=8"}), 2,
                  {"belongs to another configuration", "search.population = 8 there, 10 here",
                   "study.seed = 7 there, 8 here", "--out"});
    CHECK(file_listing(study / "run") == before);
    // How the job runs, what it is called and where its inputs lie is not the study.
    fs::copy_file(study / "weights.h5", study / "copy.h5");
    const Outcome moved =
        profile(0, {"--set", "study.name=renamed", "--set", "run.checkpoint_seconds=1", "--set",
                    "network.weights=" + (study / "copy.h5").string()});
    INFO(moved.errors);
    CHECK(moved.exit_code == 0);
    CHECK(file_listing(study / "run") == before);
}

TEST_CASE("a constraint that no candidate can meet ends with 4 and says by how much", "[mpi]") {
    const TinyStudy study;
    const auto refused = [&](const std::string& name, const std::string& constraints,
                             const std::vector<std::string>& parts) {
        const Arguments more{"--set", "search.constraints=[" + constraints + "]", "--set",
                             "search.generations=1"};
        const Outcome outcome = study.run(refused_launch(2), name, more);
        check_refusal(outcome, 4, parts);
    };
    refused("early", "\"flops <= 0.001x\"",
            {"'flops <= 0.001x' cannot be met", "% too much", "network.min_keep"});
    CHECK_FALSE(fs::exists(study / "early/search.h5")); // found out before anything is evaluated
    refused("late", "\"latency.mean <= 1e-6\"",
            {"none of 16 candidates", "misses 'latency.mean <= 1e-6' by", "%"});
}

TEST_CASE("inspecting what is no HDF5 file ends with 3") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "empty.h5").close();
    for (const fs::path& file :
         {study.config(), study / "empty.h5", study / "missing.h5", study.folder()})
        check_refusal(study.call({.ranks = 0}, {"inspect", file}), 3, {file});
    CHECK(study.call({.ranks = 0}, {"inspect", study / "images.h5"}).exit_code == 0);
}
