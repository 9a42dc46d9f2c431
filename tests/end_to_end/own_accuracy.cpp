// accuracy.command: a program of the user's measures the candidates.
#include "end_to_end/run_comparison.hpp"
#include "end_to_end/tiny_study.hpp"
#include "hdap/parallel/launch.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/storage/sealed_file.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <sched.h>
#include <set>

using namespace hdap::test;

namespace {

Arguments with_command(const std::string& command, const Arguments& more = {}) {
    Arguments result{"--set", "accuracy.command=\"" + command + "\"", "--set",
                     "finetune.candidates=0"};
    result.insert(result.end(), more.begin(), more.end());
    return result;
}

hdap::storage::Hdf5Reader search_of(const std::filesystem::path& run) {
    return hdap::storage::Hdf5Reader::from_bytes(hdap::storage::read_sealed(run / "search.h5"),
                                                 "search.h5");
}

/// The processors that this process may run on.
std::vector<int> own_cores() {
    cpu_set_t set;
    REQUIRE(::sched_getaffinity(0, sizeof set, &set) == 0);
    std::vector<int> cores;
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set)) cores.push_back(core);
    return cores;
}

std::vector<double> accuracies_of(const std::filesystem::path& run) {
    return search_of(run).read<double>("/log/accuracy");
}

/// How many candidates of the log failed.
std::int64_t failures_of(const std::filesystem::path& run) {
    const auto failed = search_of(run).read<std::int32_t>("/log/failed");
    return std::count(failed.begin(), failed.end(), 1);
}

} // namespace

TEST_CASE("a program's metrics are what the search goes by, the same on any ranks", "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    // Larger networks have longer files.
    const std::string command = "wc -c < {network} | awk '{printf \\\"%.12f\\\", 1 - 1e4/$1}'";
    const Outcome one = study.run({.ranks = 1}, "one", with_command(command));
    INFO(one.errors);
    REQUIRE(one.exit_code == 0);
    const std::vector<double> accuracies = accuracies_of(study / "one");
    REQUIRE(accuracies.size() > 10);
    CHECK(*std::max_element(accuracies.begin(), accuracies.end()) == accuracies[0]); // unpruned
    CHECK(std::set<double>(accuracies.begin(), accuracies.end()).size() > 5);
    REQUIRE(study.run({.ranks = 3, .threads = 2}, "three", with_command(command)).exit_code == 0);
    CHECK(accuracies_of(study / "three") == accuracies);
}

TEST_CASE(
    "candidates that a program has no number for are counted, kept and in no front, the same on "
    "any ranks and from a store",
    "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string command =
        "wc -c < {network} | awk '{ if ($1 < 5e5) print \\\"nan\\\"; else print 1 - 1e4/$1 }'";
    const auto run = [&](const Launch& launch, const std::string& name) {
        const Outcome outcome = study.run(
            launch, name,
            with_command(command,
                         {"--set", "search.constraints=[]", "--set", "accuracy.retries=0", "--set",
                          "search.max_failures=0.9", "--store", (study / "store").string()}));
        INFO(outcome.errors);
        REQUIRE(outcome.exit_code == 0);
        return outcome;
    };
    const Outcome one = run({.ranks = 1}, "one");
    const std::int64_t failed = failures_of(study / "one");
    REQUIRE(failed > 0);
    CHECK_THAT(one.errors, Catch::Contains("printed 'nan' last") &&
                               Catch::Contains(std::to_string(failed) + " of") &&
                               Catch::Contains("could not be measured"));
    const std::vector<double> accuracies = accuracies_of(study / "one");
    CHECK(std::count(accuracies.begin(), accuracies.end(), 0.0) == failed);
    CHECK(std::filesystem::exists(study / "one/failed"));
    CHECK_THAT(one.output, Catch::Contains(std::to_string(failed) + " of"));
    run({.ranks = 3, .threads = 2}, "three");
    CHECK(accuracies_of(study / "three") == accuracies);
    CHECK(failures_of(study / "three") == failed);
    CHECK(text_of(study / "three/front.csv") == text_of(study / "one/front.csv"));
}

TEST_CASE("a network is searched on two ranks without any data set, by its file and a program that "
          "starts ranks of its own",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string file = (study / "network.onnx").string();
    REQUIRE(
        study
            .call({.ranks = 0}, {"network", "export", "mobilenet_v1", "--weights",
                                 (study / "weights.h5").string(), "--width", "0.25", "--classes",
                                 "3", "--channels", "1", "--image-size", "16", "--out", file})
            .exit_code == 0);
    const Outcome outcome =
        study.run({.ranks = 2}, "run",
                  with_command(": {network}; " HDAP_MPIEXEC " --oversubscribe -n 1 echo 0.5",
                               {"--set", "network.file=\"" + file + "\"", "--set",
                                "network.weights=\"\"", "--set", "data.file=\"\"", "--set",
                                "search.generations=0", "--set", "search.population=4"}));
    INFO(outcome.errors);
    CHECK(outcome.exit_code == 0);
    CHECK(accuracies_of(study / "run").front() == 0.5);
    // Where OpenMP's threads are bound to is the business of other programs.
    CHECK_THAT(outcome.errors,
               Catch::Contains("on cores " + hdap::parallel::core_list(own_cores())));
}

TEST_CASE("a program that fails ends the job with 3 and its last words, and the study goes on when "
          "it works again",
          "[mpi]") {
    const TinyStudy study(TinyStudy::Weights::initial);
    const std::string script = (study / "eval.sh").string();
    const auto write = [&](const std::string& text) { std::ofstream(script) << text; };
    write("echo no such GPU >&2; exit 9\n");
    const Arguments arguments = with_command("sh " + script + " {network}");
    const Outcome failed = study.run({.ranks = 2}, "run", arguments);
    INFO(failed.errors);
    CHECK(failed.exit_code == 3);
    CHECK_THAT(failed.errors,
               Catch::Contains("exit code 9, in 2 tries") && Catch::Contains("no such GPU"));
    const auto kept = study / "run/failed/candidate-00000.onnx"; // the unpruned network
    CHECK(std::filesystem::exists(kept));
    write("echo 0.25\n");
    CHECK(study.run({.ranks = 2}, "run", arguments).exit_code == 0);
    CHECK(accuracies_of(study / "run").back() == 0.25);
    CHECK_FALSE(std::filesystem::exists(kept));
}
