#include "learning_rate.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace hdap::accuracy {
namespace {

double cosine(double done) {
    return 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}
double linear(double done) {
    return 1.0 - done;
}
double step(double done) {
    if (done < 0.5) return 1.0;
    return done < 0.75 ? 0.1 : 0.01;
}
double constant(double) {
    return 1.0;
}

constexpr std::array<std::pair<const char*, double (*)(double)>, 4> schedules{
    {{"cosine", cosine}, {"linear", linear}, {"step", step}, {"constant", constant}}};

auto schedule_of(const std::string& name) {
    for (const auto& [known, factor] : schedules)
        if (name == known) return factor;
    throw core::ConfigError(fmt::format("unknown learning-rate schedule '{}'; known: {}", name,
                                        core::join(learning_rate_schedules())));
}

} // namespace

const std::vector<std::string>& learning_rate_schedules() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> result;
        for (const auto& [name, factor] : schedules)
            result.emplace_back(name);
        return result;
    }();
    return names;
}

LearningRate::LearningRate(const TrainingParameters& parameters, std::int64_t steps_per_epoch)
    : factor_(schedule_of(parameters.schedule)), peak_(parameters.learning_rate),
      steps_(std::max<std::int64_t>(
          1, std::llround(parameters.epochs * static_cast<double>(steps_per_epoch)))),
      warmup_(std::llround(parameters.warmup * static_cast<double>(steps_))) {}

double LearningRate::at(std::int64_t step) const {
    if (step < warmup_)
        return peak_ * static_cast<double>(step + 1) / static_cast<double>(warmup_ + 1);
    return peak_ *
           factor_(static_cast<double>(step - warmup_) / static_cast<double>(steps_ - warmup_));
}

} // namespace hdap::accuracy
