#include "commands.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/accuracy/input_check.hpp"
#include "hdap/core/log.hpp"
#include "hdap/core/text.hpp"
#include "network_source.hpp"
#include "print_document.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <thread>

namespace hdap::cli {
namespace {

using core::ExitCode;
using nlohmann::ordered_json;

struct EvalOptions {
    SourceOptions network;
    std::string data;
    std::string split = "test";
    std::int64_t images = 0;
    accuracy::EvaluationParameters evaluation;
    int threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    bool json = false;
};

/// The images that `eval` takes; for a network of the zoo they say what it takes.
accuracy::ImageData read_images(const EvalOptions& options) {
    const auto file = open_images(options.data);
    const std::int64_t count = accuracy::count_images(file, options.split);
    if (options.images > count)
        throw core::UsageError(fmt::format("--images {}: split '{}' of {} has {}", options.images,
                                           options.split, options.data, count));
    return accuracy::read_images(file, options.split, 0,
                                 options.images == 0 ? count : options.images);
}

/// Tells when the network hardly gets the images that it was trained for.
void warn_of_other_images(const EvalOptions& options, const network::PrunedNetwork& network,
                          const accuracy::ImageData& images, double accuracy) {
    // Of two accuracies none is far apart from such a one.
    constexpr double good = 0.9;
    if (images.count < 2 || accuracy > good) return;
    const accuracy::InputCheck check = accuracy::check_input(
        network.network, network.weights, images, images, options.evaluation, options.threads);
    // Statistics that are recomputed on too few images are nobody's concern here.
    if (accuracy::is_far_apart(check) && check.right_own > check.right_recalibrated) return;
    const std::string doubts = accuracy::doubts(check, images);
    if (!doubts.empty()) core::Log({}).warning(doubts);
}

ExitCode evaluate(EvalOptions options) {
    accuracy::ImageData images = read_images(options);
    const auto [network, normalisation] = load_for(images, options.data, options.network);
    const auto start = std::chrono::steady_clock::now();
    const accuracy::Metrics metrics = accuracy::measure(network.network, network.weights, images,
                                                        options.evaluation, options.threads);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (!std::isfinite(metrics.loss))
        throw core::DataError(fmt::format("{}: what it computes of the {} images of {} is not "
                                          "finite; are they normalised as in its training?",
                                          network.network.name, options.split, options.data));
    const double rate = static_cast<double>(metrics.images) / taken.count();
    const bool five = images.classes > 5; // else the right one is always among them
    warn_of_other_images(options, network, images, metrics.top1);
    if (options.json) {
        print_document({{"network", network.network.name},
                        {"data", options.data},
                        {"split", options.split},
                        {"images", metrics.images},
                        {"precision", options.evaluation.precision},
                        {"top1", metrics.top1},
                        {"top5", five ? ordered_json(metrics.top5) : nullptr},
                        {"loss", metrics.loss},
                        {"images_per_s", rate}});
        return ExitCode::complete;
    }
    const std::string top5 =
        five ? fmt::format("top-5 {:.2f} %, ", 100.0 * metrics.top5) : std::string();
    std::printf("%s on %s of %s: top-1 %.2f %%, %sloss %s, %s images/s\n",
                network.network.name.c_str(),
                core::counted(metrics.images, options.split + " image").c_str(),
                options.data.c_str(), 100.0 * metrics.top1, top5.c_str(),
                core::significant(metrics.loss).c_str(), core::significant(rate, 3).c_str());
    return ExitCode::complete;
}

} // namespace

void add_network_eval_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<EvalOptions>();
    CLI::App* command = add_command(
        group, "eval", "Accuracy of a network on packed images.",
        "hdap network eval resnet20 --weights resnet20.h5 --data cifar10.h5 --split test");
    add_source_options(*command, options->network, true);
    command->add_option("--data", options->data, "Packed images (hdap data pack)")->required();
    command->add_option("--split", options->split, "Split of the packed images")
        ->capture_default_str();
    command->add_option("--images", options->images, "Only the first so many; 0: all")
        ->check(CLI::Range(0, 1'000'000'000))
        ->capture_default_str();
    command->add_option("--batch", options->evaluation.batch, "Images a forward pass")
        ->capture_default_str();
    command
        ->add_option("--precision", options->evaluation.precision,
                     "Of the layers' products: float32 or bfloat16")
        ->check(CLI::IsMember(accuracy::evaluation_precisions()))
        ->capture_default_str();
    command->add_option("--threads", options->threads, "Threads")->capture_default_str();
    command->add_flag("--json", options->json, "Print JSON");
    command->callback(
        [options, &action] { action = [options](Arguments) { return evaluate(*options); }; });
}

} // namespace hdap::cli
