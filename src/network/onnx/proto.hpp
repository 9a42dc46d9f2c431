#pragma once

#include <bit>
#include <onnx/onnx_pb.h>

namespace hdap::network {

/// ONNX stores raw values with the lowest byte first, and we copy them as they are.
static_assert(std::endian::native == std::endian::little);

/// No protobuf message may be larger: its lengths are signed 32-bit numbers.
inline constexpr std::size_t max_onnx_bytes = 0x7fffffff;

} // namespace hdap::network
