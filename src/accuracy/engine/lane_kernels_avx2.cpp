#if defined(__x86_64__)
#define HDAP_LANES 8
#define HDAP_CHANNEL_TILE 4
#define HDAP_PIXEL_TILE 3
#include "lane_kernels_body.hpp"

const LaneKernels& avx2_lane_kernels() {
    return kernels;
}

} // namespace hdap::accuracy
#endif
