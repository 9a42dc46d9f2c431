#pragma once

#include <cstddef>

namespace hdap::fleet {

/// Squared distances from one point to many, compiled for several processors. All give the same
/// bits: those of squared_distance. The many lie dimension by dimension: coordinate d of point i is
/// rows[d · stride + i]. The stride is a multiple of `lanes`; what lies behind the points is read,
/// too.
struct PointKernels {
    static constexpr std::size_t lanes = 8;

    /// How many of `count` points have a squared distance of at most `squared_radius`.
    std::size_t (*count_within)(const double* rows, std::size_t stride, std::size_t dimension,
                                std::size_t count, const double* query, double squared_radius);
    /// Writes `count` squared distances, rounded up to a multiple of `lanes`.
    void (*distances)(const double* rows, std::size_t stride, std::size_t dimension,
                      std::size_t count, const double* query, double* squared);
};

/// Those that this processor can run, the slowest first.
struct PointKernelsSet {
    const PointKernels* kernels[3];
    std::size_t count;
};
PointKernelsSet all_point_kernels();

/// The fastest of them.
const PointKernels& point_kernels();

} // namespace hdap::fleet
