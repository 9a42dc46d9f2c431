#pragma once

#include "hdap/network/graph.hpp"

#include <cstdint>
#include <vector>

namespace hdap::accuracy {

/// Operators that oneDNN lacks or defines in another way, in plain loops. Tensors are
/// [images][height][width][channels]; `from` and `to` are the shapes of input and output. None of
/// them may write to its input.

/// Channel by channel: input · factor + offset. May write to its input.
void scale_and_shift(const float* input, std::int64_t rows, const std::vector<float>& factor,
                     const std::vector<float>& offset, float* output);

/// Channels [first, first + to.channels).
void copy_channels(const float* input, std::int64_t rows, std::int64_t from_channels,
                   std::int64_t first, std::int64_t to_channels, float* output);

void shuffle_channels(const float* input, std::int64_t rows, std::int64_t channels,
                      std::int64_t groups, float* output);

void pad_with_zeros(const network::Node& node, const float* input, std::int64_t images,
                    const network::TensorShape& from, const network::TensorShape& to,
                    float* output);

void resize(const network::Node& node, const float* input, std::int64_t images,
            const network::TensorShape& from, const network::TensorShape& to, float* output);

/// To the order [channels][height][width] of PyTorch's flatten.
void flatten(const float* input, std::int64_t images, const network::TensorShape& from,
             float* output);

/// The mean over each window's pixels that are in the image or its padding.
void average_pool(const network::Node& node, const float* input, std::int64_t images,
                  const network::TensorShape& from, const network::TensorShape& to, float* output);

void softmax(const float* input, std::int64_t rows, std::int64_t channels, float* output);

/// Adds `value` ([images][height][width][channels], or smaller, repeated over the image or over the
/// channels) to `output`, or multiplies `output` by it.
void combine_into(network::Operator op, const float* value, const network::TensorShape& shape,
                  std::int64_t images, const network::TensorShape& to, float* output);

} // namespace hdap::accuracy
