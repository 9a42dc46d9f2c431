#pragma once

// A vector of HDAP_LANES floats. Files that include this are compiled for different processors:
// nothing here may come from the standard library's templates, or the linker could give one
// processor another one's code.
#include <cstddef>
#include <cstdint>

namespace hdap::accuracy {
namespace {

constexpr std::int64_t lanes = HDAP_LANES;

typedef float Vector __attribute__((vector_size(lanes * 4)));
typedef std::int32_t IntVector __attribute__((vector_size(lanes * 4)));

inline const Vector& load(const float* values) {
    return *reinterpret_cast<const Vector*>(values);
}
inline Vector& at(float* values) {
    return *reinterpret_cast<Vector*>(values);
}
inline Vector all(float value) {
    return value - Vector{};
}
/// Written so that not-a-number stays.
inline Vector clamped(Vector x, Vector low, Vector high) {
    x = low > x ? low : x;
    return high < x ? high : x;
}

} // namespace
} // namespace hdap::accuracy
