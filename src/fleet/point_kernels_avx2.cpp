#if defined(__x86_64__)
#define HDAP_VECTOR_BYTES 32
#include "point_kernels_body.hpp"

const PointKernels& avx2_point_kernels() {
    return kernels;
}

} // namespace hdap::fleet
#endif
