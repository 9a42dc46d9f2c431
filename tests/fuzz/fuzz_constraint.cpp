#include "hdap/core/error.hpp"
#include "hdap/search/metrics.hpp"

#include <cmath>
#include <string>

/// Whatever the text, it is a constraint with a finite positive bound, or a ConfigError.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const auto constraint =
            hdap::search::parse_constraint(std::string(reinterpret_cast<const char*>(data), size));
        if (!std::isfinite(constraint.bound) || constraint.bound <= 0.0) __builtin_trap();
    } catch (const hdap::core::ConfigError&) {
        return 0;
    }
    return 0;
}
