#pragma once

#include <cstdint>
#include <vector>

namespace hdap::accuracy {

/// Mean and biased variance of every channel.
struct ChannelStatistics {
    std::vector<double> mean;
    std::vector<double> variance;
};

/// Of `values`, [rows][channels], rows ≥ 1. Sums of 64 rows in float, these in double: as exact as
/// double for the purpose, at the speed of float.
ChannelStatistics channel_statistics(const float* values, std::int64_t rows, std::int64_t channels);

/// values[r][c] ← values[r][c]·factor[c] + offset[c]; both have as many entries as channels.
void scale_channels(float* values, std::int64_t rows, const std::vector<float>& factor,
                    const std::vector<float>& offset);

} // namespace hdap::accuracy
