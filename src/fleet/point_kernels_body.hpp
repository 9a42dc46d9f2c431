// point_kernels.hpp for vectors of HDAP_VECTOR_BYTES. Files that include this are compiled for
// different processors: nothing here may come from the standard library's templates, or the linker
// could give one processor another one's code.
#include "fleet/point_kernels.hpp"

#include <cstdint>

namespace hdap::fleet {
namespace {

typedef double Vector __attribute__((vector_size(HDAP_VECTOR_BYTES)));
typedef std::int64_t Count __attribute__((vector_size(HDAP_VECTOR_BYTES)));

constexpr std::size_t vector_lanes = HDAP_VECTOR_BYTES / sizeof(double);
constexpr std::size_t parts = PointKernels::lanes / vector_lanes;

/// The squared distances to `lanes` points, summed in the order of the dimensions.
struct Squared {
    Vector part[parts];
};

inline Squared squared_distances(const double* rows, std::size_t stride, std::size_t dimension,
                                 const double* query) {
    Squared sum{};
    for (std::size_t d = 0; d < dimension; ++d, rows += stride)
#pragma GCC unroll 4
        for (std::size_t p = 0; p < parts; ++p) {
            Vector row;
            __builtin_memcpy(&row, rows + p * vector_lanes, sizeof row);
            const Vector difference = query[d] - row;
            sum.part[p] += difference * difference;
        }
    return sum;
}

std::size_t count_within(const double* rows, std::size_t stride, std::size_t dimension,
                         std::size_t count, const double* query, double squared_radius) {
    Count found{};
    Count place[parts];
    for (std::size_t i = 0; i < PointKernels::lanes; ++i)
        place[i / vector_lanes][i % vector_lanes] = static_cast<std::int64_t>(i);
    for (std::size_t first = 0; first < count; first += PointKernels::lanes) {
        const Squared squared = squared_distances(rows + first, stride, dimension, query);
        const auto left = static_cast<std::int64_t>(count - first);
#pragma GCC unroll 4
        for (std::size_t p = 0; p < parts; ++p) // what holds is -1
            found -= (squared.part[p] <= squared_radius) & (place[p] < left);
    }
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < vector_lanes; ++i)
        sum += found[i];
    return static_cast<std::size_t>(sum);
}

void distances(const double* rows, std::size_t stride, std::size_t dimension, std::size_t count,
               const double* query, double* squared) {
    for (std::size_t first = 0; first < count; first += PointKernels::lanes) {
        const Squared sum = squared_distances(rows + first, stride, dimension, query);
        __builtin_memcpy(squared + first, sum.part, sizeof sum.part);
    }
}

constexpr PointKernels kernels{count_within, distances};

} // namespace
