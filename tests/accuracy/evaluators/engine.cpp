#include "accuracy/images/synthetic_images.hpp"
#include "hdap/accuracy/candidate_evaluator.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/prunable.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <stop_token>
#include <thread>
#include <vector>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;

namespace {

struct SmallProblem {
    network::Network network = network::make_network({.name = "mobilenet_v1",
                                                      .width = 0.25,
                                                      .classes = 4,
                                                      .input_channels = 1,
                                                      .input_extent = {16, 16}});
    network::Prunable prunable = network::with_weights(
        network::make_prunable(network, {}), network::testing::random_weights(network, 3));
    ImageData recalibration =
        synthetic_images({.count = 60, .height = 16, .width = 16, .classes = 4, .seed = 5});
    ImageData held_out =
        synthetic_images({.count = 90, .height = 16, .width = 16, .classes = 4, .seed = 6});

    [[nodiscard]] std::unique_ptr<CandidateEvaluator> evaluator() const {
        return make_candidate_evaluator("engine", {.network = prunable,
                                                   .recalibration = recalibration,
                                                   .held_out = held_out,
                                                   .evaluation = {.batch = 25}});
    }
    [[nodiscard]] network::PrunedNetwork candidate(const network::Genome& genome) const {
        return recalibrated_candidate(prunable, recalibration, {.batch = 25}, genome);
    }
};

double accuracy_of(const CandidateEvaluator& evaluator, const network::Genome& genome) {
    return evaluator.accuracy(genome, {}, {}).value().value;
}

} // namespace

TEST_CASE("the engine refuses missing weights or images, saying what to set", "[engine]") {
    const SmallProblem problem;
    const auto refuses = [](const EvaluatorInputs& inputs, const std::string& message) {
        CHECK_THROWS_AS(make_candidate_evaluator("engine", inputs), core::ConfigError);
        CHECK_THROWS_WITH(make_candidate_evaluator("engine", inputs), Contains(message));
    };
    const network::Prunable bare = network::make_prunable(problem.network, {});
    refuses({.network = bare, .recalibration = problem.recalibration, .held_out = problem.held_out},
            "network.weights");
    refuses({.network = problem.prunable, .held_out = problem.held_out}, "data.file");
    refuses({.network = problem.prunable, .recalibration = problem.recalibration}, "data.file");
    refuses({.network = problem.prunable,
             .recalibration = problem.recalibration,
             .held_out = problem.held_out,
             .evaluation = {.batch = 0}},
            "batch is 0");
}

TEST_CASE("the engine refuses what does not fit together", "[engine]") {
    const SmallProblem problem;
    const ImageData& images = problem.held_out;
    network::Prunable lacking = problem.prunable;
    lacking.weights->erase("classifier.bias");
    CHECK_THROWS_AS(
        make_candidate_evaluator("engine",
                                 {.network = lacking, .recalibration = images, .held_out = images}),
        core::DataError);
    CHECK_THROWS_WITH(make_candidate_evaluator("engine", {.network = problem.prunable,
                                                          .recalibration = synthetic_images({}),
                                                          .held_out = images}),
                      Contains("images for recalibration"));
    CHECK_THROWS_WITH(make_candidate_evaluator("engine", {.network = problem.prunable,
                                                          .recalibration = images,
                                                          .held_out = synthetic_images({})}),
                      Contains("held-out images"));
    CHECK_THROWS_AS(problem.evaluator()->accuracy({1, 2, 3}, {}, {}), core::DataError);
}

TEST_CASE("the engine gives up, takes all threads, and tells chance and identity", "[engine]") {
    const SmallProblem problem;
    const auto evaluator = problem.evaluator();
    CHECK(evaluator->gives_up());
    CHECK(evaluator->workers(3) == 3);
    CHECK(evaluator->chance_accuracy() == 0.25);
    CHECK_THAT(evaluator->identity(), Contains(evaluation_engine()));
}

TEST_CASE("a candidate's accuracy is that of the recalibrated candidate", "[engine]") {
    const SmallProblem problem;
    const auto evaluator = problem.evaluator();
    for (const double keep : {1.0, 0.7, 0.3}) {
        const network::Genome genome = problem.prunable.space.uniform(keep);
        const network::PrunedNetwork candidate = problem.candidate(genome);
        CHECK(accuracy_of(*evaluator, genome) ==
              top1_accuracy(candidate.network, candidate.weights, problem.held_out, {.batch = 25}));
    }
}

TEST_CASE("a candidate that cannot reach the needed accuracy is given up after some batches",
          "[engine]") {
    const SmallProblem problem;
    const auto evaluator = problem.evaluator();
    const network::Genome genome = problem.prunable.space.unpruned();
    const double exact = accuracy_of(*evaluator, genome);
    const auto found = [&](double needed, double confidence) {
        return evaluator->accuracy(genome, {.needed = needed, .confidence = confidence}, {})
            .value();
    };
    // Nothing reaches more than 100 %: after the first batch that is certain.
    const CandidateAccuracy given_up = found(1.5, 0.9);
    CHECK(given_up.given_up_after == 25);
    const network::PrunedNetwork candidate = problem.candidate(genome);
    CHECK(given_up.value == top1_accuracy(candidate.network, candidate.weights,
                                          slice(problem.held_out, 0, 25), {.batch = 25}));
    for (const CandidateAccuracy& whole : {found(1.5, 0.0), found(exact, 0.9)}) {
        CHECK(whole.given_up_after == 0);
        CHECK(whole.value == exact);
    }
}

TEST_CASE("a cancelled evaluation gives nothing, another one its accuracy", "[engine]") {
    const SmallProblem problem;
    const auto evaluator = problem.evaluator();
    const network::Genome genome = problem.prunable.space.unpruned();
    std::stop_source cancellation;
    CHECK(evaluator->accuracy(genome, {}, cancellation.get_token()).value().value ==
          accuracy_of(*evaluator, genome));
    const network::PrunedNetwork candidate = problem.candidate(genome);
    cancellation.request_stop();
    CHECK_FALSE(evaluator->accuracy(genome, {}, cancellation.get_token()));
    CHECK_FALSE(top1_accuracy(candidate.network, candidate.weights, problem.held_out, {.batch = 25},
                              cancellation.get_token()));
}

TEST_CASE("a genome gets the same bits from any thread, alone or beside others", "[engine]") {
    const SmallProblem problem;
    const auto evaluator = problem.evaluator();
    const std::vector<double> keeps{1.0, 0.8, 0.6, 0.4};
    struct Result {
        double accuracy = 0.0;
        std::vector<float> logits;
        network::Weights weights;
    };
    const auto evaluate = [&](double keep) {
        const network::Genome genome = problem.prunable.space.uniform(keep);
        const network::PrunedNetwork candidate = problem.candidate(genome);
        return Result{accuracy_of(*evaluator, genome),
                      logits(candidate.network, candidate.weights, problem.held_out, {.batch = 25}),
                      candidate.weights};
    };
    std::vector<Result> alone;
    for (const double keep : keeps)
        alone.push_back(evaluate(keep));

    std::vector<std::vector<Result>> together(4);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < together.size(); ++t)
        threads.emplace_back([&, t] {
            for (std::size_t k = 0; k < keeps.size(); ++k)
                together[t].push_back(evaluate(keeps[(k + t) % keeps.size()]));
        });
    for (std::thread& thread : threads)
        thread.join();
    for (std::size_t t = 0; t < together.size(); ++t)
        for (std::size_t k = 0; k < keeps.size(); ++k) {
            const Result& expected = alone[(k + t) % keeps.size()];
            CHECK(together[t][k].accuracy == expected.accuracy);
            CHECK(together[t][k].logits == expected.logits);
            for (const auto& [name, tensor] : expected.weights)
                CHECK(together[t][k].weights.at(name).values == tensor.values);
        }
}
