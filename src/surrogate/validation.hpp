#pragma once

#include <cstdint>

namespace hdap::surrogate {

/// Throws ConfigError for a cross-validation of 1 fold or fewer than 0, and for `threads` < 0.
void check_folds_and_threads(std::int64_t folds, int threads);

} // namespace hdap::surrogate
