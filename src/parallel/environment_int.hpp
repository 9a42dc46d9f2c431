#pragma once

#include <optional>

namespace hdap::parallel {

/// The number, at least 1, that an environment variable begins with: OMP_NUM_THREADS may be a list,
/// "4,2", whose first number counts here. Nothing when there is none.
std::optional<int> environment_int(const char* name);

} // namespace hdap::parallel
