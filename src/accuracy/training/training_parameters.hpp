#pragma once

#include "hdap/accuracy/training.hpp"

namespace hdap::accuracy {

/// Throws ConfigError for a number out of its range: names it, its value and the range.
void check_parameters(const TrainingParameters& parameters);

} // namespace hdap::accuracy
