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

/// output[r][c] = values[r][c]·factor[c] + offset[c]; both have as many entries as channels.
/// `output` may be `values`.
void scale_channels(const float* values, std::int64_t rows, const std::vector<float>& factor,
                    const std::vector<float>& offset, float* output);

/// Per channel, what the gradient of a batch norm needs of the gradient g of its output and of its
/// input x.
struct GradientSums {
    std::vector<double> gradient; ///< Σ g
    std::vector<double> product;  ///< Σ g·(x − mean)
};

/// Of `gradient` and `input`, both [rows][channels]; `mean` per channel.
GradientSums gradient_sums(const float* gradient, const float* input, std::int64_t rows,
                           const std::vector<double>& mean);

/// The gradient of a batch norm's input (Ioffe and Szegedy, ICML 2015, section 3):
/// output[r][c] = factor·(g − Σg/n − (x − mean)·Σ(g·(x − mean))/(n·(variance + epsilon))), where
/// factor = weight/√(variance + epsilon), per channel.
void batch_norm_gradient(const float* gradient, const float* input, std::int64_t rows,
                         const ChannelStatistics& statistics, double epsilon,
                         const GradientSums& sums, const float* weight, float* output);

} // namespace hdap::accuracy
