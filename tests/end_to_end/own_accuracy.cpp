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
    const auto file = hdap::storage::Hdf5Reader::from_bytes(
        hdap::storage::read_sealed(run / "search.h5"), "search.h5");
    return file.read<double>("/log/accuracy");
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
    write("echo 0.25\n");
    CHECK(study.run({.ranks = 2}, "run", arguments).exit_code == 0);
    CHECK(accuracies_of(study / "run").back() == 0.25);
}
