#include "lane_kernels.hpp"

namespace hdap::accuracy {

const LaneKernels& portable_lane_kernels();
#if defined(__x86_64__)
const LaneKernels& avx2_lane_kernels();
const LaneKernels& avx512_lane_kernels();
const LaneKernels& avx512_bf16_lane_kernels();

namespace {

bool has_avx512() {
    return __builtin_cpu_supports("fma") && __builtin_cpu_supports("avx512f") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

} // namespace
#endif

LaneKernelSet all_lane_kernels() {
    LaneKernelSet set{{&portable_lane_kernels(), nullptr, nullptr}, 1};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("fma") && __builtin_cpu_supports("avx2"))
        set.kernels[set.count++] = &avx2_lane_kernels();
    if (has_avx512()) set.kernels[set.count++] = &avx512_lane_kernels();
#endif
    return set;
}

const LaneKernels& lane_kernels() {
    const LaneKernelSet set = all_lane_kernels();
    return *set.kernels[set.count - 1];
}

const LaneKernels* bfloat16_lane_kernels() {
#if defined(__x86_64__)
    if (has_avx512() && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16"))
        return &avx512_bf16_lane_kernels();
#endif
    return nullptr;
}

} // namespace hdap::accuracy
