#pragma once

namespace hdap::accuracy {

/// As use_one_thread_per_candidate, with `threads` threads for every operator of this thread.
void use_threads(int threads);

} // namespace hdap::accuracy
