#include "hdap/accuracy/input_check.hpp"

#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::accuracy {
namespace {

constexpr double z = 3.29; // both sides together: one in a thousand

/// So many of the images, evenly spread, as files may be sorted by class.
ImageData sample(const ImageData& images, std::int64_t count) {
    if (images.count <= count) return images;
    ImageData result = slice(images, 0, 1);
    result.count = count;
    result.pixels.clear();
    result.labels.clear();
    const std::int64_t size = images.channels * images.height * images.width;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t from = i * images.count / count;
        const auto pixels = images.pixels.begin() + from * size;
        result.pixels.insert(result.pixels.end(), pixels, pixels + size);
        result.labels.push_back(images.labels[static_cast<std::size_t>(from)]);
    }
    return result;
}

double chance_of(const ImageData& images) {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(images.classes));
    for (const std::int32_t label : images.labels)
        ++counts[static_cast<std::size_t>(label)];
    const std::int64_t commonest = *std::max_element(counts.begin(), counts.end());
    return commonest == images.count
               ? 1.0 / static_cast<double>(images.classes)
               : static_cast<double>(commonest) / static_cast<double>(images.count);
}

std::int64_t count_right(const network::Network& network, const network::Weights& weights,
                         const ImageData& images, const EvaluationParameters& parameters,
                         int threads) {
    const Metrics metrics = measure(network, weights, images, parameters, threads);
    return std::llround(metrics.top1 * static_cast<double>(images.count));
}

std::int64_t recalibrated_or_own(const InputCheck& check) {
    return check.right_recalibrated.value_or(check.right_own);
}

core::Interval interval(std::int64_t right, const InputCheck& check) {
    return core::wilson_interval(right, check.images, z);
}

std::string percent(std::int64_t right, const InputCheck& check) {
    return core::significant(100.0 * static_cast<double>(right) / static_cast<double>(check.images),
                             3) +
           " %";
}

constexpr const char* normalisation_settings =
    "data.mean, data.std, data.scale and data.channels (options --mean, --std, --scale, "
    "--channels)";

std::string far_apart_text(const InputCheck& check, const ImageData& images) {
    const std::int64_t recalibrated = recalibrated_or_own(check);
    const std::string found = fmt::format(
        "the network gets {} of {} images right with its own batch-norm statistics, but "
        "{} with statistics recomputed on images as it gets them",
        percent(check.right_own, check), check.images, percent(recalibrated, check));
    if (check.right_own > recalibrated)
        return found + ": the images that they were recomputed on are too few "
                       "(data.recalibration_images) or unlike these";
    return fmt::format("{}: it was trained on images with another normalisation or order of "
                       "channels than {}; tell it by {}",
                       found, network::described(normalisation_of(images)), normalisation_settings);
}

std::string chance_text(const InputCheck& check, const ImageData& images) {
    return fmt::format(
        "the network gets {} of {} images right{}, no better than chance ({} %). Likely "
        "causes: another normalisation or order of channels than {}: see {}; classes in another "
        "order than the network's outputs; wrong weights (network.weights)",
        percent(check.right_own, check), check.images,
        check.right_recalibrated ? fmt::format(", {} with recomputed batch-norm statistics",
                                               percent(*check.right_recalibrated, check))
                                 : "",
        core::significant(100.0 * check.chance, 3), network::described(normalisation_of(images)),
        normalisation_settings);
}

} // namespace

InputCheck check_input(const network::Network& network, const network::Weights& weights,
                       const ImageData& images, const ImageData& recalibration,
                       const EvaluationParameters& parameters, int threads) {
    const ImageData checked = sample(images, max_checked_images);
    InputCheck check{.images = checked.count,
                     .right_own = count_right(network, weights, checked, parameters, threads),
                     .right_recalibrated = std::nullopt,
                     .chance = chance_of(checked)};
    if (std::ranges::none_of(network.nodes, [](const network::Node& node) {
            return node.op == network::Operator::batch_norm;
        }))
        return check;
    const network::Weights recalibrated = recalibrate_batch_norm(
        network, weights,
        slice(recalibration, 0, std::min(recalibration.count, max_checked_statistics)), parameters);
    check.right_recalibrated = count_right(network, recalibrated, checked, parameters, threads);
    return check;
}

bool is_far_apart(const InputCheck& check) {
    const auto [worse, better] = std::minmax({check.right_own, recalibrated_or_own(check)});
    return interval(better, check).lower > interval(worse, check).upper + 0.05;
}

bool is_at_chance(const InputCheck& check) {
    const auto [lower, upper] =
        interval(std::max(check.right_own, recalibrated_or_own(check)), check);
    return lower <= check.chance + 0.01 && upper < 0.5 * (1.0 + check.chance);
}

std::string doubts(const InputCheck& check, const ImageData& images) {
    if (is_far_apart(check)) return far_apart_text(check, images);
    return is_at_chance(check) ? chance_text(check, images) : "";
}

} // namespace hdap::accuracy
