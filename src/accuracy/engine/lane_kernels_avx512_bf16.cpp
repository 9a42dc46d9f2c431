#if defined(__x86_64__)
#define HDAP_LANES 16
#define HDAP_CHANNEL_TILE 6
#define HDAP_PIXEL_TILE 4
#include "lane_convolution.hpp"

#include <immintrin.h>

namespace hdap::accuracy {

const LaneKernels& avx512_lane_kernels();

namespace {

struct BFloat16Products {
    static constexpr std::int64_t channels = 2;

    static Vector word(const float* first, const float* second) {
        const Vector upper = second ? load(second) : Vector{};
        const __m512bh halves = _mm512_cvtne2ps_pbh(upper, load(first));
        const __m512i interleaved =
            _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                             22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
        return __builtin_bit_cast(
            Vector, _mm512_permutexvar_epi16(interleaved, __builtin_bit_cast(__m512i, halves)));
    }

    static Vector repeat(const float* weight) { return _mm512_set1_ps(*weight); }

    static Vector multiply_add(Vector sum, Vector weight, Vector input) {
        return _mm512_dpbf16_ps(sum, __builtin_bit_cast(__m512bh, weight),
                                __builtin_bit_cast(__m512bh, input));
    }
};

} // namespace

const LaneKernels& avx512_bf16_lane_kernels() {
    static const LaneKernels kernels = [] {
        LaneKernels result = avx512_lane_kernels();
        result.packed_channels = 2;
        result.pack = pack<BFloat16Products>;
        result.convolve = convolve<BFloat16Products>;
        return result;
    }();
    return kernels;
}

} // namespace hdap::accuracy
#endif
