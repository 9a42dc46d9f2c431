#include "hdap/accuracy/training.hpp"

#include "accuracy/images/synthetic_images.hpp"
#include "accuracy/reference_batch.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/core/error.hpp"
#include "hdap/network/zoo.hpp"
#include "network/random_network.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <thread>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;
using network::PrunedNetwork;
using network::Weights;

namespace {

PrunedNetwork small_start() {
    PrunedNetwork start{.network = network::make_network({.name = "mobilenet_v1",
                                                          .width = 0.1,
                                                          .classes = 2,
                                                          .input_channels = 1,
                                                          .input_extent = {16, 16}}),
                        .weights = {}};
    start.weights = network::initial_weights(start.network, 1);
    return start;
}

ImageData small_images(std::int64_t count = 160, std::uint32_t seed = 1) {
    return synthetic_images({.count = count, .height = 16, .width = 16, .seed = seed});
}

bool equal(const Weights& a, const Weights& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.values == y.second.values;
    });
}

std::vector<double> log_softmax(const FeatureMap& logits, double temperature) {
    std::vector<double> result;
    for (const double logit : logits)
        result.push_back(logit / temperature);
    const double largest = *std::max_element(result.begin(), result.end());
    double sum = 0.0;
    for (const double value : result)
        sum += std::exp(value - largest);
    for (double& value : result)
        value -= largest + std::log(sum);
    return result;
}

/// Cross-entropy with smoothed labels, averaged over the images.
double reference_loss(const ReferenceBatch& batch, const ImageData& images, double smoothing) {
    double loss = 0.0;
    for (std::size_t i = 0; i < batch.logits.size(); ++i) {
        const std::vector<double> log_share = log_softmax(batch.logits[i], 1.0);
        for (std::size_t c = 0; c < log_share.size(); ++c) {
            const double target =
                (static_cast<std::int32_t>(c) == images.labels[i] ? 1.0 - smoothing : 0.0) +
                smoothing / static_cast<double>(log_share.size());
            loss -= target * log_share[c];
        }
    }
    return loss / static_cast<double>(batch.logits.size());
}

double reference_loss(const network::Network& network, const Weights& weights,
                      const ImageData& images, double smoothing) {
    return reference_loss(reference_batch(network, weights, images, 0, images.count), images,
                          smoothing);
}

/// T² · KL(teacher ‖ network), averaged over the images.
double reference_divergence(const ReferenceBatch& batch, const std::vector<float>& teacher_logits,
                            double temperature) {
    const std::size_t classes = batch.logits.front().size();
    double sum = 0.0;
    for (std::size_t i = 0; i < batch.logits.size(); ++i) {
        const auto first = teacher_logits.begin() + static_cast<std::ptrdiff_t>(i * classes);
        const auto wanted = log_softmax(
            FeatureMap(first, first + static_cast<std::ptrdiff_t>(classes)), temperature);
        const auto given = log_softmax(batch.logits[i], temperature);
        for (std::size_t c = 0; c < classes; ++c)
            sum += std::exp(wanted[c]) * (wanted[c] - given[c]);
    }
    return temperature * temperature * sum / static_cast<double>(batch.logits.size());
}

/// One step at a learning rate of 1 and without momentum: the weights move by the gradient.
constexpr TrainingParameters one_plain_step{.epochs = 1.0,
                                            .batch = 6,
                                            .shard = 6,
                                            .learning_rate = 1.0,
                                            .momentum = 0.0,
                                            .weight_decay = 0.0,
                                            .warmup = 0.0,
                                            .augment = false};

using Loss = std::function<double(const Weights&)>;

/// One value of every tensor must have moved by the finite difference of `loss`.
void check_step(const Weights& before, const Weights& after, const Loss& loss, std::uint32_t seed) {
    core::RandomStream random(seed, core::StreamId::testing, 2);
    int checked = 0;
    int wrong = 0;
    for (const auto& [name, tensor] : before) {
        if (name.find(".running_") != std::string::npos) continue;
        const std::size_t i = random.below(tensor.values.size());
        const auto loss_at = [&](float value) {
            Weights moved = before;
            moved.at(name).values[i] = value;
            return loss(moved);
        };
        const float above = tensor.values[i] + 1e-4F;
        const float below = tensor.values[i] - 1e-4F;
        const double expected =
            (loss_at(above) - loss_at(below)) / static_cast<double>(above - below);
        const double gradient =
            static_cast<double>(tensor.values[i]) - static_cast<double>(after.at(name).values[i]);
        ++checked;
        wrong += std::abs(gradient - expected) > 2e-3 + 0.02 * std::abs(expected) ? 1 : 0;
    }
    // A kink of an activation may lie between the two points of a difference.
    CHECK(wrong <= checked / 10);
}

/// A random network with images for it.
struct Subject {
    network::Network network;
    network::Network trained; ///< with a final softmax, which training leaves out
    Weights weights;
    ImageData images;
};

std::optional<Subject> random_subject(std::uint32_t seed, std::int64_t count) {
    Subject subject;
    subject.network = network::testing::random_network(seed);
    if (!subject.network.outputs.empty()) return std::nullopt;
    subject.trained = subject.network;
    if (subject.network.nodes.back().op == network::Operator::softmax)
        subject.network.nodes.pop_back();
    subject.weights = network::testing::random_weights(subject.network, seed);
    subject.images = synthetic_images({.count = count,
                                       .channels = subject.network.nodes[0].output_channels,
                                       .height = subject.network.input_extent.height,
                                       .width = subject.network.input_extent.width,
                                       .classes = 3,
                                       .seed = seed});
    return subject;
}

/// The images in the order in which the first epoch visits them.
ImageData in_first_order(const ImageData& images, std::uint64_t seed) {
    const auto count = static_cast<std::size_t>(images.count);
    const auto order = core::RandomStream(seed, core::StreamId::data_order).permutation(count);
    const auto size = static_cast<std::ptrdiff_t>(images.pixels.size() / count);
    ImageData result = images;
    for (std::size_t i = 0; i < count; ++i) {
        std::copy_n(images.pixels.begin() + size * static_cast<std::ptrdiff_t>(order[i]), size,
                    result.pixels.begin() + size * static_cast<std::ptrdiff_t>(i));
        result.labels[i] = images.labels[order[i]];
    }
    return result;
}

/// Takes all steps, or as many as asked for, with the shards of a step cut at `cut` and computed on
/// `threads` threads each, as two processes would.
void take_steps(Training& training, std::size_t cut, int threads, std::int64_t steps = 1 << 20) {
    for (std::int64_t i = 0; i < steps && training.progress().step < training.progress().steps;
         ++i) {
        std::vector<float> all;
        for (const auto& [first, last] :
             {std::pair{std::size_t{0}, cut}, {cut, training.shards()}}) {
            training.compute(first, last, threads);
            const auto part = training.contributions();
            all.insert(all.end(), part.begin(), part.end());
        }
        const auto total = training.total();
        std::copy_n(all.begin(), total.size(), total.begin());
        for (std::size_t k = total.size(); k < all.size(); ++k)
            total[k % total.size()] += all[k];
        training.apply();
    }
}

} // namespace

TEST_CASE("parameters out of their range and images that do not fit are refused", "[training]") {
    const auto run = [](const TrainingParameters& parameters) {
        return train(small_start(), small_images(), parameters, {});
    };
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_WITH(run({.epochs = 0.0}), Contains("epochs is 0, must be in (0, 10000]"));
    CHECK_THROWS_AS(run({.epochs = nan}), core::ConfigError);
    CHECK_THROWS_AS(run({.batch = 1}), core::ConfigError);
    CHECK_THROWS_AS(run({.learning_rate = 0.0}), core::ConfigError);
    CHECK_THROWS_AS(run({.learning_rate = INFINITY}), core::ConfigError);
    CHECK_THROWS_WITH(run({.momentum = 1.0}), Contains("momentum is 1, must be in [0, 1)"));
    CHECK_THROWS_AS(run({.weight_decay = -1.0}), core::ConfigError);
    CHECK_THROWS_AS(run({.warmup = 0.6}), core::ConfigError);
    CHECK_THROWS_AS(run({.label_smoothing = 0.6}), core::ConfigError);
    CHECK_THROWS_AS(run({.crop_padding = 0.51}), core::ConfigError);
    CHECK_THROWS_AS(train(small_start(), synthetic_images({}), {}, {}), core::DataError);
    CHECK_THROWS_AS(train(small_start(), small_images(1), {}, {}), core::DataError);
    CHECK_THROWS_AS(run({.shard = 1}), core::ConfigError);
    CHECK_THROWS_AS(run({.distillation = 1.1}), core::ConfigError);
    CHECK_THROWS_AS(run({.distillation_temperature = 0.0}), core::ConfigError);
    CHECK_THROWS_WITH(run({.device = "gpu"}), Contains("unknown device 'gpu'"));
    CHECK_THROWS_WITH(run({.schedule = "cosin"}),
                      Contains("'cosin'") && Contains("cosine, linear, step, constant"));
    PrunedNetwork lacking = small_start();
    lacking.weights.erase("stem.conv.weight");
    CHECK_THROWS_AS(train(lacking, small_images(), {}, {}), core::DataError);
}

TEST_CASE("one step goes down the gradient of the plain loss", "[training]") {
    constexpr double smoothing = 0.1;
    int subjects = 0;
    for (std::uint32_t seed = 0; seed < 30; ++seed) {
        CAPTURE(seed);
        const std::optional<Subject> subject = random_subject(seed, 6);
        if (!subject) continue;
        ++subjects;
        TrainingParameters parameters = one_plain_step;
        parameters.label_smoothing = smoothing;
        // LibTorch's own kernels, too, which a GPU would use.
        parameters.device = seed % 3 == 0 ? "reference" : "cpu";
        check_step(
            subject->weights,
            train({subject->trained, subject->weights}, subject->images, parameters, {}),
            [&](const Weights& weights) {
                return reference_loss(subject->network, weights, subject->images, smoothing);
            },
            seed);
    }
    CHECK(subjects >= 15);
}

TEST_CASE("momentum and decay move the weights as their formulas say, batch norms without decay",
          "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(48);
    for (const bool nesterov : {true, false}) {
        CAPTURE(nesterov);
        TrainingParameters parameters{.epochs = 3.0,
                                      .batch = 16,
                                      .shard = 16,
                                      .learning_rate = 0.05,
                                      .schedule = "constant",
                                      .momentum = 0.8,
                                      .nesterov = nesterov,
                                      .weight_decay = 0.1,
                                      .warmup = 0.0};
        TrainingParameters plain = parameters; // to learn the gradient from
        plain.momentum = plain.weight_decay = 0.0;
        const auto training = make_training(start, images, parameters);
        std::map<std::string, std::vector<double>> velocity;
        for (int step = 0; step < 5; ++step) {
            const TrainingState before = training->state();
            const auto gradient_only = make_training(start, images, plain);
            gradient_only->restore(before);
            take_step(*gradient_only, 1);
            const Weights moved = gradient_only->state().weights;
            take_step(*training, 1);
            const Weights after = training->state().weights;
            double worst = 0.0;
            for (const auto& [name, tensor] : before.weights) {
                const bool statistic = name.find(".running_") != std::string::npos;
                const bool decays = name.ends_with(".weight") && tensor.shape.size() > 1;
                velocity[name].resize(tensor.values.size());
                for (std::size_t i = 0; i < tensor.values.size(); ++i) {
                    const auto weight = static_cast<double>(tensor.values[i]);
                    const auto there = static_cast<double>(moved.at(name).values[i]);
                    double expected = there;
                    if (!statistic) {
                        const double g = (weight - there) / 0.05 + (decays ? 0.1 * weight : 0.0);
                        double& v = velocity[name][i];
                        v = 0.8 * v + g;
                        expected = weight - 0.05 * (nesterov ? g + 0.8 * v : v);
                    }
                    worst = std::max(
                        worst, std::abs(static_cast<double>(after.at(name).values[i]) - expected) /
                                   (1.0 + std::abs(expected)));
                }
            }
            CHECK(worst < 2e-6);
        }
    }
}

TEST_CASE("running statistics move by a tenth towards those of the batch", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(16);
    const Weights after =
        train(start, images, {.epochs = 1.0, .batch = 16, .shard = 16, .augment = false}, {});
    // With weights that have not moved yet, those of the batch are what recalibration finds.
    const Weights batch =
        recalibrate_batch_norm(start.network, start.weights, images, {.batch = 16});
    int statistics = 0;
    for (const auto& [name, tensor] : start.weights) {
        if (name.find(".running_") == std::string::npos) continue;
        for (std::size_t i = 0; i < tensor.values.size(); ++i, ++statistics)
            CHECK(after.at(name).values[i] ==
                  Approx(0.9F * tensor.values[i] + 0.1F * batch.at(name).values[i]).margin(1e-5));
    }
    CHECK(statistics > 100);
}

TEST_CASE("with a teacher, a step goes down the mixed loss", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(6);
    PrunedNetwork teacher = start;
    teacher.weights = network::testing::random_weights(teacher.network, 7);
    const auto wanted = logits(teacher.network, teacher.weights, images, {});
    for (const auto& [weight, device] : {std::pair{0.4, "cpu"}, {1.0, "cpu"}, {0.4, "reference"}}) {
        CAPTURE(weight, device);
        TrainingParameters parameters = one_plain_step;
        parameters.device = device;
        parameters.distillation = weight;
        parameters.distillation_temperature = 3.0;
        // The images of a batch come in another order, which changes no loss.
        check_step(
            start.weights, train(start, images, parameters, {}, teacher),
            [&, share = weight](const Weights& weights) {
                const ReferenceBatch batch =
                    reference_batch(start.network, weights, images, 0, images.count);
                return (1.0 - share) * reference_loss(batch, images, 0.0) +
                       share * reference_divergence(batch, wanted, 3.0);
            },
            1);
    }
}

TEST_CASE("a teacher that is missing or has other classes is refused", "[training]") {
    TrainingParameters parameters;
    parameters.distillation = 0.5;
    CHECK_THROWS_WITH(train(small_start(), small_images(), parameters, {}),
                      Contains("distillation is 0.5") && Contains("no teacher"));
    PrunedNetwork teacher{network::make_network({.name = "mobilenet_v1",
                                                 .width = 0.1,
                                                 .classes = 3,
                                                 .input_channels = 1,
                                                 .input_extent = {16, 16}}),
                          {}};
    teacher.weights = network::initial_weights(teacher.network, 1);
    CHECK_THROWS_WITH(train(small_start(), small_images(), parameters, {}, teacher),
                      Contains("has 2 classes") && Contains("3 outputs"));
}

TEST_CASE("every shard has its own batch statistics, and counts by its images", "[training]") {
    for (std::uint32_t seed = 0; seed < 12; ++seed) {
        CAPTURE(seed);
        const std::optional<Subject> subject = random_subject(seed, 13);
        if (!subject) continue;
        TrainingParameters parameters = one_plain_step;
        parameters.batch = 13; // shards of 6 and 7 images
        const auto training =
            make_training({subject->trained, subject->weights}, subject->images, parameters);
        REQUIRE(training->shards() == 2);
        take_steps(*training, 1, 1);
        const ImageData ordered = in_first_order(subject->images, parameters.seed);
        check_step(
            subject->weights, training->state().weights,
            [&](const Weights& weights) {
                const auto loss = [&](std::int64_t first, std::int64_t count) {
                    return reference_loss(subject->network, weights, slice(ordered, first, count),
                                          0.0);
                };
                return (6.0 * loss(0, 6) + 7.0 * loss(6, 7)) / 13.0;
            },
            seed);
    }
}

TEST_CASE("the weights do not depend on how shards are spread over threads and processes",
          "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(100);
    const TrainingParameters parameters{
        .epochs = 2.0, .batch = 32, .shard = 8, .distillation = 0.5};
    const auto trained = [&](std::size_t cut, int threads) {
        const auto training = make_training(start, images, parameters, start);
        take_steps(*training, cut, threads);
        return training->state().weights;
    };
    const Weights once = trained(4, 1);
    CHECK(equal(once, trained(4, 2)));
    CHECK(equal(once, trained(4, 9)));
    CHECK(equal(once, trained(1, 3)));
    CHECK(equal(once, trained(0, 1)));
    CHECK(equal(once, train(start, images, parameters, {}, start)));
    TrainingParameters whole = parameters;
    whole.shard = 32;
    CHECK_FALSE(equal(once, train(start, images, whole, {}, start)));
}

TEST_CASE("from its state a training goes on to the same bits", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(100);
    const TrainingParameters parameters{.epochs = 3.0, .batch = 16, .shard = 8};
    const auto whole = make_training(start, images, parameters);
    take_steps(*whole, 2, 1);
    for (const std::int64_t at : {0, 1, 8, 18}) {
        const auto first = make_training(start, images, parameters);
        take_steps(*first, 2, 1, at);
        const auto second = make_training(start, images, parameters);
        second->restore(first->state());
        CHECK(second->progress().step == at);
        take_steps(*second, 2, 1);
        CHECK(equal(whole->state().weights, second->state().weights));
        CHECK(equal(whole->state().velocity, second->state().velocity));
        CHECK(whole->progress().loss == second->progress().loss);
    }
    TrainingState state = whole->state();
    CHECK(state.velocity.size() > 10);
    state.velocity.erase(state.velocity.begin());
    CHECK_THROWS_WITH(whole->restore(state), Contains("velocity"));
    state = whole->state();
    state.progress.step = 1000;
    CHECK_THROWS_WITH(whole->restore(state), Contains("step 1000 of 18"));
    state = whole->state();
    state.weights.begin()->second.values.front() = NAN;
    CHECK_THROWS_WITH(whole->restore(state), Contains("training state: tensor") && Contains("nan"));
    state.weights.begin()->second.values.pop_back();
    CHECK_THROWS_AS(whole->restore(state), core::DataError);
}

TEST_CASE("classical momentum adds the velocity, Nesterov's looks ahead", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(6);
    // One step from rest at momentum µ: classical moves by the gradient, Nesterov by (1 + µ) times.
    const auto moved = [&](bool nesterov) {
        TrainingParameters parameters = one_plain_step;
        parameters.momentum = 0.5;
        parameters.nesterov = nesterov;
        return train(start, images, parameters, {});
    };
    const Weights classical = moved(false);
    const Weights ahead = moved(true);
    const auto& before = start.weights.at("classifier.weight").values;
    for (std::size_t i = 0; i < before.size(); ++i)
        CHECK(static_cast<double>(ahead.at("classifier.weight").values[i] - before[i]) ==
              Approx(1.5 *
                     static_cast<double>(classical.at("classifier.weight").values[i] - before[i]))
                  .margin(1e-6));
}

TEST_CASE("training learns, and its statistics serve inference", "[training]") {
    const PrunedNetwork start = small_start();
    const Weights weights =
        train(start, small_images(320), {.epochs = 12.0, .batch = 32, .learning_rate = 0.1}, {});
    CHECK(top1_accuracy(start.network, weights, small_images(200, 2), {}) > 0.9);
}

TEST_CASE("the weights depend on the seed, not on the run or the thread", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(100);
    const auto trained = [&](std::uint64_t seed) {
        return train(start, images, {.epochs = 2.0, .batch = 16, .seed = seed}, {});
    };
    const Weights once = trained(1);
    CHECK(equal(once, trained(1)));
    CHECK_FALSE(equal(once, trained(2)));
    std::vector<Weights> threads_results(2);
    std::vector<std::thread> threads;
    for (Weights& result : threads_results)
        threads.emplace_back([&] { result = trained(1); });
    for (std::thread& thread : threads)
        thread.join();
    CHECK(equal(once, threads_results[0]));
    CHECK(equal(once, threads_results[1]));
}

TEST_CASE("the observer sees every step and can stop", "[training]") {
    const PrunedNetwork start = small_start();
    const ImageData images = small_images(100);
    const TrainingParameters parameters{.epochs = 1.5, .batch = 16};
    std::vector<TrainingProgress> seen;
    const auto run = [&](std::int64_t stop) {
        seen.clear();
        return train(start, images, parameters, [&](const TrainingProgress& progress) {
            seen.push_back(progress);
            return progress.step != stop;
        });
    };
    const Weights whole = run(-1);
    REQUIRE(seen.size() == 9); // 100 images fill 6 batches of 16
    CHECK(seen.back().step == 9);
    CHECK(seen.back().steps == 9);
    CHECK(seen.back().loss > 0.0);
    CHECK(seen.back().train_accuracy >= 0.0);
    CHECK(seen.back().train_accuracy <= 1.0);
    const Weights part = run(2);
    CHECK(seen.size() == 2);
    CHECK_FALSE(equal(whole, part));
    CHECK_FALSE(equal(part, start.weights));
}

TEST_CASE("a loss that is not a number leaves the weights before it", "[training]") {
    const ImageData images = small_images();
    const auto training = make_training(small_start(), images, {.batch = 16, .shard = 16});
    take_steps(*training, 1, 1, 2);
    const TrainingState before = training->state();
    training->compute(0, 1, 1);
    const auto contribution = training->contributions();
    std::copy(contribution.begin(), contribution.end(), training->total().begin());
    training->total()[training->total().size() - 2] = NAN;
    CHECK_THROWS_WITH(training->apply(), Contains("the loss is nan in step 3 of 10"));
    CHECK(equal(training->state().weights, before.weights));
    CHECK(training->progress().step == 2);
}

TEST_CASE("a loss that is not a number stops with the step and the rate", "[training]") {
    // Every step multiplies the weights by about 1 - 100.
    CHECK_THROWS_WITH(train(small_start(), small_images(),
                            {.epochs = 10.0,
                             .batch = 16,
                             .learning_rate = 100.0,
                             .weight_decay = 1.0,
                             .warmup = 0.0},
                            {}),
                      Contains("diverged") && Contains("in step") && Contains("learning_rate"));
    CHECK_THROWS_WITH(train(small_start(), small_images(16),
                            {.epochs = 10.0,
                             .batch = 16,
                             .learning_rate = 100.0,
                             .weight_decay = 1.0,
                             .warmup = 0.0},
                            {}),
                      Contains("diverged"));
}
