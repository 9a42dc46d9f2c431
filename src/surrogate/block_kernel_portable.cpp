#include "block_kernel.hpp"

namespace hdap::surrogate {
namespace {
constexpr std::size_t vector_bytes = 16; // what every 64-bit processor has
}
} // namespace hdap::surrogate

#include "block_kernel_body.hpp"

const hdap::surrogate::BlockKernels* const hdap::surrogate::portable_kernels = &kernels;
