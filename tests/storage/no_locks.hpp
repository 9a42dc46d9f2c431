#pragma once

namespace hdap::test {

/// For the life of the object flock(2) fails with `error` in this program, as on a file system
/// without locks: HDF5 and hdap call the one that is defined in no_locks.cpp.
class NoLocks {
  public:
    explicit NoLocks(int error);
    ~NoLocks();
    NoLocks(const NoLocks&) = delete;
    NoLocks& operator=(const NoLocks&) = delete;
};

} // namespace hdap::test
