// Whatever is wrong with the input: the right exit code, one message for all ranks that says what
// is wrong and where, no trace of a stack, and nothing written.
#include "end_to_end/file_damage.hpp"
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/safetensors.hpp"
#include "hdap/network/weight_files.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <memory>
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

/// A call that is to be refused, and what its message must hold.
struct Refusal {
    int ranks;
    Arguments arguments;
    std::vector<std::string> parts;
};

/// Checks calls that are refused with one exit code and must not make a run directory. They run
/// side by side.
void check_refusals(const TinyStudy& study, int exit_code, const std::vector<Refusal>& refusals) {
    std::vector<std::unique_ptr<Process>> jobs;
    for (const Refusal& refusal : refusals)
        jobs.emplace_back(
            new Process(study.start(refused_launch(refusal.ranks), refusal.arguments)));
    for (std::size_t i = 0; i < refusals.size(); ++i) {
        INFO(refusals[i].arguments.back());
        check_refusal(jobs[i]->wait(), exit_code, refusals[i].parts);
    }
    CHECK_FALSE(fs::exists(study / "run"));
}

/// `hdap run CONFIG --out run MORE`.
Arguments run_of(const TinyStudy& study, const fs::path& config, const Arguments& more = {}) {
    Arguments arguments{"run", config, "--out", study / "run"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

} // namespace

TEST_CASE("a configuration that cannot be read ends with 2", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const fs::path missing = study / "missing.toml";
    const fs::path binary = study / "images.h5";
    std::vector<Refusal> refusals{
        {2, run_of(study, missing), {missing, "cannot read the configuration"}},
        {0, run_of(study, study.folder()), {study.folder(), "cannot read the configuration"}},
        {0, run_of(study, binary), {binary, "not valid TOML"}}};
    const fs::path secret = study / "secret.toml";
    std::ofstream(secret) << "[study]\n";
    fs::permissions(secret, fs::perms::none);
    if (::geteuid() != 0) // root reads everything
        refusals.push_back({0, run_of(study, secret), {secret, "cannot read the configuration"}});
    check_refusals(study, 2, refusals);
}

TEST_CASE("a mistake in the configuration ends with 2 and names the line, the key and what is "
          "allowed",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto mistake = [&](int ranks, const std::string& name, const std::string& text,
                             std::vector<std::string> parts) {
        std::ofstream(study / name) << text_of(study.config()) << text;
        parts.push_back((study / name).string() + ":");
        return Refusal{ranks, run_of(study, study / name), parts};
    };
    check_refusals(
        study, 2,
        {mistake(2, "unknown.toml", "[clusters]\nmin_point = 3\n",
                 {"clusters.min_point", "min_points"}),
         mistake(0, "type.toml", "[clusters]\neps = \"wide\"\n", {"clusters.eps", "wide"}),
         mistake(0, "range.toml", "[clusters]\nrepresentatives = 0\n",
                 {"clusters.representatives", "0", "1"}),
         mistake(0, "preset.toml", "preset = \"paper\"\n",
                 {"run.preset", "'preset' above all sections"}),
         mistake(0, "twice.toml", "[clusters]\neps = 0.1\neps = 0.2\n", {"eps"})});
}

TEST_CASE("a mistake on the command line ends with 2, and with one message for all ranks",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto with = [&](const Arguments& more) { return run_of(study, study.config(), more); };
    check_refusals(
        study, 2,
        {{2, with({"--set", "search.populaton=8"}), {"search.populaton", "search.population"}},
         {0, with({"--set", "preset=papper"}), {"--set preset=papper", "'paper'?"}},
         {2, {"rum", study.config()}, {"rum", "'run'"}},
         {2, {"run"}, {"CONFIG is missing"}},
         {0, with({"--set", "search.population"}), {"search.population", "="}},
         {0, with({"--set", "search.constraints=[\"flops < 1\"]"}), {"flops < 1", "<="}},
         {0, with({"--set", "data.held_out=490"}), {"data.held_out", "500"}},
         {2,
          with({"--set", "search.algorithm=ncs"}),
          {"ncs minimises one objective", "accuracy_drop"}},
         {0, with({"--threads", "0"}), {"--threads", "0", "1 to 4096"}}});
}

TEST_CASE("a configuration may stand behind an overriding setting") {
    const TinyStudy study(TinyStudy::Weights::initial);
    Process process(
        {HDAP_PROGRAM, "run", "--set", "study.seed=7", study.config(), "--print-config"});
    const Outcome outcome = process.wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.output, Catch::Contains("seed = 7"));
}

TEST_CASE("a preset can be looked at without a configuration") {
    Process process({HDAP_PROGRAM, "run", "--print-config", "--set", "preset=paper"});
    const Outcome outcome = process.wait();
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK_THAT(outcome.output,
               Catch::Contains("\npreset = \"paper\"\n") && Catch::Contains("\n# paper: "));
}

TEST_CASE("tasks of Slurm that see one rank each are stopped before they all run the same job",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    check_refusal(study.run({.ranks = 0, .environment = {{"SLURM_STEP_NUM_TASKS", "4"}}}, "run"), 2,
                  {"Slurm started 4 tasks", "MPI sees one rank"});
    CHECK_FALSE(fs::exists(study / "run"));
}

TEST_CASE("images that cannot be used end with 3 and nothing is written", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const auto images = [&](int ranks, const std::string& name, std::vector<std::string> parts) {
        const std::string file = study / name;
        parts.push_back(file);
        return Refusal{ranks, run_of(study, study.config(), {"--set", "data.file=" + file}), parts};
    };
    fs::copy_file(study / "images.h5", study / "short.h5");
    fs::resize_file(study / "short.h5", fs::file_size(study / "short.h5") / 2);
    fs::copy_file(study / "images.h5", study / "flipped.h5");
    flip_byte(study / "flipped.h5", 0.5);
    check_refusals(study, 3,
                   {images(2, "short.h5", {"truncated"}), images(0, "flipped.h5", {"damaged"}),
                    images(0, "tiny.toml", {"HDF5"}),
                    images(0, "weights.h5", {"hdap-weights/1", "hdap-images/1"}),
                    images(0, "missing.h5", {"No such file"})});
}

TEST_CASE("weights that do not belong to the network end with 3 and name a tensor and both shapes",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string weights = study / "weights.h5";
    const std::string images = study / "images.h5";
    check_refusals(study, 3,
                   {{2,
                     run_of(study, study.config(), {"--set", "network.width=0.5"}),
                     {weights, "of shape [16] has shape [8] in the file"}},
                    {0,
                     run_of(study, study.config(), {"--set", "network.weights=" + images}),
                     {images, "hdap-images/1", "hdap-weights/1"}}});
}

TEST_CASE("weights that are not numbers end with 3 wherever they are read, with the tensor",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    auto weights = hdap::network::load_weights(study / "weights.h5").weights;
    weights.at("blocks.3.pointwise.bn.running_var").values.at(5) = -1.0F;
    const std::string bad = study / "bad.safetensors";
    hdap::network::write_safetensors(bad, weights);
    const std::string images = study / "images.h5";
    const std::vector<std::string> parts{
        bad, "'blocks.3.pointwise.bn.running_var' holds -1 in channel 5"};
    const std::string teacher = study / "teacher.onnx";
    const auto network = hdap::network::make_network({.name = "mobilenet_v1",
                                                      .width = 0.25,
                                                      .classes = 3,
                                                      .input_channels = 1,
                                                      .input_extent = {16, 16}});
    hdap::network::save_network(teacher, {network, weights});
    const auto with = [&](Arguments arguments, const Arguments& more) {
        arguments.insert(arguments.end(), {"mobilenet_v1", "--width", "0.25", "--data", images});
        arguments.insert(arguments.end(), more.begin(), more.end());
        return arguments;
    };
    const std::string output = study / "run.h5";
    const Arguments training{"--held-out", "200", "--out", output};
    check_refusals(
        study, 3,
        {{2, run_of(study, study.config(), {"--set", "network.weights=" + bad}), parts},
         {0, with({"network", "eval"}, {"--weights", bad}), parts},
         {0, with({"network", "prune"}, {"--keep", "0.5", "--weights", bad, "--out", output}),
          parts},
         {0, with({"train", "--weights", bad}, training), parts},
         {0, with({"train", "--teacher", teacher}, training), {teacher, parts[1]}}});
    CHECK_FALSE(fs::exists(study / "run.h5"));
}

TEST_CASE("weights of one network beside the file of another name both settings", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string file = study / "other.h5";
    REQUIRE(study
                .call({.ranks = 0}, {"network", "export", "mobilenet_v1", "--width", "0.25",
                                     "--classes", "3", "--channels", "1", "--image-size", "16",
                                     "--weights", study / "weights.h5", "--out", file})
                .exit_code == 0);
    check_refusals(study, 3,
                   {{2,
                     run_of(study, study.config(),
                            {"--set", "network.file=" + file, "--set",
                             "network.weights=" + (study / "images.h5").string()}),
                     {"network.weights is set beside network.file", "images.h5", file,
                      "network.weights = \"\""}}});
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
    const Outcome other =
        study.run(refused_launch(2), "other",
                  {"--set", "search.constraints=[\"flops <= 0.001x\"]", "--set", "data.scale=255"});
    INFO(other.errors);
    CHECK(count_of(other.errors, "another normalisation") == 1);
    CHECK(other.errors.find("another normalisation") < other.errors.find("fleet: "));
    refused("late", "\"latency.mean <= 1e-6\"",
            {"none of 16 candidates", "misses 'latency.mean <= 1e-6' by", "%"});
}

TEST_CASE("inspecting what is no HDF5 file ends with 3") {
    const TinyStudy study(TinyStudy::Weights::initial);
    std::ofstream(study / "empty.h5").close();
    std::vector<Refusal> refusals;
    for (const fs::path& file :
         {study.config(), study / "empty.h5", study / "missing.h5", study.folder()})
        refusals.push_back({0, {"inspect", file}, {file}});
    check_refusals(study, 3, refusals);
    CHECK(study.call({.ranks = 0}, {"inspect", study / "images.h5"}).exit_code == 0);
}
