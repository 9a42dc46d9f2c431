#pragma once

namespace hdap::accuracy {

/// Makes LibTorch and its BLAS run every operator that this thread calls on `threads` threads, and
/// lets the allocator keep freed memory. With one thread, results do not depend on how many there
/// are, and candidates run side by side without sharing cores. What calls LibTorch begins with it.
void use_threads(int threads);

} // namespace hdap::accuracy
