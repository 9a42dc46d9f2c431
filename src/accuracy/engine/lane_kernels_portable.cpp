#define HDAP_LANES 4
#define HDAP_CHANNEL_TILE 4
#define HDAP_PIXEL_TILE 2
#include "lane_kernels_body.hpp"

const LaneKernels& portable_lane_kernels() {
    return kernels;
}

} // namespace hdap::accuracy
