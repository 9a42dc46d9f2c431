#pragma once

#include "hdap/accuracy/training.hpp"

#include <cstdint>

namespace hdap::accuracy {

/// How many steps a training has, and the learning rate of each: a linear warm-up, then what
/// TrainingParameters::schedule says.
class LearningRate {
  public:
    /// Throws ConfigError for an unknown schedule.
    LearningRate(const TrainingParameters& parameters, std::int64_t steps_per_epoch);

    [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }

    /// `step` counts from 0.
    [[nodiscard]] double at(std::int64_t step) const;

  private:
    double (*factor_)(double done); ///< of the peak, by the share of the steps after warm-up
    double peak_;
    std::int64_t steps_;
    std::int64_t warmup_; ///< steps
};

} // namespace hdap::accuracy
