#include "training_parameters.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

namespace hdap::accuracy {
namespace {

void check_range(const char* name, double value, double low, double high, bool low_allowed,
                 bool high_allowed) {
    const bool inside =
        (low_allowed ? value >= low : value > low) && (high_allowed ? value <= high : value < high);
    if (!inside)
        throw core::ConfigError(fmt::format("training: {} is {}, must be in {}{}, {}{}", name,
                                            core::shortest(value), low_allowed ? "[" : "(",
                                            core::shortest(low), core::shortest(high),
                                            high_allowed ? "]" : ")"));
}

} // namespace

void check_parameters(const TrainingParameters& parameters) {
    check_range("epochs", parameters.epochs, 0.0, 10'000.0, false, true);
    check_range("batch", static_cast<double>(parameters.batch), 2.0, 65'536.0, true, true);
    check_range("shard", static_cast<double>(parameters.shard), 2.0, 65'536.0, true, true);
    check_range("learning_rate", parameters.learning_rate, 0.0, 100.0, false, true);
    check_range("momentum", parameters.momentum, 0.0, 1.0, true, false);
    check_range("weight_decay", parameters.weight_decay, 0.0, 1.0, true, true);
    check_range("warmup", parameters.warmup, 0.0, 0.5, true, true);
    check_range("label_smoothing", parameters.label_smoothing, 0.0, 0.5, true, true);
    check_range("distillation", parameters.distillation, 0.0, 1.0, true, true);
    check_range("distillation_temperature", parameters.distillation_temperature, 0.0, 100.0, false,
                true);
    check_range("crop_padding", parameters.crop_padding, 0.0, 0.5, true, true);
}

const std::vector<std::string>& training_devices() {
    static const std::vector<std::string> names{"auto", "cpu", "cuda", "reference"};
    return names;
}

std::vector<core::Setting> settings_of(TrainingParameters& parameters) {
    constexpr auto shapes = core::Outputs::networks;
    return {
        core::real("epochs", parameters.epochs, {0.0, 10'000.0, true}, "Passes over the images",
                   shapes),
        core::integer("batch", parameters.batch, {2, 65'536}, "Images per step", shapes),
        core::integer("shard", parameters.shard, {2, 65'536},
                      "At least so many images are a shard, which one thread computes and batch "
                      "norms see together; a smaller batch is one shard",
                      shapes),
        core::real("learning_rate", parameters.learning_rate, {0.0, 100.0, true}, "At its peak",
                   shapes),
        core::text("schedule", parameters.schedule, learning_rate_schedules(),
                   "How the rate falls; step: to a tenth at half and at three quarters", shapes),
        core::real("momentum", parameters.momentum, {0.0, 0.9999}, "Of the gradients", shapes),
        core::boolean("nesterov", parameters.nesterov, "Nesterov's momentum, or the classical one",
                      shapes),
        core::real("weight_decay", parameters.weight_decay, {0.0, 1.0},
                   "On weights, not on batch norm", shapes),
        core::real("warmup", parameters.warmup, {0.0, 0.5}, "Share of the steps with a rising rate",
                   shapes),
        core::real("label_smoothing", parameters.label_smoothing, {0.0, 0.5}, "Label smoothing",
                   shapes),
        core::real("distillation", parameters.distillation, {0.0, 1.0},
                   "Weight of imitating the teacher, beside the labels", shapes),
        core::real("distillation_temperature", parameters.distillation_temperature,
                   {0.0, 100.0, true}, "Of both networks' softmax", shapes),
        core::text("device", parameters.device, training_devices(),
                   "auto: a GPU where LibTorch finds one; reference: LibTorch's own kernels, "
                   "slower",
                   shapes),
        core::boolean("augment", parameters.augment, "Random flips and padded crops", shapes),
        core::real("crop_padding", parameters.crop_padding, {0.0, 0.5},
                   "How far crops reach beyond the image, as a share of its height; 0: flips only",
                   shapes)};
}

} // namespace hdap::accuracy
