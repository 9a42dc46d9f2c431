#include "fleet/point_kernels.hpp"

namespace hdap::fleet {

const PointKernels& portable_point_kernels();
#if defined(__x86_64__)
const PointKernels& avx2_point_kernels();
const PointKernels& avx512_point_kernels();
#endif

PointKernelsSet all_point_kernels() {
    PointKernelsSet set{{&portable_point_kernels(), nullptr, nullptr}, 1};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) set.kernels[set.count++] = &avx2_point_kernels();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        set.kernels[set.count++] = &avx512_point_kernels();
#endif
    return set;
}

const PointKernels& point_kernels() {
    static const PointKernelsSet set = all_point_kernels();
    return *set.kernels[set.count - 1];
}

} // namespace hdap::fleet
