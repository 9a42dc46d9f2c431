#include "accuracy/images/synthetic_images.hpp"
#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/load.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <thread>

using namespace hdap;
using namespace hdap::accuracy;
using Catch::Matchers::Contains;

namespace {

struct Problem {
    network::Network network = network::make_network({.name = "mobilenet_v1",
                                                      .width = 0.25,
                                                      .classes = 4,
                                                      .input_channels = 1,
                                                      .input_extent = {16, 16}});
    network::Prunable prunable = network::with_weights(network::make_prunable(network, {}),
                                                       network::initial_weights(network, 1));
    test::TemporaryFolder folder;

    [[nodiscard]] std::unique_ptr<CandidateEvaluator>
    evaluator(const CommandParameters& parameters) const {
        return make_candidate_evaluator(
            "command",
            {.network = prunable, .evaluation = EvaluationParameters(), .command = parameters});
    }
    [[nodiscard]] std::optional<double> measure(const CommandParameters& parameters) const {
        const auto found = evaluator(parameters)->accuracy(prunable.space.smallest(), {}, {});
        return found ? std::optional(found->value) : std::nullopt;
    }
    void refuses(const CommandParameters& parameters, const std::string& message) const {
        CHECK_THROWS_AS(measure(parameters), core::DataError);
        CHECK_THROWS_WITH(measure(parameters), Contains(message));
    }
    /// How many lines a file in the folder has.
    [[nodiscard]] std::int64_t lines(const std::string& name) const {
        std::ifstream stream(folder / name);
        std::int64_t count = 0;
        for (std::string line; std::getline(stream, line);)
            ++count;
        return count;
    }
};

} // namespace

TEST_CASE("a command that cannot be meant is refused before anything runs", "[command]") {
    CHECK_THROWS_WITH(check_command({.command = "python3 eval.py"}), Contains("{network}"));
    CHECK_THROWS_WITH(check_command({.command = "x {network}", .format = "tflite"}),
                      Contains("tflite"));
    for (const double seconds : {0.0, -1.0, 1e8})
        CHECK_THROWS_AS(check_command({.command = "x {network}", .timeout_seconds = seconds}),
                        core::ConfigError);
    CHECK_THROWS_AS(check_command({.command = "x {network}", .retries = -1}), core::ConfigError);
    CHECK_NOTHROW(check_command({.command = "x {network}"}));
}

TEST_CASE("a command gets no network without weights, and no images that do not fit", "[command]") {
    const Problem problem;
    const network::Prunable bare = network::make_prunable(problem.network, {});
    const CommandParameters command{.command = ": {network}; echo 0.5"};
    CHECK_THROWS_WITH(
        make_candidate_evaluator(
            "command", {.network = bare, .evaluation = EvaluationParameters(), .command = command}),
        Contains("network.weights"));
    CHECK_THROWS_AS(problem.evaluator({.command = "echo 0.5"}), core::ConfigError);
    CHECK_THROWS_WITH(
        make_candidate_evaluator("command", {.network = problem.prunable,
                                             .recalibration = testing::synthetic_images({}),
                                             .evaluation = EvaluationParameters(),
                                             .command = command}),
        Contains("images for recalibration"));
    CHECK_THROWS_AS(problem.evaluator(command)->accuracy({1, 2, 3}, {}, {}), core::DataError);
}

TEST_CASE("a command never gives up, takes all threads, and nothing is chance", "[command]") {
    const Problem problem;
    const auto evaluator = problem.evaluator({.command = ": {network}; echo 0.5"});
    CHECK_FALSE(evaluator->gives_up());
    CHECK(evaluator->workers(3) == 3);
    CHECK(evaluator->chance_accuracy() == 0.0);
    CHECK(evaluator
              ->accuracy(problem.prunable.space.smallest(), {.needed = 1.5, .confidence = 0.9}, {})
              ->given_up_after == 0);
}

TEST_CASE("a command gets the candidate with statistics of the images, in float32", "[command]") {
    const Problem problem;
    const ImageData images = testing::synthetic_images(
        {.count = 40, .height = 16, .width = 16, .classes = 4, .seed = 5});
    const std::string copy = (problem.folder / "copy.pt").string();
    const auto evaluator = make_candidate_evaluator(
        "command", {.network = problem.prunable,
                    .recalibration = images,
                    .evaluation = {.batch = 20, .precision = "bfloat16"},
                    .command = {.command = "cp {network} " + copy + "; echo 0.5", .format = "pt"}});
    const network::Genome genome = problem.prunable.space.uniform(0.5);
    REQUIRE(evaluator->accuracy(genome, {}, {}));
    const auto found = network::load_network({.network = copy, .input = {{1, {16, 16}}}});
    const auto expected = recalibrated_candidate(problem.prunable, images, {.batch = 20}, genome);
    // Batch norms of a TorchScript file have names of their own; their values are the weights'.
    std::multiset<std::vector<float>> written;
    for (const auto& [name, tensor] : found.weights.value())
        written.insert(tensor.values);
    for (const auto& [name, tensor] : expected.weights) {
        CAPTURE(name);
        CHECK(written.contains(tensor.values));
    }
}

TEST_CASE("the last line of what the command prints is the accuracy", "[command]") {
    const Problem problem;
    CHECK(problem.measure({.command = "echo loading; : {network}; printf ' 0.75 \\n\\n'"}) == 0.75);
    CHECK(problem.measure({.command = ": {network}; echo 1"}) == 1.0);
    // A megabyte of progress before it does not matter.
    CHECK(problem.measure({.command = ": {network}; yes step | head -c 1000000; echo; echo 0.5"}) ==
          0.5);
}

TEST_CASE("the command gets the candidate as a file of its format, which is gone afterwards",
          "[command]") {
    const Problem problem;
    for (const std::string format : {"onnx", "pt"}) {
        const std::string copy = (problem.folder / ("copy." + format)).string();
        CHECK(problem.measure({.command = "cp {network} " + copy + "; echo {network} >> " +
                                          (problem.folder / "names").string() + "; echo 0.5",
                               .format = format}) == 0.5);
        CHECK(std::filesystem::file_size(copy) > 1000);
    }
    std::ifstream names(problem.folder / "names");
    for (std::string name; std::getline(names, name);)
        CHECK_FALSE(std::filesystem::exists(name));
}

TEST_CASE("what is no accuracy is tried again, then told with the command and its last words",
          "[command]") {
    const Problem problem;
    problem.refuses({.command = ": {network}; echo no GPU >&2; exit 7"},
                    "ended with exit code 7, in 2 tries; its stderr ends: no GPU");
    problem.refuses({.command = ": {network}; kill -SEGV $$"}, "exit code 139");
    problem.refuses({.command = ": {network}", .retries = 0}, "printed nothing");
    for (const std::string number : {"nan", "76.1", "-0.1", "inf", "0.5 %", "accuracy: 0.5"})
        problem.refuses({.command = ": {network}; echo '" + number + "'", .retries = 0},
                        "printed '" + number + "' last; expected a number in [0, 1]");
    problem.refuses({.command = "no-such-program {network}"}, "exit code 127");
    problem.refuses({.command = ": {network}; echo no boxes; exit 1"},
                    "ended with exit code 1, in 2 tries; it printed last: no boxes");
    problem.refuses({.command = ": {network}; printf '\\033[2J\\377\\303\\244' >&2; exit 1"},
                    "its stderr ends: ?[2J?\xc3\xa4");

    const std::string tries = (problem.folder / "tries").string();
    const std::string fails_twice =
        ": {network}; echo x >> " + tries + "; [ $(wc -l < " + tries + ") -gt 2 ] && echo 0.25";
    CHECK(problem.measure({.command = fails_twice, .retries = 2}) == 0.25);
    CHECK(problem.lines("tries") == 3);
}

TEST_CASE("a candidate that fails leaves its file and what was printed, of much the end",
          "[command]") {
    const Problem problem;
    const std::string copy = (problem.folder / "copy.onnx").string();
    try {
        (void)problem.measure({.command = "cp {network} " + copy +
                                          "; yes step | head -c 100000; echo; echo nan; "
                                          "echo a warning >&2",
                               .retries = 0});
        FAIL("no error");
    } catch (const CandidateFailure& failure) {
        const FailureEvidence& evidence = failure.evidence;
        CHECK(evidence.reason == failure.what());
        CHECK(evidence.format == "onnx");
        std::ifstream file(copy, std::ios::binary);
        CHECK(evidence.network == std::string(std::istreambuf_iterator<char>(file), {}));
        CHECK_THAT(evidence.output,
                   Contains("step\nstep") && Contains("\nnan\n") && Contains("a warning"));
        CHECK(evidence.output.size() < 70'000);
    }
}

TEST_CASE("a command that hangs is killed with all that it started", "[command]") {
    const Problem problem;
    const auto start = std::chrono::steady_clock::now();
    const std::string pid = (problem.folder / "pid").string();
    problem.refuses({.command = "sleep 600 & echo $! > " + pid + "; : {network}; wait",
                     .timeout_seconds = 0.3,
                     .retries = 0},
                    "did not end within 0.3 s");
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
    long process = 0;
    std::ifstream(pid) >> process;
    REQUIRE(process > 0);
    // Killed, it is gone at once, or a zombie until init has looked.
    const std::string status = "/proc/" + std::to_string(process) + "/stat";
    std::string id;
    std::string name;
    std::string state = "gone";
    std::ifstream(status) >> id >> name >> state;
    CHECK((state == "gone" || state == "Z" || state == "X"));
}

TEST_CASE("a cancelled command is killed and gives nothing", "[command]") {
    const Problem problem;
    std::stop_source source;
    const auto evaluator = problem.evaluator(
        {.command = "touch " + (problem.folder / "started").string() + "; : {network}; sleep 600"});
    std::jthread canceller([&] {
        while (!std::filesystem::exists(problem.folder / "started"))
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        source.request_stop();
    });
    CHECK_FALSE(
        evaluator->accuracy(problem.prunable.space.smallest(), {}, source.get_token()).has_value());
}
