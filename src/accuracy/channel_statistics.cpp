#include "channel_statistics.hpp"

#include <algorithm>

namespace hdap::accuracy {

ChannelStatistics channel_statistics(const float* values, std::int64_t rows,
                                     std::int64_t channels) {
    constexpr std::int64_t block = 64;
    const auto size = static_cast<std::size_t>(channels);
    // Relative to the first row, so that a mean far from zero does not drown the variance.
    const std::vector<float> origin(values, values + channels);
    std::vector<double> sum(size, 0.0);
    std::vector<double> squares(size, 0.0);
    std::vector<float> block_sum(size);
    std::vector<float> block_squares(size);
    for (std::int64_t first = 0; first < rows; first += block) {
        std::fill(block_sum.begin(), block_sum.end(), 0.0F);
        std::fill(block_squares.begin(), block_squares.end(), 0.0F);
        const float* row = values + first * channels;
        for (std::int64_t r = first; r < std::min(rows, first + block); ++r, row += channels)
            for (std::size_t c = 0; c < size; ++c) {
                const float value = row[c] - origin[c];
                block_sum[c] += value;
                block_squares[c] += value * value;
            }
        for (std::size_t c = 0; c < size; ++c) {
            sum[c] += static_cast<double>(block_sum[c]);
            squares[c] += static_cast<double>(block_squares[c]);
        }
    }
    ChannelStatistics result{std::vector<double>(size), std::vector<double>(size)};
    for (std::size_t c = 0; c < size; ++c) {
        const double mean = sum[c] / static_cast<double>(rows);
        result.mean[c] = mean + static_cast<double>(origin[c]);
        result.variance[c] = std::max(0.0, squares[c] / static_cast<double>(rows) - mean * mean);
    }
    return result;
}

void scale_channels(float* values, std::int64_t rows, const std::vector<float>& factor,
                    const std::vector<float>& offset) {
    const std::size_t channels = factor.size();
    for (std::int64_t r = 0; r < rows; ++r, values += channels)
        for (std::size_t c = 0; c < channels; ++c)
            values[c] = values[c] * factor[c] + offset[c];
}

} // namespace hdap::accuracy
