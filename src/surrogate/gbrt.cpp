#include "hdap/surrogate/gbrt.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>

#include <cmath>

namespace hdap::surrogate {

void check_parameters(const GbrtParameters& parameters) {
    const auto fail = [](const char* name, auto value, const char* range) {
        throw core::ConfigError(fmt::format("gbrt: {} is {}, expected {}", name, value, range));
    };
    if (parameters.trees < 1 || parameters.trees > 100'000)
        fail("trees", parameters.trees, "1 to 100000");
    if (parameters.depth < 1 || parameters.depth > 16) fail("depth", parameters.depth, "1 to 16");
    if (!(parameters.learning_rate > 0 && parameters.learning_rate <= 1))
        fail("learning_rate", parameters.learning_rate, "more than 0, at most 1");
    if (!(parameters.l2 >= 0 && std::isfinite(parameters.l2)))
        fail("l2", parameters.l2, "0 or more");
}

std::vector<core::Setting> settings_of(GbrtParameters& parameters) {
    constexpr auto shapes = core::Outputs::surrogates;
    return {
        core::integer("trees", parameters.trees, {1, 100'000}, "Trees of a forest", shapes),
        core::integer("depth", parameters.depth, {1, 16}, "Comparisons on a tree's path", shapes),
        core::real("learning_rate", parameters.learning_rate, {0.0, 1.0, true},
                   "Shrinkage of each tree", shapes),
        core::real("l2", parameters.l2, {0.0, 1e6}, "L2 penalty on the leaves", shapes)};
}

} // namespace hdap::surrogate
