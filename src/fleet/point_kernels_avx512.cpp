#if defined(__x86_64__)
#define HDAP_VECTOR_BYTES 64
#include "point_kernels_body.hpp"

const PointKernels& avx512_point_kernels() {
    return kernels;
}

} // namespace hdap::fleet
#endif
