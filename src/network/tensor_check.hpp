#pragma once

#include "hdap/network/weights.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::network {

/// "[64, 3, 7, 7]"
std::string shape_text(const std::vector<std::int64_t>& shape);

/// Throws DataError when the values of `tensor`, named `name`, do not fill its shape.
void check_filled(const std::string& name, const Tensor& tensor);

} // namespace hdap::network
