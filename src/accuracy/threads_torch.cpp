#include "threads_torch.hpp"

#include "hdap/accuracy/evaluation.hpp"

#include <ATen/Parallel.h>

#include <dlfcn.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <atomic>
#include <mutex>

namespace hdap::accuracy {
namespace {

/// OpenBLAS, where LibTorch uses it, has threads of its own that LibTorch does not set.
void set_blas_threads(int threads) {
    using SetThreads = void (*)(int);
    void* const symbol = dlsym(RTLD_DEFAULT, "openblas_set_num_threads");
    if (symbol != nullptr) reinterpret_cast<SetThreads>(symbol)(threads);
}

/// By default glibc gives large blocks back to the kernel as soon as they are free. As every layer
/// allocates its output, the kernel then clears the same megabytes again and again: that takes
/// from half to nine tenths of the time of a small network.
void keep_freed_memory() {
#if defined(__GLIBC__)
    mallopt(M_MMAP_THRESHOLD, 32 << 20); // the largest value that glibc takes
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    mallopt(M_TOP_PAD, 64 << 20); // threads' heaps, 64 MiB each, are then not given back either
#endif
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

void use_one_thread_per_candidate() {
    use_threads(1);
}

} // namespace hdap::accuracy
