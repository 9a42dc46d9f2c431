#include "block_kernel.hpp"

#if HDAP_X86_KERNELS

#pragma GCC target("avx512f,avx512bw,prefer-vector-width=512")

namespace hdap::surrogate {
namespace {
constexpr std::size_t vector_bytes = 64;
}
} // namespace hdap::surrogate

#include "block_kernel_body.hpp"

const hdap::surrogate::BlockKernels* const hdap::surrogate::avx512_kernels = &kernels;

#else

const hdap::surrogate::BlockKernels* const hdap::surrogate::avx512_kernels = nullptr;

#endif
