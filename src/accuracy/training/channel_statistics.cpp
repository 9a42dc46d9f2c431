#include "channel_statistics.hpp"

#include <algorithm>
#include <cmath>

namespace hdap::accuracy {

namespace {

/// Adds term_a(r, c) and term_b(r, c) over all rows, per channel: blocks in float, their sums in
/// double, always in the same order.
template <class Terms>
void sum_rows(std::int64_t rows, std::vector<double>& sum_a, std::vector<double>& sum_b,
              const Terms& terms) {
    constexpr std::int64_t block = 64;
    const std::size_t channels = sum_a.size();
    std::vector<float> block_a(channels);
    std::vector<float> block_b(channels);
    for (std::int64_t first = 0; first < rows; first += block) {
        std::fill(block_a.begin(), block_a.end(), 0.0F);
        std::fill(block_b.begin(), block_b.end(), 0.0F);
        for (std::int64_t r = first; r < std::min(rows, first + block); ++r)
            terms(r, block_a.data(), block_b.data());
        for (std::size_t c = 0; c < channels; ++c) {
            sum_a[c] += static_cast<double>(block_a[c]);
            sum_b[c] += static_cast<double>(block_b[c]);
        }
    }
}

} // namespace

ChannelStatistics channel_statistics(const float* values, std::int64_t rows,
                                     std::int64_t channels) {
    const auto size = static_cast<std::size_t>(channels);
    // Relative to the first row, so that a mean far from zero does not drown the variance.
    const std::vector<float> first_row(values, values + channels);
    const float* const origin = first_row.data();
    std::vector<double> sum(size, 0.0);
    std::vector<double> squares(size, 0.0);
    sum_rows(rows, sum, squares, [=](std::int64_t r, float* block_sum, float* block_squares) {
        const float* const row = values + r * channels;
        for (std::int64_t c = 0; c < channels; ++c) {
            const float value = row[c] - origin[c];
            block_sum[c] += value;
            block_squares[c] += value * value;
        }
    });
    ChannelStatistics result{std::vector<double>(size), std::vector<double>(size)};
    for (std::size_t c = 0; c < size; ++c) {
        const double mean = sum[c] / static_cast<double>(rows);
        result.mean[c] = mean + static_cast<double>(origin[c]);
        result.variance[c] = std::max(0.0, squares[c] / static_cast<double>(rows) - mean * mean);
    }
    return result;
}

void scale_channels(const float* values, std::int64_t rows, const std::vector<float>& factor,
                    const std::vector<float>& offset, float* output) {
    const std::size_t channels = factor.size();
    const float* const factors = factor.data();
    const float* const offsets = offset.data();
    for (std::int64_t r = 0; r < rows; ++r, values += channels, output += channels)
        for (std::size_t c = 0; c < channels; ++c)
            output[c] = values[c] * factors[c] + offsets[c];
}

GradientSums gradient_sums(const float* gradient, const float* input, std::int64_t rows,
                           const std::vector<double>& mean) {
    const auto channels = static_cast<std::int64_t>(mean.size());
    const std::vector<float> float_mean(mean.begin(), mean.end());
    const float* const means = float_mean.data();
    GradientSums sums{std::vector<double>(mean.size(), 0.0), std::vector<double>(mean.size(), 0.0)};
    sum_rows(rows, sums.gradient, sums.product,
             [=](std::int64_t r, float* block_gradient, float* block_product) {
                 const float* const g = gradient + r * channels;
                 const float* const x = input + r * channels;
                 for (std::int64_t c = 0; c < channels; ++c) {
                     block_gradient[c] += g[c];
                     block_product[c] += g[c] * (x[c] - means[c]);
                 }
             });
    return sums;
}

void batch_norm_gradient(const float* gradient, const float* input, std::int64_t rows,
                         const ChannelStatistics& statistics, double epsilon,
                         const GradientSums& sums, const float* weight, float* output) {
    const auto n = static_cast<double>(rows);
    const std::size_t channels = statistics.mean.size();
    std::vector<float> of_gradient(channels);
    std::vector<float> of_input(channels);
    std::vector<float> constant(channels);
    for (std::size_t c = 0; c < channels; ++c) {
        const double variance = statistics.variance[c] + epsilon;
        const double factor = static_cast<double>(weight[c]) / std::sqrt(variance);
        const double slope = factor * sums.product[c] / (n * variance);
        of_gradient[c] = static_cast<float>(factor);
        of_input[c] = static_cast<float>(-slope);
        constant[c] =
            static_cast<float>(slope * statistics.mean[c] - factor * sums.gradient[c] / n);
    }
    const float* const a = of_gradient.data();
    const float* const b = of_input.data();
    const float* const d = constant.data();
    for (std::int64_t r = 0; r < rows; ++r) {
        for (std::size_t c = 0; c < channels; ++c)
            output[c] = a[c] * gradient[c] + (b[c] * input[c] + d[c]);
        gradient += channels;
        input += channels;
        output += channels;
    }
}

} // namespace hdap::accuracy
