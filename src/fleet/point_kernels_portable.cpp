#define HDAP_VECTOR_BYTES 16
#include "point_kernels_body.hpp"

const PointKernels& portable_point_kernels() {
    return kernels;
}

} // namespace hdap::fleet
