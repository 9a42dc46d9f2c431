#include "threads_torch.hpp"

#include "hdap/accuracy/evaluation.hpp"

#include <ATen/Parallel.h>

#include <atomic>
#include <dlfcn.h>
#include <mutex>

namespace hdap::accuracy {
namespace {

/// OpenBLAS, where LibTorch uses it, has threads of its own that LibTorch does not set.
void set_blas_threads(int threads) {
    using SetThreads = void (*)(int);
    void* const symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    if (symbol != nullptr) reinterpret_cast<SetThreads>(symbol)(threads);
}

} // namespace

void use_threads(int threads) {
    static std::once_flag once;
    std::call_once(once, keep_freed_memory);
    static std::atomic<int> blas_threads{0};
    if (blas_threads.exchange(threads) != threads) set_blas_threads(threads);
    // OpenMP keeps its thread count per thread, so every thread that comes here has to set it.
    // oneDNN picks its algorithms by it: another count would give other bits.
    if (at::get_num_threads() != threads) at::set_num_threads(threads);
}

} // namespace hdap::accuracy
