#pragma once

#include "hdap/network/weights.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hdap::network {

/// "[64, 3, 7, 7]"
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Throws DataError when the values of `tensor`, named `name`, do not fill its shape.
void check_filled(const std::string& name, const Tensor& tensor);

/// What values may be.
enum class Values { finite, finite_and_not_negative };

/// Throws DataError, naming the tensor, the first wrong value and its channel (of `channels`, the
/// slowest dimension), unless all are as `wanted`.
void check_values(const std::string& name, std::int64_t channels, std::span<const float> values,
                  Values wanted = Values::finite);

} // namespace hdap::network
