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

} // namespace hdap::accuracy
