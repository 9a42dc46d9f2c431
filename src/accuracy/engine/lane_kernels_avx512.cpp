#if defined(__x86_64__)
#define HDAP_LANES 16
#define HDAP_CHANNEL_TILE 6
#define HDAP_PIXEL_TILE 4
#include "lane_kernels_body.hpp"

const LaneKernels& avx512_lane_kernels() {
    return kernels;
}

} // namespace hdap::accuracy
#endif
