#include "surrogate/validation.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

namespace hdap::surrogate {

void check_folds_and_threads(std::int64_t folds, int threads) {
    if (folds < 2 && folds != 0)
        throw core::ConfigError(
            fmt::format("cross-validation needs at least 2 folds, not {}", folds));
    if (threads < 0)
        throw core::ConfigError(
            fmt::format("threads must be 0 (OpenMP's default) or more, not {}", threads));
}

} // namespace hdap::surrogate
