#pragma once

namespace hdap {

/// To be called once at the beginning of main, before other threads: makes OMP_PROC_BIND,
/// OMP_PLACES and GOMP_CPU_AFFINITY visible again, for the programs that this one starts.
///
/// A program that calls it is free of them itself. GNU's OpenMP library, as it is loaded, would
/// bind the main thread to the first of its places, and every thread that is not OpenMP's inherits
/// that: all threads would share one core. So the variables are hidden before any library begins.
/// Where the C library does not run what is to be run then (not glibc), they have their effect.
void show_openmp_binding();

} // namespace hdap
