#include "block_kernel.hpp"

#if HDAP_X86_KERNELS

#pragma GCC target("avx2")

namespace hdap::surrogate {
namespace {
constexpr std::size_t vector_bytes = 32;
}
} // namespace hdap::surrogate

#include "block_kernel_body.hpp"

const hdap::surrogate::BlockKernels* const hdap::surrogate::avx2_kernels = &kernels;

#else

const hdap::surrogate::BlockKernels* const hdap::surrogate::avx2_kernels = nullptr;

#endif
