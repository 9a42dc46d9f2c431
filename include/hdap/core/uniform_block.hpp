#pragma once

#include "hdap/core/random.hpp"

#include <cstdint>
#include <span>

namespace hdap::core {

/// Fills `values` with what as many calls of RandomStream(seed, stream, a, b).uniform() give, to
/// the bit. Faster, as the blocks of the stream are made side by side.
void fill_uniform(std::uint64_t seed, StreamId stream, std::uint32_t a, std::uint32_t b,
                  std::span<double> values) noexcept;

} // namespace hdap::core
